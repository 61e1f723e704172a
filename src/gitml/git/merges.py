"""What a commit adds to the work of its parents."""

from __future__ import annotations

from contextlib import closing
from itertools import islice

from gitml.errors import OutsideError
from gitml.git.commands import Git
from gitml.git.filechange import FileChange, parse_change
from gitml.git.history import MOST_FILES
from gitml.git.repository import TooLargeError
from gitml.git.runner import fields


def parents(git: Git, commit: str) -> tuple[str, ...]:
    """In Git's order; none for a first commit."""
    said = git.text("rev-list", "--parents", "-1", "--end-of-options", commit, "--").split()
    return tuple(said[1:])


def adds_nothing(git: Git, commit: str) -> bool:
    """Whether nobody worked on the commit: it is empty, or the merge of two commits that Git itself makes of them.

    A merge with another tree than Git's is work, also where each file is as one of the parents has it: taking one side
    of a conflict, or the older of two files, is a decision.
    """
    above = parents(git, commit)
    tree = git.repository.tree_of(commit)
    if len(above) == 1:
        return tree == git.repository.tree_of(above[0])
    return len(above) == 2 and tree is not None and tree == merged_tree(git, *above)


def merged_tree(git: Git, one: str, other: str) -> str | None:
    """The tree that Git gives when it merges two commits; None where they conflict or have no common history."""
    try:
        return git.text("merge-tree", "--write-tree", "--no-messages", one, other).split("\n")[0] or None
    except OutsideError:
        return None


def changes(git: Git, old: str, new: str) -> tuple[FileChange, ...]:
    """What differs between two commits, file by file; a file that moved goes here and comes there.

    Raises TooLargeError where it is more than ``MOST_FILES`` files.
    """
    words = ("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--no-commit-id", old, new)
    with closing(fields(git.root, *words, errors="surrogateescape")) as told:
        rows = tuple(islice(zip(told, told, strict=True), MOST_FILES + 1))
    if len(rows) > MOST_FILES:
        raise TooLargeError(f"{new[:12]} changes more than {MOST_FILES:,} files, which is the limit", "make it smaller")
    return tuple(parse_change(about, path) for about, path in rows)
