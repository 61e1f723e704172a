"""``gitml resolve``: conflicts in files that runs write are not for people: main's stand, and CI writes anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gitml.errors import SpecError, UsageError
from gitml.git.commands import Git
from gitml.git.runner import fields
from gitml.spec.dvcfiles import LOCK_FILE, load_pipeline
from gitml.spec.dvcplaces import DVC_FILE

# Git's numbers of the sides of a conflict.
_OURS, _THEIRS = "2", "3"
_FLAG = {_OURS: "--ours", _THEIRS: "--theirs"}


@dataclass(frozen=True)
class Resolved:
    """Paths relative to the root: ``taken`` are as main has them now, ``left`` are for people.

    ``rebase``: `git rebase --continue` goes on, not `git commit`.
    """

    taken: tuple[str, ...]
    left: tuple[str, ...]
    rebase: bool


def resolve(root: Path) -> Resolved:
    """Take main's side of the conflicts in lock files and in outputs that live in Git, and stage it.

    Raises UsageError without a conflict, and while dvc.yaml itself is in conflict: it says which files are outputs.
    """
    git = Git(root)
    sides = _conflicts(root)
    if not sides:
        raise UsageError("no file is in conflict here", "it is for after a `git merge` or `git rebase` that stopped")
    generated = _generated(root, list(sides))
    side = _side_of_main(git)
    for path in generated:
        if side in sides[path]:
            git.read("checkout", _FLAG[side], "--", f":(literal){path}")
            git.read("add", "--", f":(literal){path}")
        else:
            git.read("rm", "-q", "--", f":(literal){path}")
    left = tuple(path for path in sides if path not in generated)
    return Resolved(tuple(generated), left, git.resolve("MERGE_HEAD") is None)


def _conflicts(root: Path) -> Mapping[str, set[str]]:
    """Path → the sides that have it."""
    found: dict[str, set[str]] = {}
    for entry in fields(root, "ls-files", "-u", "-z", "--", "."):
        told, _, path = entry.partition("\t")
        found.setdefault(path, set()).add(told.split()[2])
    return found


def _generated(root: Path, paths: list[str]) -> list[str]:
    if any(PurePosixPath(path).name == DVC_FILE for path in paths):
        raise UsageError(f"{DVC_FILE} is in conflict: it says which files runs write", "settle it first, by hand")
    try:
        outs = {out.path for stage in load_pipeline(root).stages.values() for out in stage.outs.values()}
    except SpecError as exc:
        raise UsageError(f"{exc.problems[0]}", "settle it first, by hand") from exc
    return [path for path in paths if PurePosixPath(path).name == LOCK_FILE or outs & set(_up(path))]


def _up(path: str) -> Iterator[str]:
    yield path
    yield from (str(above) for above in PurePosixPath(path).parents)


def _side_of_main(git: Git) -> str:
    """In a merge of main into a branch it is theirs; in a rebase onto main, ours."""
    main, other = git.main_ref(), git.resolve("MERGE_HEAD")
    if main is None or other is None:
        return _OURS
    return _THEIRS if git.is_ancestor(other, main) or not git.is_ancestor(main, "HEAD") else _OURS
