"""The ledger's own line: every commit of it may only add events, each under the name of its content."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from gitml.evidence.facts import AuditFacts
from gitml.evidence.findings import Finding, Kind
from gitml.evidence.statement import Binding
from gitml.evidence.trust import Believed, Cause, believe
from gitml.git.filechange import FileChange
from gitml.git.history import Landed
from gitml.git.ledger import BRANCH, NAME, event_name, wrong_name
from gitml.git.orphan import WHO
from gitml.kinds import KINDS


@dataclass(frozen=True)
class Recorded:
    """An event as it first came to the ledger, and whether it is believed. ``place`` counts the ledger's commits."""

    name: str
    content: bytes
    commit: str
    place: int
    believed: Believed

    @property
    def binding(self) -> Binding | None:
        return self.believed.binding


@dataclass(frozen=True)
class Chain:
    events: tuple[Recorded, ...]
    findings: tuple[Finding, ...]


def walk(facts: AuditFacts, now: datetime) -> Chain:
    """Every event that was ever added, in the ledger's order, and all that is wrong with the line and the events."""
    events: dict[str, Recorded] = {}
    findings: list[Finding] = []
    for place, landed in enumerate(facts.ledger):
        findings += _commit(facts, landed)
        for touch in landed.touches:
            content = facts.contents.get(touch.new)
            wrong = _touch(touch, content, landed, again=touch.path in events)
            findings += [wrong] if wrong else []
            if touch.is_new and touch.path not in events and NAME.fullmatch(touch.path):
                believed = _believe(facts, content or b"", now)
                events[touch.path] = Recorded(touch.path, content or b"", landed.commit, place, believed)
    listed = tuple(events.values())
    findings += [*_kept(facts), *_doubts(listed), *_order(facts, listed)]
    return Chain(listed, tuple(findings))


def _commit(facts: AuditFacts, landed: Landed) -> Iterator[Finding]:
    for parent in landed.parents[1:]:
        if parent in facts.lines:
            message = f"a merge puts another ledger in front of {parent[:12]}, whose events it hides"
            yield Finding(Kind.LEDGER_BYPASSED, BRANCH, message, landed.commit)
    who = {landed.author, landed.committer} - {WHO}
    if who:
        message = f"says that it is by {min(who)}, and not by gitml: anybody who may push can write that"
        yield Finding(Kind.FOREIGN_WRITER, BRANCH, message, landed.commit)


def _touch(touch: FileChange, content: bytes | None, landed: Landed, *, again: bool) -> Finding | None:
    if not NAME.fullmatch(touch.path):
        return Finding(Kind.FOREIGN_FILE, touch.path, "is no event; the ledger holds nothing else", landed.commit)
    if touch.is_gone:
        return Finding(Kind.EVENT_DELETED, touch.path, "was deleted from the ledger", landed.commit)
    if not touch.is_new:
        return Finding(Kind.EVENT_EDITED, touch.path, "was edited in the ledger", landed.commit)
    if not touch.is_plain:
        return Finding(Kind.EVENT_MISNAMED, touch.path, f"is no plain file (mode {touch.new_mode})", landed.commit)
    why = "is too large for an event" if content is None else wrong_name(touch.path, content)
    if why:
        return Finding(Kind.EVENT_MISNAMED, touch.path, why, landed.commit)
    if again:
        return Finding(Kind.EVENT_REORDERED, touch.path, "was added once more after it had been deleted", landed.commit)
    return None


def _believe(facts: AuditFacts, content: bytes, now: datetime) -> Believed:
    """By the keys of main now; a key that main had before is told apart from one that it never had."""
    found = believe(content, facts.rules.keys, facts.repository, now)
    if found.cause is not Cause.UNKNOWN_KEY:
        return found
    for rules in reversed(facts.policies[:-1]):
        earlier = believe(content, rules.keys, facts.repository, now)
        if not earlier.cause:
            reason = f"is signed by the key {earlier.signer}, which was removed from policy.yaml"
            return Believed(earlier.statement, earlier.signer, reason, Cause.REMOVED_KEY)
    return found


def _doubts(events: tuple[Recorded, ...]) -> Iterator[Finding]:
    for event in events:
        if event.believed.cause:
            yield Finding(event.believed.cause, event.name, event.believed.why_not, event.commit)
        elif event.binding and event_name(event.binding.time, event.binding.kind, event.content) != event.name:
            message = f"holds evidence of the kind {event.binding.kind} of {event.binding.time}"
            yield Finding(Kind.EVENT_MISNAMED, event.name, message, event.commit)


def _order(facts: AuditFacts, events: tuple[Recorded, ...]) -> Iterator[Finding]:
    """Signed times must follow the line's order: whoever holds an old key, or rewrites the line, cannot date back."""
    newest: datetime | None = None
    for event in events:
        if not event.believed or event.binding is None:
            continue
        moment, kind = event.binding.moment, KINDS[event.binding.kind]
        if newest and moment < newest - kind.lag:
            message = (
                f"is dated {event.binding.time}, but came to the ledger after evidence of {newest:%Y-%m-%dT%H:%M:%SZ}"
            )
            yield Finding(Kind.EVENT_REORDERED, event.name, message, event.commit)
        until = facts.rules.keys[event.believed.signer].until
        if newest and until and newest >= until + kind.lag:
            message = f"came to the ledger after {newest:%Y-%m-%dT%H:%M:%SZ}, when its key had expired"
            yield Finding(Cause.EXPIRED_KEY, event.name, message, event.commit)
        newest = moment if newest is None or (moment > newest and not kind.late) else newest


def _kept(facts: AuditFacts) -> Iterator[Finding]:
    there = {landed.commit for landed in facts.ledger}
    end = f"ends at {facts.head[:12]}" if facts.head else "is not there"
    for head in facts.kept:
        if head not in there:
            message = f"was at {head[:12]} once, and the line that {end} does not have that commit: it was rewritten"
            yield Finding(Kind.LEDGER_REWRITTEN, BRANCH, message, facts.head)
