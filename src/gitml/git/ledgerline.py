"""The ledger's line, commit by commit: which events each brought, and which commits did anything else than add.

What the newest tree holds decides nothing: an event that a later commit deletes stays an event, and a merge that puts
another line in front hides none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from gitml.git import history
from gitml.git.filechange import FileChange
from gitml.git.history import Landed
from gitml.git.repository import FILE, Repository
from gitml.git.runner import git

NAME = re.compile(
    r"(\d{4})/(\d\d)/(?P<time>\1\2\d\dT\d{6}Z)-(?P<kind>[a-z][a-z-]{0,30})-(?P<digest>[0-9a-f]{12})\.json"
)
_STAMP = f"{'[0-9]' * 8}T{'[0-9]' * 6}Z"
_GLOB = f":(top,glob){'[0-9]' * 4}/{'[0-9]' * 2}/{_STAMP}-*-{'[0-9a-f]' * 12}.json"
# So many parents that were looked at shorten the next look; more would not shorten it further.
_MOST_CLEAN = 50


class LedgerEntry(NamedTuple):
    """An event as a commit brought it: its name, and Git's name of its bytes."""

    name: str
    blob: str


Entries = Mapping[LedgerEntry, tuple[str, ...]]


@dataclass(frozen=True)
class Break:
    """A commit that deleted, edited or hid events. ``good`` is the last one before it.

    ``hid`` are the events that a merge put another line in front of; if none of them is believed, it hid nothing.
    """

    commit: str
    good: str
    what: str
    hid: tuple[LedgerEntry, ...] = ()


@dataclass(frozen=True)
class Line:
    """The ledger up to ``head``.

    ``entries``: all that were ever added, each with the commits of the ``breaks`` that came before it (mostly none).
    ``clean``: commits of other branches that the ledger keeps reachable, in whose history there are no events.
    """

    head: str = ""
    entries: Entries = field(default_factory=dict)
    breaks: tuple[Break, ...] = ()
    clean: tuple[str, ...] = ()


def line_of(repository: Repository, head: str, known: Line | None = None) -> Line:
    """The line that ends at ``head``. ``known``, of the same ledger: only what came since is looked at, and all that it
    had stays, whatever became of it. Raises OutsideError when Git cannot read it."""
    known = known or Line()
    if head in ("", known.head):
        return known
    commits = _since(repository, head, known.head)
    if known.head and (not commits or commits[0].parents[:1] != (known.head,)):
        return _kept(known, _whole(repository, head))
    return _grown(repository, known, commits, {known.head})


def _whole(repository: Repository, head: str) -> Line:
    return _grown(repository, Line(), _since(repository, head, ""), set())


def _kept(known: Line, fresh: Line) -> Line:
    """What was on the line stays on it, also where another line took its place: its events, and what broke it."""
    before = tuple(b.commit for b in known.breaks)
    added = {e: tuple(dict.fromkeys((*before, *b))) for e, b in fresh.entries.items() if e not in known.entries}
    breaks = (*known.breaks, *(b for b in fresh.breaks if b.commit not in before))
    return replace(fresh, entries={**known.entries, **added}, breaks=breaks)


def _since(repository: Repository, head: str, before: str) -> tuple[Landed, ...]:
    """The commits of the line behind ``before``, oldest first; from its beginning where that is not on it."""
    since = [before] if before else []
    line = history.line(repository.folder, head, since=since, env=repository.env)
    place = next((n for n, landed in enumerate(line) if landed.parents[:1] == (before,)), 0)
    return line[place:]


def _grown(repository: Repository, line: Line, commits: Sequence[Landed], walked: set[str]) -> Line:
    parents = dict.fromkeys(p for landed in commits for p in landed.parents[1:])
    walked |= {landed.commit for landed in commits}
    known = (*line.clean, *([line.head] if line.head else []))
    odd = unclean(repository, [p for p in parents if p not in walked], known)
    hidden = {tip: _hidden(repository, tip, walked, known) for tip in odd}
    entries, breaks = _added(line, commits, hidden)
    clean = [p for p in parents if p not in odd and p not in walked]
    head = commits[-1].commit if commits else line.head
    return Line(head, entries, breaks, (*line.clean, *clean)[-_MOST_CLEAN:])


def _hidden(repository: Repository, tip: str, walked: set[str], known: Sequence[str]) -> Entries:
    """What lies on the line that ends at ``tip``, and on those that it in turn was put in front of."""
    found: dict[LedgerEntry, tuple[str, ...]] = {}
    waiting, seen = [tip], list(known)
    while waiting:
        tip = waiting.pop()
        commits = history.line(repository.folder, tip, since=seen[-_MOST_CLEAN:], env=repository.env)
        seen.append(tip)
        fresh = [landed for landed in commits if landed.commit not in walked]
        walked |= {landed.commit for landed in fresh}
        entries, _ = _added(Line(), fresh, {})
        found = {**entries, **found}
        parents = dict.fromkeys(p for landed in fresh for p in landed.parents[1:] if p not in walked)
        waiting += unclean(repository, list(parents), known)
    return found


def unclean(repository: Repository, parents: Sequence[str], clean: Sequence[str] = ()) -> frozenset[str]:
    """Those in whose history events lie, seen from any side. Mostly one look finds that there are none."""
    if not parents or not _have_events(repository, parents, clean):
        return frozenset()
    return frozenset(p for p in parents if _have_events(repository, [p], clean))


def _have_events(repository: Repository, commits: Sequence[str], clean: Sequence[str]) -> bool:
    words = ("rev-list", "-1", "--full-history", "--stdin", "--", _GLOB)
    asked = "".join(f"{name}\n" for name in (*commits, *(f"^{name}" for name in clean)))
    return bool(git(repository.folder, *words, env=repository.env, stdin=asked.encode()).stdout)


def _added(
    line: Line, commits: Sequence[Landed], hidden: Mapping[str, Entries], fronted: frozenset[str] = frozenset()
) -> tuple[dict[LedgerEntry, tuple[str, ...]], tuple[Break, ...]]:
    entries, breaks = dict(line.entries), list(line.breaks)
    behind = tuple(b.commit for b in breaks)
    for landed in commits:
        lost = {e: b for p in landed.parents[1:] for e, b in hidden.get(p, {}).items() if e not in entries}
        found = _break(landed, lost, fronted)
        entries |= lost
        if found:
            breaks.append(found)
            behind = (*behind, found.commit)
        for touch in landed.touches:
            if is_event(touch):
                entries.setdefault(LedgerEntry(touch.path, touch.new), behind)
    return entries, tuple(breaks)


def is_event(touch: FileChange) -> bool:
    """Whether it leaves a plain file with the name of an event."""
    return touch.new_mode == FILE and bool(NAME.fullmatch(touch.path))


def grown(commits: Sequence[Landed], fronted: frozenset[str]) -> Line:
    """The line of these commits, without a repository. ``fronted``: ledgers that it was put in front of."""
    entries, breaks = _added(Line(), commits, {}, fronted)
    return Line(commits[-1].commit if commits else "", entries, breaks)


def _break(landed: Landed, lost: Entries, fronted: frozenset[str]) -> Break | None:
    """``lost`` are events behind another parent that the line did not have; ``fronted``: parents that hide some."""
    before = (*landed.parents, "")[0]
    for touch in landed.touches:
        if touch.old and NAME.fullmatch(touch.path):
            done = "deleted" if touch.is_gone else "edited"
            return Break(landed.commit, before, f"{done} {touch.path}")
    if lost or fronted.intersection(landed.parents[1:]):
        return Break(landed.commit, landed.parents[1], "put another line in front of the ledger", tuple(lost))
    return None
