"""The ledger's own line for an audit: its events as every reader takes them, and all that is wrong with it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from gitml.evidence import biases, canaries, impacts, looks
from gitml.evidence.facts import AuditFacts
from gitml.evidence.findings import Finding, Kind
from gitml.evidence.reader import by_time
from gitml.evidence.served import hour_findings
from gitml.evidence.standing import Standing, standing
from gitml.evidence.trust import Believed, Cause, believe_event
from gitml.git.bot import BOT_AUTHOR
from gitml.git.filechange import FileChange
from gitml.git.history import MOST_FILES, Landed
from gitml.git.ledger import BRANCH, LOOKS, SERVED, Event
from gitml.git.ledgerline import NAME, LedgerEntry
from gitml.kinds import KINDS

# Findings of one kind at one commit that are told by name.
_SHOWN = 100
_HOURS_JUDGED, _STAMP = timedelta(days=8), "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Chain:
    """``events`` in the order of their signed times."""

    events: tuple[Believed, ...]
    findings: tuple[Finding, ...]


def walk(facts: AuditFacts, now: datetime) -> Chain:
    """Every event that was ever added, and all that is wrong with the line and the events."""
    line = facts.line
    events = _events(facts)
    told = tuple(_believe(facts, event, now) for event in events)
    stands = standing(line, told, facts.rules.policy) if facts.rules.policy else Standing(line)
    judged = tuple(stands.judged(one) for one in told)
    findings = [*_line(facts, stands), *_kept(facts), *_doubts(judged, stands), *_order(facts, judged)]
    return Chain(tuple(sorted(judged, key=by_time)), tuple(findings))


def walk_looks(facts: AuditFacts, now: datetime) -> tuple[tuple[Finding, ...], tuple[LedgerEntry, ...]]:
    """The same of the branch of looks, whose line ``facts`` have in place of the ledger's: what is wrong with it, and
    the statements on it that count.

    What was added counts, whatever became of it: so a break is found, and needs nobody to accept it.
    """
    told = [_believe(facts, event, now) for event in _events(facts) if event.content]
    evaluations = [one for one in told if one.kind == canaries.KIND]
    business = [one for one in told if one and one.kind == impacts.KIND]
    counted = [one for one in told if one and one.kind == biases.KIND]
    others = [one for one in told if one.kind != canaries.KIND and one not in business and one not in counted]
    told_of = (*looks.findings(others), *canaries.findings(evaluations), *impacts.findings(business))
    told_of = (*told_of, *biases.findings(counted))
    found = (*_line(facts, Standing(facts.line)), *_kept(facts), *told_of)
    wrong = tuple(replace(one, subject=LOOKS) if one.subject == BRANCH else one for one in found)
    counting = (one.event for one in sorted(told, key=by_time) if one and KINDS[one.kind].signer == "monitor")
    return wrong, tuple(LedgerEntry(event.name, event.blob) for event in counting)


def believed_looks(facts: AuditFacts, now: datetime) -> tuple[Believed, ...]:
    """The statements that were seen on the branch of looks, judged as every other."""
    events = (Event(name, facts.contents.get(blob, b""), blob) for name, blob in facts.seen)
    return tuple(_believe(facts, event, now) for event in events)


def walk_hours(facts: AuditFacts, now: datetime) -> tuple[Finding, ...]:
    """The same of the branch of hours that agents told of. Signatures of the newest are judged, as far as pages show
    them: there are thousands a year. The line itself is walked from its beginning."""
    events = sorted((event for event in _events(facts) if event.content), key=lambda event: _stamp(event.name))
    first = _before(_stamp(events[-1].name), _HOURS_JUDGED) if events else ""
    told = [_believe(facts, event, now) for event in events if _stamp(event.name) >= first]
    found = (*_line(facts, Standing(facts.line)), *_kept(facts), *_few(hour_findings(told)))
    return tuple(replace(one, subject=SERVED) if one.subject == BRANCH else one for one in found)


def _stamp(name: str) -> str:
    named = NAME.fullmatch(name)
    return named["time"] if named else ""


def _before(stamp: str, span: timedelta) -> str:
    return f"{datetime.strptime(stamp, _STAMP) - span:{_STAMP}}" if stamp else ""


def _events(facts: AuditFacts) -> Iterator[Event]:
    came, known = _came(facts), defaultdict[str, dict[str, Any]](dict)
    for entry in facts.line.entries:
        content = facts.contents.get(entry.blob, b"")
        yield Event(entry.name, content, entry.blob, came.get(entry, ""), known[entry.blob])


def _came(facts: AuditFacts) -> Mapping[tuple[str, str], str]:
    """The commit of the own line that first brought each event."""
    found: dict[tuple[str, str], str] = {}
    for landed in facts.ledger:
        for touch in landed.touches:
            found.setdefault((touch.path, touch.new), landed.commit)
    return found


def _line(facts: AuditFacts, stands: Standing) -> Iterator[Finding]:
    """What each commit did wrong; a break that people accepted is told as that alone."""
    there: set[str] = set()
    yield from _breaks(facts, stands)
    for landed in facts.ledger:
        yield from _writer(landed)
        if landed.commit not in stands.accepted:
            yield from _commit(facts, landed)
            found = (_touch(t, t.new in facts.contents, landed, again=t.path in there) for t in landed.touches)
            yield from _few(finding for finding in found if finding)
        there |= {touch.path for touch in landed.touches if touch.is_new}


def _few(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Of each kind those that somebody reads: one commit may bring a million files."""
    seen: Counter[str] = Counter()
    for finding in findings:
        seen[finding.kind] += 1
        if seen[finding.kind] <= _SHOWN:
            yield finding
        elif seen[finding.kind] == _SHOWN + 1:
            yield Finding(finding.kind, BRANCH, "is found of more files of this commit", finding.commit)


def _breaks(facts: AuditFacts, stands: Standing) -> Iterator[Finding]:
    """Those that people accepted, and those that no commit of the own line shows."""
    own = {landed.commit for landed in facts.ledger}
    for one in stands.line.breaks:
        if one.commit in stands.accepted:
            yield Finding(Kind.BREAK_ACCEPTED, BRANCH, f"{one.what}, and people of the role accepted it", one.commit)
        elif one.commit not in own and one.commit not in stands.harmless:
            message = f"{one.what}, and another line was put in front of that"
            yield Finding(Kind.LEDGER_BYPASSED, BRANCH, message, one.commit)


def _commit(facts: AuditFacts, landed: Landed) -> Iterator[Finding]:
    if landed.is_cut:
        message = f"touches more than {MOST_FILES:,} files, of which no more are told here"
        yield Finding(Kind.FOREIGN_FILE, BRANCH, message, landed.commit)
    for parent in landed.parents[1:]:
        if parent in facts.lines:
            message = f"a merge puts another ledger in front of {parent[:12]}, whose events it hides"
            yield Finding(Kind.LEDGER_BYPASSED, BRANCH, message, landed.commit)


def _writer(landed: Landed) -> Iterator[Finding]:
    who = {landed.author, landed.committer} - {BOT_AUTHOR}
    if who:
        message = f"says that it is by {min(who)}, and not by gitml: anybody who may push can write that"
        yield Finding(Kind.FOREIGN_WRITER, BRANCH, message, landed.commit)


def _touch(touch: FileChange, there: bool, landed: Landed, *, again: bool) -> Finding | None:
    """``there``: its content was small enough to be read."""
    if not NAME.fullmatch(touch.path):
        return Finding(Kind.FOREIGN_FILE, touch.path, "is no event; the ledger holds nothing else", landed.commit)
    after = f", whose last good commit is {landed.parents[0][:12]}" if landed.parents else ""
    if touch.is_gone:
        return Finding(Kind.EVENT_DELETED, touch.path, f"was deleted from the ledger{after}", landed.commit)
    if not touch.is_new:
        return Finding(Kind.EVENT_EDITED, touch.path, f"was edited in the ledger{after}", landed.commit)
    if not touch.is_plain:
        return Finding(Cause.MISNAMED, touch.path, f"is no plain file (mode {touch.new_mode})", landed.commit)
    if not there:
        return Finding(Cause.MISNAMED, touch.path, "is too large for an event", landed.commit)
    if again:
        return Finding(Kind.EVENT_REORDERED, touch.path, "was added once more after it had been deleted", landed.commit)
    return None


def _believe(facts: AuditFacts, event: Event, now: datetime) -> Believed:
    """By the keys of main now; a key that main had before is told apart from one that it never had."""
    found = believe_event(event, facts.rules.keys, facts.repository, now, facts.host)
    if found.cause is not Cause.UNKNOWN_KEY:
        return found
    for rules in reversed(facts.policies[:-1]):
        earlier = believe_event(event, rules.keys, facts.repository, now, facts.host)
        if not earlier.cause:
            reason = f"is signed by the key {earlier.signer}, which was removed from policy.yaml"
            return Believed(earlier.statement, earlier.signer, reason, Cause.REMOVED_KEY, event)
    return found


def _doubts(events: tuple[Believed, ...], stands: Standing) -> Iterator[Finding]:
    """Once for each event; what is edited or huge is told of the line already."""
    edited = {b.commit for b in stands.line.breaks}
    for one in events:
        if one.cause and one.event.content and (one.cause is not Cause.MISNAMED or one.event.commit not in edited):
            yield Finding(one.cause, one.name, one.why_not, one.event.commit)


def _order(facts: AuditFacts, events: tuple[Believed, ...]) -> Iterator[Finding]:
    """Signed times must follow the line's order: whoever holds an old key, or rewrites the line, cannot date back."""
    newest: datetime | None = None
    for event in events:
        if not event or event.binding is None:
            continue
        moment, kind = event.binding.moment, KINDS[event.binding.kind]
        if newest and moment < newest - kind.lag:
            message = (
                f"is dated {event.binding.time}, but came to the ledger after evidence of {newest:%Y-%m-%dT%H:%M:%SZ}"
            )
            yield Finding(Kind.EVENT_REORDERED, event.name, message, event.event.commit)
        until = facts.rules.keys[event.signer].until
        if newest and until and newest >= until + kind.lag:
            message = f"came to the ledger after {newest:%Y-%m-%dT%H:%M:%SZ}, when its key had expired"
            yield Finding(Cause.EXPIRED_KEY, event.name, message, event.event.commit)
        newest = moment if newest is None or (moment > newest and not kind.late) else newest


def _kept(facts: AuditFacts) -> Iterator[Finding]:
    there = {landed.commit for landed in facts.ledger}
    end = f"ends at {facts.head[:12]}" if facts.head else "is not there"
    for head in facts.kept:
        if head not in there:
            message = f"was at {head[:12]} once, and the line that {end} does not have that commit: it was rewritten"
            yield Finding(Kind.LEDGER_REWRITTEN, BRANCH, message, facts.head)
