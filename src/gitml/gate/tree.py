"""What a pull request changes, told from Git's trees alone: nothing of its head is checked out or run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gitml.errors import GitmlError, SpecError
from gitml.gate.modelfiles import DEPLOYMENT, inside, refusals, stepwise
from gitml.gates.facts import Unknown
from gitml.git.commands import Git
from gitml.git.filechange import FileChange
from gitml.git.merges import changes
from gitml.git.repository import TooLargeError
from gitml.spec.deployment import Deployment, parse_deployment

_LARGEST = 100_000
_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Edit(FileChange):
    """One deployment file that changes, from the base branch as it is now to the head."""

    model: str
    environment: str


@dataclass(frozen=True)
class Edits:
    """``deployments`` are the edits to judge; none: the pull request is no promotion.

    ``refused`` are reasons why it may not be merged as it is, a promotion or not; ``stale`` why it cannot be judged
    before it is brought up to date.
    """

    deployments: tuple[Edit, ...] = ()
    refused: tuple[str, ...] = ()
    stale: str = ""


def edits(git: Git, base: str, head: str) -> Edits:
    """What merging ``head`` into ``base`` would change. Both are commits that the clone has."""
    forks = _merge_bases(git, base, head)
    if not forks:
        return Edits(refused=("the branch has no history in common with its base",))
    try:
        rows = changes(git, forks[0], head)
        steps = stepwise(git, base, head, [row.path for row in rows])
    except TooLargeError as exc:
        return Edits(refused=(exc.message,))
    mine = [(row, match) for row in rows if (match := DEPLOYMENT.fullmatch(inside(git, row.path)))]
    if not mine:
        return Edits(refused=(*refusals(git, rows, base, head), *steps))
    refused = [*steps, *beside(rows, [row for row, _ in mine]), *(why for row, _ in mine if (why := _odd(row)))]
    found = tuple(
        Edit(
            path=row.path,
            old=blob_at(git, base, row.path),
            new=row.new,
            new_mode=row.new_mode,
            model=match["model"],
            environment=match["environment"],
        )
        for row, match in mine
    )
    moved = [edit.path for (row, _), edit in zip(mine, found, strict=True) if edit.old != row.old]
    stale = f"{', '.join(moved)} changed on the base branch meanwhile" if moved else ""
    stale = stale or ("the branch and its base were merged crosswise" if len(forks) > 1 else "")
    return Edits(found, tuple(refused), stale)


def _merge_bases(git: Git, base: str, head: str) -> list[str]:
    try:
        return git.text("merge-base", "--all", base, head).split()
    except GitmlError:
        return []


def beside(rows: Sequence[FileChange], mine: Sequence[FileChange]) -> Iterator[str]:
    """Policy, roles, keys, workflows, records: whatever else changes could be what the promotion is judged by."""
    others = [row.path for row in rows if row not in mine]
    if others:
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        yield f"changes {', '.join(others[:_SHOWN])}{more} as well: a promotion is a pull request of its own"


def _odd(row: FileChange) -> str:
    return "" if row.is_plain else f"{row.path} is no plain file any more (mode {row.new_mode})"


def blob_at(git: Git, commit: str, path: str) -> str:
    """Git's name of the file at ``path`` (from the top), "" where there is none."""
    found = git.repository.entry(commit, path)
    return found.id if found else ""


def deployment(git: Git, blob: str, path: str) -> Deployment | Unknown | None:
    """The deployment file with Git's name ``blob``, None for none, or why it cannot be read."""
    if not blob:
        return None
    try:
        return parse_deployment(git.repository.blob(blob, _LARGEST), path)
    except SpecError as exc:
        return Unknown("; ".join(str(p) for p in exc.problems[:3]))
    except (GitmlError, ValueError) as exc:
        return Unknown(f"{path} cannot be read: {str(exc).splitlines()[0]}")
