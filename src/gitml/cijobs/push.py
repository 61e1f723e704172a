"""The bot's one commit on a branch that people push to as well: what it is made of, and how it is known again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gitml.derivation.training import TRAILER
from gitml.git.bot import BOT_EMAIL, BOT_NAME
from gitml.git.commands import Git
from gitml.git.edit import Who, commit_paths

__all__ = ["BOT", "TRAILER", "TreeChange", "commit_on", "is_bots", "is_settled", "made_for", "take_over", "trailer"]

BOT = Who(BOT_NAME, BOT_EMAIL)


@dataclass(frozen=True)
class TreeChange:
    """What a commit does to the tree: ``add`` are paths as the work tree has them, ``remove`` paths that go."""

    message: str
    add: Sequence[str] = ()
    remove: Sequence[str] = ()


def commit_on(git: Git, parent: str, change: TreeChange) -> str | None:
    """The bot's commit on top of ``parent``, on no branch yet; None when it would change nothing."""
    return commit_paths(git, parent, [*change.add, *change.remove], change.message, BOT)


def made_for(git: Git, commit: str, pushed: str) -> bool:
    """Whether ``commit`` is what the bot made of ``pushed``: a run that was killed after its push finds its own."""
    if git.resolve(f"{commit}^") != pushed:
        return False
    return is_bots(git, commit) and trailer(git, commit) == pushed


def take_over(git: Git, made: str | None, pushed: str) -> str:
    """The bot's commit on top of ``pushed``, if ``made`` is one, with its files in the work tree; else empty.

    A run that starts again, or a second one for the same push, finds lock, records and outputs, and has nothing to do.
    """
    if made is None or made == pushed or not made_for(git, made, pushed):
        return ""
    git.read("-c", "core.autocrlf=false", "restore", f"--source={made}", "--worktree", "--", ".")
    return made


def is_settled(git: Git) -> bool:
    """Whether HEAD is what the bot made of the commit before it: its push must not train again what it commits."""
    before = git.resolve("HEAD^")
    return before is not None and made_for(git, "HEAD", before)


def is_bots(git: Git, commit: str) -> bool:
    """Whether the commit calls the bot its committer. Anyone can: it decides about nothing but the bot's own files."""
    return git.text("show", "-s", "--format=%ce", commit).strip() == BOT_EMAIL


def trailer(git: Git, commit: str) -> str:
    """The commit that the bot trained when it made ``commit``; empty when it does not say."""
    return git.text("show", "-s", f"--format=%(trailers:key={TRAILER},valueonly)", commit).strip()
