"""The first-parent line of a branch: each commit with what it does to files, as Git itself has it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gitml.git.filechange import FileChange, parse_change
from gitml.git.runner import git

_FIELDS = "%H%x00%P%x00%ct%x00%an%x00%ae%x00%cn%x00%ce"
# A day within datetime's range, so that no leeway and no time zone leaves it.
_FIRST, _LAST = -62135510400, 253402214400


@dataclass(frozen=True)
class Landed:
    """A commit of the line. ``time`` is its committer's, UTC; people are as the commit says, ``Name <address>``."""

    commit: str
    parents: tuple[str, ...]
    time: datetime
    author: str
    committer: str
    touches: tuple[FileChange, ...] = ()


def line(
    root: Path,
    revision: str,
    paths: Sequence[str] = (),
    *,
    since: Sequence[str] = (),
    most: int = 0,
    env: Mapping[str, str] | None = None,
) -> tuple[Landed, ...]:
    """The line that ends at ``revision``, oldest first; with ``paths`` (Git's pathspecs) what touches them.

    A merge is compared with its first parent: it brings in what its branch changed. ``since`` leaves out what is in the
    history of these commits; where commits have odd dates some of it may be there all the same. ``most``: only so many
    of the newest; 0 for all.
    """
    words = ("--raw", "-z", "--no-renames", "--no-abbrev", "--diff-merges=first-parent", f"--format={_FIELDS}")
    command = ["log", "--first-parent", "--reverse", *words, "--end-of-options", revision]
    command += [*(f"^{commit}" for commit in since), "--", *paths]
    if most:
        command.insert(1, f"--max-count={most}")
    # A path that is no UTF-8 is shown, and matches nothing.
    said = git(root, *command, env=env).stdout.decode("utf-8", "backslashreplace")
    return tuple(_parsed(said.split("\0")))


def _parsed(tokens: list[str]) -> Iterator[Landed]:
    place = 0
    while place + 7 <= len(tokens):
        commit, parents, when, *people = tokens[place : place + 7]
        place += 7
        touches = []
        while place < len(tokens) and tokens[place].lstrip("\n").startswith(":"):
            touches.append(parse_change(tokens[place], tokens[place + 1]))
            place += 2
        time = _moment(when)
        author, committer = (f"{people[i]} <{people[i + 1]}>" for i in (0, 2))
        yield Landed(commit.strip(), tuple(parents.split()), time, author, committer, tuple(touches))


def _moment(when: str) -> datetime:
    """Git takes any number, also of a year that no datetime has: then the nearest end counts; without one, 1970."""
    try:
        seconds = int(when[:20])
    except ValueError:
        seconds = 0
    return datetime.fromtimestamp(min(max(seconds, _FIRST), _LAST), UTC)


def commits(root: Path, revision: str) -> tuple[str, ...]:
    """All commits of the first-parent line, oldest first."""
    words = ["rev-list", "--first-parent", "--reverse", "--end-of-options", revision, "--"]
    return tuple(git(root, *words).stdout.decode().split())


def escaped(path: str) -> str:
    """The path as it stands, for a pathspec with patterns."""
    return re.sub(r"([\\*?\[])", r"\\\1", path)


def first_with(root: Path, revision: str, path: str, env: Mapping[str, str] | None = None) -> str | None:
    """The oldest commit of the line that ends at ``revision`` in which something came to ``path`` (from the top).

    None where it never was. Deleting it and bringing it back makes no other commit the first, nor does a rename.
    """
    words = ("--diff-merges=first-parent", "--diff-filter=A", "--no-renames", "--no-show-signature", "--format=%H")
    command = ["-c", "log.showRoot=true", "log", "--first-parent", "--reverse", *words, "--end-of-options", revision]
    found = git(root, *command, "--", f":(top,literal){path}", env=env).stdout.decode().split()
    return found[0] if found else None


def files(root: Path, commit: str, folder: str = "") -> tuple[str, ...]:
    """The paths of all files of ``commit`` from the top, or of those below ``folder``."""
    words = ["ls-tree", "-r", "-z", "--full-tree", "--name-only", "--end-of-options", commit]
    said = git(root, *words, *([f"{folder}/"] if folder else [])).stdout
    return tuple(path for path in said.decode("utf-8", "backslashreplace").split("\0") if path)
