"""What changed on main since the newest version came: files that change with the data, read from Git alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from gitml.errors import SpecError
from gitml.git.commands import Git
from gitml.git.history import first_with
from gitml.git.tree import Tree
from gitml.registry.store import record_path
from gitml.retraining.causes import DataChange
from gitml.spec.yamlfile import parse


def changed_data(git: Git, commit: str, model: str, newest: str, paths: Sequence[str]) -> tuple[DataChange, ...]:
    """Of ``paths``, as ``commit`` of main has them and as the commit had them that brought the version ``newest``.

    So what a training brings along is no change. Needs main's whole history.
    """
    came = first_with(git.root, commit, git.prefix + record_path(model, newest)) if newest else None
    return tuple(_changed(git, commit, came, paths)) if came else ()


def _changed(git: Git, commit: str, came: str, paths: Sequence[str]) -> Iterator[DataChange]:
    now, then = git.at(commit), git.at(came)
    for path in paths:
        here, there = now.entry(path), then.entry(path)
        if here and (there is None or there.id != here.id):
            words = ("log", "-1", "--first-parent", "--no-show-signature", "--format=%cI", commit, "--")
            time = git.text(*words, f":(top,literal){git.prefix}{path}").strip()
            yield DataChange(path, _size(then, path), _size(now, path), datetime.fromisoformat(time))


def _size(tree: Tree, path: str) -> int:
    """Of the data, where the file is DVC's; else of the file."""
    raw = tree.read(path) or b""
    if not path.endswith(".dvc"):
        return len(raw)
    try:
        outs = parse(raw, path, empty=True).data.get("outs")
    except SpecError:
        return len(raw)
    sizes = [out.get("size") for out in outs if isinstance(out, dict)] if isinstance(outs, list) else []
    return sum(size for size in sizes if isinstance(size, int))
