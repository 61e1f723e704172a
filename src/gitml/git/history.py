"""The first-parent line of a branch: each commit with what it does to files, as Git itself has it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from gitml.git.filechange import FileChange, parse_change
from gitml.git.runner import fields, git

_FIELDS = "%H%x00%P%x00%ct%x00%an%x00%ae%x00%cn%x00%ce"
_WORDS = ("--raw", "-z", "--no-renames", "--no-abbrev", "--diff-merges=first-parent", f"--format={_FIELDS}")
# Of one commit or pull request. A tree of a million names costs who pushes it nothing, and readers a gigabyte.
MOST_FILES = 100_000
# A day within datetime's range, so that no leeway and no time zone leaves it.
_FIRST, _LAST = -62135510400, 253402214400


@dataclass(frozen=True)
class Landed:
    """A commit of the line. ``time`` is its committer's, UTC; people are as the commit says, ``Name <address>``.

    ``is_cut``: it touches more than ``MOST_FILES`` files, of which these are the first.
    """

    commit: str
    parents: tuple[str, ...]
    time: datetime
    author: str
    committer: str
    touches: tuple[FileChange, ...] = ()
    is_cut: bool = False


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
    command = ["log", "--first-parent", "--reverse", *([f"--max-count={most}"] if most else []), *_WORDS]
    command += ["--end-of-options", revision, *(f"^{commit}" for commit in since), "--", *paths]
    return tuple(_read(fields(root, *command, env=env)))


def walked(
    root: Path,
    tips: Sequence[str],
    paths: Sequence[str],
    *,
    since: Sequence[str] = (),
    own: bool = True,
    env: Mapping[str, str] | None = None,
) -> tuple[Landed, ...]:
    """Every commit up to ``tips``, also those that touch none of ``paths``; parents come before what follows them.

    ``own``: along first parents alone; else all that the tips reach.
    """
    command = ["log", "--topo-order", "--reverse", "--full-history", "--sparse", *_WORDS, "--stdin", "--", *paths]
    if own:
        command.insert(1, "--first-parent")
    asked = "".join(f"{name}\n" for name in (*tips, *(f"^{name}" for name in since)))
    return tuple(_read(fields(root, *command, env=env, stdin=asked.encode())))


def _read(said: Iterator[str]) -> Iterator[Landed]:
    """What Git prints for ``_WORDS``. Of a commit that touches a million files not all are held."""
    token = next(said, None)
    while token is not None:
        head = (token, *islice(said, 6))
        if len(head) < 7:
            return
        commit, parents, when, *people = head
        touches: list[FileChange] = []
        token = next(said, None)
        is_cut = False
        while token is not None and token.lstrip("\n").startswith(":"):
            path = next(said)
            is_cut = is_cut or len(touches) >= MOST_FILES
            if not is_cut:
                touches.append(parse_change(token, path))
            token = next(said, None)
        author, committer = (f"{people[i]} <{people[i + 1]}>" for i in (0, 2))
        above = tuple(parents.split())
        yield Landed(commit.strip(), above, _moment(when), author, committer, tuple(touches), is_cut)


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


def messages(root: Path, revision: str) -> dict[str, tuple[str, str]]:
    """Commit → subject and body of its message, along first parents."""
    command = ("log", "--first-parent", "-z", "--no-show-signature", "--format=%H%x00%s%x00%b", "--end-of-options")
    said = fields(root, *command, revision, "--")
    return {commit: (subject, body) for commit, subject, body in zip(said, said, said, strict=False)}


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
