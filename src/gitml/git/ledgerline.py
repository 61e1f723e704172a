"""The ledger's line, commit by commit: which events each brought, and which commits did anything else than add.

What the newest tree holds decides nothing: an event that a later commit deletes stays an event, and a merge that puts
another line in front hides none, and no break of the line behind it. Which of two lines is the ledger's own cannot be
told where one is a copy of the other. So what broke either broke both, and an event comes after what it came after on
any of them; unless its signer said which commit was the newest, which no writer can choose.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from gitml.git.filechange import FileChange
from gitml.git.history import MOST_FILES, Landed, walked
from gitml.git.repository import FILE, Repository
from gitml.git.runner import git

NAME = re.compile(
    r"(\d{4})/(\d\d)/(?P<time>\1\2\d\dT\d{6}Z)-(?P<kind>[a-z][a-z-]{0,30})-(?P<digest>[0-9a-f]{12})\.json"
)
# The shape alone: Git takes twice as long for a pattern with sets of characters, and NAME judges each name after it.
_GLOB = f":(top,glob){'?' * 4}/??/{'?' * 8}T{'?' * 6}Z-*-{'?' * 12}.json"
# So many parents that were looked at shorten the next look; more would not shorten it further.
_MOST_CLEAN = 50


class LedgerEntry(NamedTuple):
    """An event as a commit brought it: its name, and Git's name of its bytes."""

    name: str
    blob: str


@dataclass(frozen=True)
class Break:
    """A commit that deleted, edited or hid events, or brought more than anybody reads. ``good`` is the last one before.

    ``hid`` are the events that it deleted or edited, or put another line in front of: if there are such and none is
    believed, it broke nothing.
    """

    commit: str
    good: str
    what: str
    hid: tuple[LedgerEntry, ...] = ()


@dataclass(frozen=True)
class Line:
    """The ledger up to ``head``.

    ``entries``: all that were ever added, each with the commits of the ``breaks`` that came before it (mostly none).
    ``after``: the same of commits, but for those that have no break in their history.
    ``clean``: commits of other branches that the ledger keeps reachable, in whose history there are no events.
    """

    head: str = ""
    entries: Mapping[LedgerEntry, tuple[str, ...]] = field(default_factory=dict)
    breaks: tuple[Break, ...] = ()
    clean: tuple[str, ...] = ()
    after: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Brought:
    """What some commits did: each event with those that brought it first, one for each line, and the breaks."""

    entries: Mapping[LedgerEntry, tuple[str, ...]] = field(default_factory=dict)
    breaks: Mapping[str, Break] = field(default_factory=dict)


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
    after = {**known.after, **fresh.after}
    return replace(fresh, entries={**known.entries, **added}, breaks=breaks, after=after)


def _since(repository: Repository, head: str, before: str) -> tuple[Landed, ...]:
    """The commits of the line behind ``before``, oldest first; from its beginning where that is not on it."""
    since = [before] if before else []
    line = walked(repository.folder, [head], [_GLOB], since=since, env=repository.env)
    place = next((n for n, landed in enumerate(line) if landed.parents[:1] == (before,)), 0)
    return line[place:]


def _grown(repository: Repository, line: Line, commits: Sequence[Landed], there: set[str]) -> Line:
    there |= {landed.commit for landed in commits}
    others = dict.fromkeys(p for landed in commits for p in landed.parents[1:] if p not in there)
    known = (*line.clean, *([line.head] if line.head else []))
    odd = hidden(repository, list(others), there, known)
    clean = [other for other in others if other not in odd]
    grown = replace(line, clean=(*line.clean, *clean)[-_MOST_CLEAN:], head=commits[-1].commit if commits else line.head)
    brought = _added(Brought(), commits, odd, line.entries)
    is_broken = line.breaks or brought.breaks
    return _told(grown, brought, _parents(repository, grown.head, (*known, *clean)) if is_broken else ())


def _parents(repository: Repository, head: str, known: Sequence[str]) -> Iterator[Sequence[str]]:
    """Every commit up to ``head`` with its parents, these first, without what lies behind ``known``."""
    asked = "".join(f"{name}\n" for name in (head, *(f"^{name}" for name in known)))
    words = ("rev-list", "--topo-order", "--reverse", "--parents", "--stdin")
    said = git(repository.folder, *words, env=repository.env, stdin=asked.encode()).stdout.decode()
    return map(str.split, said.splitlines())


def _told(line: Line, brought: Brought, parents: Iterable[Sequence[str]]) -> Line:
    """``line`` with what came to it; where something broke it, ``parents`` say which commits are behind that."""
    after = dict(line.after)
    for commit, *before in parents:
        behind = [after[parent] for parent in before if parent in after]
        own = (commit,) if commit in brought.breaks else ()
        # Most have one parent and break nothing: these share what they are behind.
        if found := behind[0] if len(behind) == 1 and not own else _together([*behind, own]):
            after[commit] = found
    fresh = {e: _together(after.get(c, ()) for c in by) for e, by in brought.entries.items() if e not in line.entries}
    breaks = {**{b.commit: b for b in line.breaks}, **brought.breaks}
    return replace(line, entries={**line.entries, **fresh}, breaks=(*breaks.values(),), after=after)


def _together(some: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in some for name in names))


def hidden(
    repository: Repository, tips: Sequence[str], there: set[str], known: Sequence[str] = ()
) -> Mapping[str, Brought]:
    """The lines that end at other parents behind which there are events, seen from any side. Mostly there are none.

    ``there``: commits of the line that they are beside; those that are found come to it. ``known``: commits behind
    which there is nothing to find.

    Whatever one of them did to events is kept, however many others were put in front of it since.
    """
    if not tips or not _have_events(repository, tips, known):
        return {}
    reached = walked(repository.folder, tips, [_GLOB], since=known, own=False, env=repository.env)
    found = {landed.commit: landed for landed in reached}
    events: set[str] = set()
    for landed in reached:
        if landed.touches or not events.isdisjoint(landed.parents):
            events.add(landed.commit)
    waiting, lines = [tip for tip in tips if tip in events], dict[str, list[Landed]]()
    while waiting:
        tip = waiting.pop()
        if tip in lines:  # two lines lead to it
            continue
        lines[tip] = list(_own(tip, found, there))
        waiting += {p for landed in lines[tip] for p in landed.parents[1:] if p in events and p not in there}
    read: dict[str, Brought] = {}
    for tip in reversed(lines):
        read[tip] = _added(Brought(), lines[tip], read)
    return {tip: read[tip] for tip in tips if tip in read}


def _own(tip: str, found: Mapping[str, Landed], there: set[str]) -> Iterator[Landed]:
    """The commits of its own line that no line had before, oldest first."""
    line = []
    while tip in found and tip not in there:
        there.add(tip)
        line.append(found[tip])
        tip = (*found[tip].parents, "")[0]
    return reversed(line)


def _have_events(repository: Repository, commits: Sequence[str], clean: Sequence[str]) -> bool:
    words = ("rev-list", "-1", "--full-history", "--stdin", "--", _GLOB)
    asked = "".join(f"{name}\n" for name in (*commits, *(f"^{name}" for name in clean)))
    return bool(git(repository.folder, *words, env=repository.env, stdin=asked.encode()).stdout)


def _added(
    line: Brought, commits: Sequence[Landed], odd: Mapping[str, Brought], known: Collection[LedgerEntry] = ()
) -> Brought:
    """``known``: what the line had before, in commits that are not among these."""
    entries, breaks = dict(line.entries), dict(line.breaks)
    own: set[LedgerEntry] = set()
    for landed in commits:
        others = [odd[parent] for parent in landed.parents[1:] if parent in odd]
        lost = {e for other in others for e in other.entries if e not in entries and e not in known}
        for other in others:
            breaks |= other.breaks
            for entry, by in other.entries.items():
                entries[entry] = _together([entries.get(entry, ()), by])
        if found := _break(landed, lost):
            breaks[landed.commit] = found
        for touch in landed.touches:
            entry = LedgerEntry(touch.path, touch.new)
            if is_event(touch) and not landed.is_cut and entry not in own and entry not in known:
                own.add(entry)
                entries[entry] = (*entries.get(entry, ()), landed.commit)
    return Brought(entries, breaks)


def is_event(touch: FileChange) -> bool:
    """Whether it leaves a plain file with the name of an event."""
    return touch.new_mode == FILE and bool(NAME.fullmatch(touch.path))


def _break(landed: Landed, lost: Collection[LedgerEntry]) -> Break | None:
    """``lost`` are events behind another parent that the line did not have."""
    before = (*landed.parents, "")[0]
    if landed.is_cut:
        return Break(landed.commit, before, f"touched more than {MOST_FILES:,} events, of which none counts")
    gone = [touch for touch in landed.touches if touch.old and NAME.fullmatch(touch.path)]
    if gone:
        done = "deleted" if gone[0].is_gone else "edited"
        hid = (*(LedgerEntry(touch.path, touch.old) for touch in gone), *lost)
        return Break(landed.commit, before, f"{done} {gone[0].path}", hid)
    if lost:
        return Break(landed.commit, landed.parents[1], "put another line in front of the ledger", tuple(lost))
    return None


def grown(commits: Sequence[Landed]) -> Line:
    """The line of these commits, without a repository: what they put themselves in front of is not looked at."""
    line = Line(commits[-1].commit if commits else "")
    return _told(line, _added(Brought(), commits, {}), [(one.commit, *one.parents) for one in commits])
