"""``gitml diff``: two versions side by side."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitml.dvc.lockentries import same_value
from gitml.dvc.repository import Dvc
from gitml.git.commands import Git
from gitml.registry import Record
from gitml.registry.lineage import external
from gitml.stats.comparison import Difference
from gitml.training.compare import metric_differences
from gitml.training.show import show


@dataclass(frozen=True)
class DiffLine:
    """Something that differs: ``old`` or ``new`` is None where one side lacks it."""

    name: str
    old: str | None
    new: str | None


@dataclass(frozen=True)
class Diff:
    old: Record
    new: Record
    metrics: tuple[Difference, ...]
    params: tuple[DiffLine, ...]
    data: tuple[DiffLine, ...]
    code: tuple[DiffLine, ...]
    stages: tuple[DiffLine, ...]
    packages: tuple[DiffLine, ...]
    signature: tuple[DiffLine, ...]


def diff(root: Path, old: str, new: str) -> Diff:
    """What changed from version ``old`` to version ``new``; both are references."""
    a, b = show(root, old).record, show(root, new).record
    with Dvc(root) as dvc:
        return diff_records(root, Git(root), dvc, a, b)


def diff_records(root: Path, git: Git, dvc: Dvc, a: Record, b: Record) -> Diff:
    """The same for two records at hand, which need not be in the tree."""
    metrics = tuple(metric_differences(root, git, dvc, b, a))
    return Diff(
        a,
        b,
        metrics,
        params=tuple(_param_changes(_params(a), _params(b))),
        data=_changes(_data(a), _data(b)),
        code=_changes(_code(a), _code(b)),
        stages=_changes(_commands(a), _commands(b)),
        packages=_changes(_packages(git, a), _packages(git, b)),
        signature=_changes(_signature(a), _signature(b)),
    )


def _changes(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[DiffLine, ...]:
    names: Iterable[str] = dict.fromkeys([*old, *new])
    return tuple(DiffLine(n, old.get(n), new.get(n)) for n in names if old.get(n) != new.get(n))


def _params(record: Record) -> dict[str, Any]:
    return {name: value for entry in record.entries().values() for name, value in entry.single_params()}


def _param_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[DiffLine]:
    for name in dict.fromkeys([*old, *new]):
        if name not in old or name not in new:
            yield DiffLine(name, *(str(side[name]) if name in side else None for side in (old, new)))
        elif not same_value(old[name], new[name]):
            # The number 1 and the word 1 look alike unless the word has its quotes.
            write = json.dumps if str(old[name]) == str(new[name]) else str
            yield DiffLine(name, write(old[name]), write(new[name]))


def _data(record: Record) -> dict[str, str]:
    """What the stages hand on to each other: every output that does not describe the model itself."""
    own = {record.artifact, *record.roles.values()}
    outs = [c for e in record.entries().values() for c in e.outs if c.path not in own]
    return {c.path: _content(record, c.path, c.digest, c.files) for c in outs}


def _content(record: Record, path: str, digest: str, files: int) -> str:
    known = record.files.get(path)
    parts = [f"{known.rows} rows"] if known and known.rows is not None else []
    parts += [f"{files} files"] if files else []
    return ", ".join([*parts, digest.partition(":")[2][:8]])


def _code(record: Record) -> dict[str, str]:
    skip = {record.packages.path} if record.packages else set()
    entries = record.entries()
    # Where `dvc import` took data from is told by the data.
    skip |= {dep.path for entry in entries.values() if not entry.cmd for dep in entry.deps}
    contents = external(entries)
    return {c.path: _content(record, c.path, c.digest, c.files) for c in contents if c.path not in skip}


def _commands(record: Record) -> dict[str, str]:
    """Of the stages; what `dvc add` or `dvc import` took in has none and is data."""
    return {name: " && ".join(entry.cmd) for name, entry in record.entries().items() if entry.cmd}


def _packages(git: Git, record: Record) -> dict[str, str]:
    """Pinned packages from the lock file as it was then, or its digest where Git no longer has it."""
    packages = record.packages
    if packages is None:
        return {}
    found = {"python": packages.python}
    commit = git.commit_that_added(f"models/{record.model}/versions/{record.version}.json") or record.commit
    raw = git.read_file(commit, packages.path) if commit else None
    if raw is None:
        return {**found, packages.path: packages.sha256[:8]}
    for line in raw.decode(errors="replace").splitlines():
        name, pinned, version = line.partition("==")
        if pinned and not name.lstrip().startswith(("#", "-")):
            found[name.strip()] = version.partition("\\")[0].strip()
    return found


def _signature(record: Record) -> dict[str, str]:
    sides = record.signature or {}
    return {
        f"{side}.{column['name']}": column["type"] + _categories(column)
        for side in ("inputs", "outputs")
        for column in sides.get(side, ())
    }


def _categories(column: Mapping[str, Any]) -> str:
    known = column.get("categories")
    return f" ({len(known)} categories)" if isinstance(known, list) else ""
