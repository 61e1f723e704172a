"""How a pull request came to main: the commits that its merge put there, whatever the method."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gitml.control.place import Place
from gitml.forges.base import PullRequest
from gitml.forges.governed import Merged
from gitml.git.commands import Git

# A forge rebases no more than a hundred.
_MOST = 100


@dataclass(frozen=True)
class Landing:
    """``base`` is main as the merge found it, ``commits`` what it put on main's own line, oldest first.

    A merge commit or a squash is one commit; a rebase has one for each commit of the pull request.
    """

    pull: PullRequest
    merged: Merged
    base: str
    commits: tuple[str, ...]


def landing(place: Place, git: Git, commit: str) -> Landing | None:
    """The merge that brought ``commit`` of main, or None: it was pushed. Raises GitmlError when the forge does not say.

    The forge says what a pull request became: its last commit. Those before it belong to it only if the forge names
    this pull request for them and no other that was merged, so that what another one brought is never taken for a part
    of this one.
    """
    for pull in _merged_by(place, commit):
        merged = place.forge.merges.merged(pull.number)
        if merged is None:
            continue
        commits = tuple(reversed(list(_back(place, git, pull, merged.commit))))
        if commit in commits:
            (base,) = _parents(git, commits[0])[:1]
            return Landing(pull, merged, base, commits)
    return None


def _merged_by(place: Place, commit: str) -> list[PullRequest]:
    return [p for p in place.forge.pulls.of_commit(commit) if p.is_merged and p.base.branch == place.branch]


def _back(place: Place, git: Git, pull: PullRequest, tip: str) -> Iterator[str]:
    """From the last commit to the first."""
    if not _parents(git, tip):
        return
    yield tip
    for _ in range(_MOST - 1):
        above = _parents(git, tip)
        if len(above) != 1 or len(_parents(git, above[0])) != 1:
            return
        (tip,) = above
        if {p.number for p in _merged_by(place, tip)} != {pull.number}:
            return
        yield tip


def _parents(git: Git, commit: str) -> list[str]:
    """None for a first commit, or one that the clone does not have."""
    if git.resolve(commit) is None:
        return []
    return git.text("rev-list", "--parents", "-1", "--end-of-options", commit, "--").split()[1:]
