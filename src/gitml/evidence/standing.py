"""Does an event stand, though the ledger's line was broken? What came before a break does; what came after it counts
once people of the override role accepted the break, and meanwhile only where it brings back what was approved before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from gitml.evidence.statement import Binding
from gitml.evidence.trust import Believed, Cause
from gitml.git.ledgerline import Break, LedgerEntry, Line
from gitml.spec.policy import Policy

# Where the details of a statement `overridden` name the breaks that its signer accepts.
BREAKS = "ledger_breaks"
_APPROVED = ("approved", "promoted", "rolled-back")
_Pin = tuple[str, str, str, str]


@dataclass(frozen=True)
class Standing:
    """``accepted``: commits that broke the line and that enough people accepted; ``pins`` were approved before.

    ``harmless`` are those that took away nothing that counts.
    """

    line: Line = field(default_factory=Line)
    accepted: frozenset[str] = frozenset()
    pins: frozenset[_Pin] = frozenset()
    harmless: frozenset[str] = frozenset()

    @property
    def broken(self) -> tuple[Break, ...]:
        """What nobody accepted yet, oldest first."""
        return tuple(b for b in self.line.breaks if b.commit not in self.accepted | self.harmless)

    def judged(self, one: Believed) -> Believed:
        """The same, or why it does not count now."""
        after = self.behind(one)
        if not one or not after or self._brings_back(one) or accepts(one):
            return one
        what = next((b.what for b in self.line.breaks if b.commit == after[0]), "broke the ledger")
        why = f"came to the ledger after {after[0][:12]} {what}, which has to be accepted first"
        return one.unless(why, Cause.AFTER_BREAK)

    def behind(self, one: Believed) -> tuple[str, ...]:
        """The breaks that it came after and that nobody accepted."""
        return self._unaccepted(self._after(one))

    def _after(self, one: Believed) -> tuple[str, ...]:
        """By what its signer had read, if it says so: a writer could copy events to a line that nobody ever read."""
        if one and one.binding and one.binding.ledger:
            return self.line.after.get(one.binding.ledger, ())
        return self.line.entries.get(LedgerEntry(one.event.name, one.event.blob), ())

    def _unaccepted(self, behind: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(commit for commit in behind if commit not in self.accepted and commit not in self.harmless)

    def _brings_back(self, one: Believed) -> bool:
        about = one.binding
        is_rollback = about is not None and (about.kind == "rolled-back" or one.details.get("move") == "rollback")
        return is_rollback and _pin(about) in self.pins


def standing(line: Line, told: Sequence[Believed], policy: Policy) -> Standing:
    """``told``: the events as ``policy`` alone believes them; of a line without breaks none are needed."""
    if not line.breaks:
        return Standing(line)
    found = Standing(line, _accepted(line, told, policy), harmless=_harmless(line, told))
    before = (one for one in told if one and not found.behind(one))
    return replace(found, pins=frozenset(_pins(before)))


def _harmless(line: Line, told: Iterable[Believed]) -> frozenset[str]:
    """Behind them is nothing that counts, nor was it deleted: a training's branch may have files that look like events,
    and rubbish may be cleaned up."""
    there = {LedgerEntry(one.event.name, one.event.blob) for one in told if one}
    return frozenset(b.commit for b in line.breaks if b.hid and not there.intersection(b.hid))


def _pins(told: Iterable[Believed]) -> Iterable[_Pin]:
    for one in told:
        if one.binding and one.binding.kind in _APPROVED and one.binding.result == "passed":
            yield _pin(one.binding)


def _pin(about: Binding | None) -> _Pin:
    return (about.model, about.environment, about.version, about.artifact) if about else ("", "", "", "")


def accepts(one: Believed) -> tuple[str, ...]:
    """The breaks that a believed statement accepts."""
    if not one or one.binding is None or one.binding.kind != "overridden" or one.binding.change is not None:
        return ()
    named = one.details.get(BREAKS)
    return tuple(n for n in named if isinstance(n, str)) if isinstance(named, list | tuple) else ()


def _accepted(line: Line, told: Iterable[Believed], policy: Policy) -> frozenset[str]:
    rule = policy.override
    if rule is None:
        return frozenset()
    by: dict[str, set[str]] = {}
    for one in told:
        for commit in accepts(one) if signs_for(one, policy) else ():
            by.setdefault(commit, set()).add(policy.keys[one.signer].owner.lower())
    return frozenset(b.commit for b in line.breaks if len(by.get(b.commit, ())) >= rule.people)


def signs_for(one: Believed, policy: Policy) -> bool:
    """Whether its signer is one of the people whom policy.yaml names for the override role, and signs as themselves.

    Members of teams are not: agents ask no forge who they are.
    """
    if one.signer not in policy.keys or one.binding is None:
        return False
    owner = policy.keys[one.signer].owner.lower()
    return owner in named_people(policy) and one.binding.by.lower() == owner


def named_people(policy: Policy) -> frozenset[str]:
    """The people of the override role, in small letters."""
    people = policy.roles[policy.override.role].people if policy.override else ()
    return frozenset(person.login.lower() for person in people)


def acceptance(breaks: Iterable[Break], reason: str) -> Mapping[str, Any]:
    """The details of a statement that accepts ``breaks``."""
    return {BREAKS: [b.commit for b in breaks], "reason": reason}
