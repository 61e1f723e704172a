"""DVC's own stages, dependencies and outputs, read and written in the words of ``gitml.dvc.lockentries``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from dvc.utils.serialize import load_yaml, modify_yaml
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.meta import Meta

from gitml.dvc.lockentries import Content, same_value
from gitml.errors import Problem, SpecError
from gitml.jsontext import canonical, plain
from gitml.spec.dvcdata import legacy_problem


def drop_torn_rwlock(root: Path) -> None:
    """A run killed while DVC wrote ``rwlock`` leaves half a JSON file that DVC refuses for ever after."""
    path = root / ".dvc" / "tmp" / "rwlock"
    with suppress(FileNotFoundError):
        text = path.read_text(encoding="utf-8", errors="replace").strip()
        if not text.endswith("}"):
            path.unlink()


def hold(item: Any, content: Content) -> None:
    """Give one of DVC's dependencies or outputs the content that an entry says."""
    kind, _, value = content.digest.partition(":")
    item.hash_info = HashInfo(kind, value)
    item.meta = Meta(size=content.size, nfiles=content.files or None, isdir=value.endswith(".dir"))


def is_params(dep: Any) -> bool:
    return hasattr(dep, "params")


def commands_of(stage: Any) -> tuple[str, ...]:
    """None for data that `dvc add` or `dvc import` brought in."""
    return tuple(stage.cmd) if isinstance(stage.cmd, list) else (stage.cmd,) if stage.cmd else ()


def params_of(stage: Any, relative: Callable[[Any], str]) -> dict[str, dict[str, Any]]:
    """File → key → value, as the lock entry has them. Raises SpecError for a number that is not finite."""
    files = {relative(dep): dep.hash_info.value for dep in stage.deps if is_params(dep)}
    found = {file: plain(values) for file, values in sorted(files.items()) if isinstance(values, dict)}
    for file, values in found.items():
        for key, value in values.items():
            try:
                canonical(value)
            except ValueError as exc:
                told = "holds a number that is not finite (.nan, .inf)"
                raise SpecError([Problem(file, 0, key, told, "write a number, or leave it out")]) from exc
    return found


def types_changed(stage: Any) -> bool:
    """Whether a param has another type than the lock entry says. DVC compares with ``==``, which takes 1, 1.0 and true
    for the same, although a stage reads something else."""
    if stage.frozen:
        return False  # DVC does not look at what a frozen stage reads either
    deps = [dep for dep in stage.deps if is_params(dep) and isinstance(dep.hash_info.value, dict)]
    return any(not same_value(dep.hash_info.value, dep.read_params()) for dep in deps)


def forget_gone(repo: Any) -> None:
    names: dict[str, set[str]] = {}
    for stage in repo.index.stages:
        if getattr(stage, "name", None):
            names.setdefault(stage.path, set()).add(stage.name)
    for pipeline, there in names.items():
        lock = Path(pipeline).with_suffix(".lock")
        if not lock.is_file() or set(load_yaml(str(lock)).get("stages", {})) <= there:
            continue
        with repo.lock, modify_yaml(str(lock)) as data:
            for name in set(data["stages"]) - there:
                del data["stages"][name]


def refuse_legacy(stage: Any, file: str) -> None:
    """Raise SpecError for digests of DVC 2, which leave line endings out: they do not name bytes."""
    if any(item.hash_info and item.hash_info.name == "md5-dos2unix" for item in (*stage.deps, *stage.outs)):
        raise SpecError([legacy_problem(file)])
