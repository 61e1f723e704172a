"""Is a change of main believed? Only signed evidence for exactly it counts, judged by rules that it cannot set itself.

The keys come from policy.yaml twice: as it stood before the change, so that a change which brings a key in cannot be
signed by that key, and as it stands on main now, so that a key that was taken out stops to count at once. Evidence
names the commit of main that it was judged on; nothing may have touched the file between that commit and the change.
So evidence for A → B is worth nothing for a second A → B after a rollback, though path and blobs are the same.

A rebase puts each commit of a pull request on main, and several may touch the file. What was judged is the whole of
them. CI, which asked the forge, says in `approved` where that begins and ends; it counts for this one merge alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from gitml.agent.source import Mirror, Moved
from gitml.errors import GitmlError, OutsideError, SpecError
from gitml.evidence.bearing import predates, why_not
from gitml.evidence.keys import fingerprint
from gitml.evidence.reader import EvidenceRules, by_time
from gitml.evidence.standing import Standing, standing
from gitml.evidence.statement import Binding, Statement
from gitml.evidence.trust import Believed, Cause, believe_event, sealed
from gitml.git.ledger import Event
from gitml.git.ledgerline import LedgerEntry, Line
from gitml.registry.replacements import KIND as ERASED
from gitml.registry.replacements import ReplacedFile, replacements_of
from gitml.spec.policy import POLICY, Policy, TrustedKey, parse_policy

KINDS = ("gate", "approved", "rolled-back")
ACCEPTING = "overridden"
_READ = (*KINDS, "promoted", ACCEPTING, ERASED)
Change = tuple[str, str, str]
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class UntrustedError(GitmlError):
    """A change of main without the evidence that it needs."""

    exit_code = 1


class NotYetError(UntrustedError):
    """The same, and time alone may change it."""


@dataclass(frozen=True)
class ChangeEvents:
    """The events that could count, by (path, old blob, new blob), oldest first; those that accept breaks, and those
    that say what became of erasures.

    ``line`` is the ledger as far as it was read, ``waiting`` what is read in the next rounds: then nothing that is
    missing here is known to be missing.
    """

    line: Line = field(default_factory=Line)
    by_change: Mapping[Change, tuple[Event, ...]] = field(default_factory=dict)
    accepting: tuple[Event, ...] = ()
    erasing: tuple[Event, ...] = ()
    waiting: tuple[LedgerEntry, ...] = ()

    def of(self, change: Moved) -> tuple[Event, ...]:
        return self.by_change.get((change.path, change.old, change.new), ())

    def standing(self, rules: EvidenceRules) -> Standing:
        """How the line stands by main's policy as it is now."""
        if not self.line.breaks:
            return Standing(self.line)
        events = (*self.accepting, *self.erasing, *(event for found in self.by_change.values() for event in found))
        return standing(self.line, [rules.believe(event) for event in events], rules.policy)


def brought_up(before: ChangeEvents, mirror: Mirror, head: str) -> ChangeEvents:
    """The ledger at ``head``. Only what is new is read, and a part of it where that is very much: a ledger has
    thousands of events, and a server has little time.

    Nothing is believed yet, but what is not in the one form and under the one name of an event never will be.
    """
    if not before.waiting and head in ("", before.line.head):
        return before
    line = mirror.ledger(before.line) if head != before.line.head else before.line
    fresh = [entry for entry in line.entries if entry not in before.line.entries and _kind_of(entry.name) in _READ]
    wanted = [*before.waiting, *fresh]
    events, waiting = mirror.events(wanted)
    added: dict[Change, list[Event]] = {}
    accepting, erasing = list(before.accepting), list(before.erasing)
    for event in events:
        found = sealed(event)
        if isinstance(found, Believed):
            continue
        about = found[1].binding
        if about.change is not None:
            added.setdefault((about.change.path, about.change.old, about.change.new), []).append(event)
        elif about.kind == ACCEPTING:
            accepting.append(event)
        elif about.kind == ERASED:
            erasing.append(event)
    sorted_in = {c: tuple(sorted((*before.by_change.get(c, ()), *e), key=_by_name)) for c, e in added.items()}
    erased = tuple(sorted(erasing, key=_by_name))
    return ChangeEvents(line, {**before.by_change, **sorted_in}, tuple(accepting), erased, tuple(waiting))


def _by_name(event: Event) -> str:
    """A name that is the one of its content begins with the signed time."""
    return event.name


@dataclass(frozen=True)
class Grounds:
    """What a change is judged on: the mirror, main's tip, the ledger, whose repository, and the time.

    ``only``: fingerprints that this machine's operator trusts; empty leaves that to policy.yaml alone. ``known``: what
    was found of deployment files, by path and blob, from the same main and ledger.
    """

    mirror: Mirror
    head: str
    ledger: ChangeEvents
    repository: str
    now: datetime
    only: frozenset[str] = frozenset()
    host: str = ""
    known: dict[tuple[str, str], Trusted | UntrustedError] = field(default_factory=dict)

    @cached_property
    def policy(self) -> Policy:
        """Main's as it stands now. Raises UntrustedError."""
        return policy_at(self.mirror, self.head)[1]

    @cached_property
    def replaced(self) -> tuple[ReplacedFile, ...]:
        """Files with rows or counts that others take the place of, as whoever main names for erasures signed it."""
        keys = self.policy.keys
        told = (self.believed(event, keys) for event in self.ledger.erasing)
        return replacements_of(
            one.details for one in told if one and (not self.only or fingerprint(keys[one.signer].public) in self.only)
        )

    @cached_property
    def standing(self) -> Standing:
        return self.ledger.standing(EvidenceRules(self.policy, self.repository, self.now, self.host))

    def believed(self, event: Event, keys: Mapping[str, TrustedKey]) -> Believed:
        """The one judgement of an event, by other keys."""
        return self.standing.judged(believe_event(event, keys, self.repository, self.now, self.host))


@dataclass(frozen=True)
class Trusted:
    """A believed change: ``approved`` is the time of the approval; ``events`` are the names of its evidence.

    ``policy`` is main's as it stands now, ``overrides`` what overrides the gate's own evidence tells of.
    """

    change: Moved
    approved: datetime
    rollback: bool
    events: tuple[str, ...]
    policy: Policy
    details: Mapping[str, Any]


def trust(grounds: Grounds, change: Moved) -> Trusted:
    """Raises UntrustedError that says what is missing and why what is there does not count."""
    if grounds.ledger.waiting:
        raise NotYetError(f"{len(grounds.ledger.waiting)} events of the ledger are still to be read")
    if not change.parent:
        raise UntrustedError(
            f"{change.path} came with the first commit of main, where nothing can be judged",
            "promote by a pull request: gitml promote",
        )
    try:
        return _trusted(grounds, change)
    except UntrustedError:
        for whole, last in _merges(grounds, change):
            with suppress(UntrustedError):
                return _trusted(grounds, whole, last)
        raise


def _merges(grounds: Grounds, change: Moved) -> Iterator[tuple[Moved, str]]:
    """Merges of several commits that this change could be the last step of, with the last commit of each.

    Somebody whom main trusts said it (a ledger full of rubbish costs no time), and Git bears it out. Whether it counts
    for this change is judged afterwards.
    """
    mirror = grounds.mirror
    for (path, old, new), events in grounds.ledger.by_change.items():
        if (path, new) != (change.path, change.new) or old == change.old:
            continue
        told = (grounds.believed(event, grounds.policy.keys) for event in events)
        for base, last in dict.fromkeys(ends for one in told if one and (ends := _ends(one.statement))):
            whole = Moved(path=path, old=old, new=new, commit=change.commit, parent=base)
            before = mirror.blob_id(base, path) == old and mirror.continues(change.parent, base)
            if before and mirror.unchanged(path, change.commit, last) and mirror.continues(grounds.head, last):
                yield whole, last


def _ends(statement: Statement | None) -> tuple[str, str] | None:
    """Base and last commit of a merge, as evidence `approved` says."""
    if statement is None or statement.binding.kind != "approved":
        return None
    last = statement.details.get("commit")
    return (statement.binding.base, last) if isinstance(last, str) and _COMMIT.fullmatch(last) else None


def _trusted(grounds: Grounds, change: Moved, last: str = "") -> Trusted:
    """``last``: the change is a whole merge, which ends there and begins at the change's parent."""
    keys = _keys(grounds, change)
    told: dict[str, list[Believed]] = {kind: [] for kind in KINDS}
    for event in grounds.ledger.of(change):
        heard = _hear(grounds, change, event, keys)
        kind = heard.binding.kind if heard.binding else _kind_of(event.name)
        if kind in told:
            told[kind].append(heard)
    after = [_not_before(grounds, heard, change.commit, keys) for heard in told["approved"]]
    approved = _newest("approved", [_of_this_merge(heard, change, last) for heard in after], change)
    gate = _newest("gate", [_of_the_same(heard, approved) for heard in told["gate"]], change)
    rolled = [_of_the_same(heard, approved) for heard in told["rolled-back"]]
    rolled = [h for h in rolled if h and h.binding and h.binding.result == "passed"]
    return Trusted(
        change,
        _time(approved),
        bool(rolled),
        tuple(h.name for h in (gate, approved, *rolled[-1:])),
        keys.now,
        dict(gate.details),
    )


@dataclass(frozen=True)
class _Keys:
    """``before``: as the change found them; ``now``: the policy of main's tip; ``digest`` is of the former."""

    before: Mapping[str, TrustedKey]
    now: Policy
    digest: str

    def until(self, signer: str) -> datetime | None:
        """When the key's time is over, whichever of the two says so first; None if neither does."""
        mine = fingerprint(self.before[signer].public)
        both = (*self.before.values(), *self.now.keys.values())
        return min((k.until for k in both if k.until and fingerprint(k.public) == mine), default=None)


def _keys(grounds: Grounds, change: Moved) -> _Keys:
    raw, before = policy_at(grounds.mirror, change.parent)
    return _Keys(before.keys, grounds.policy, hashlib.sha256(raw).hexdigest())


def policy_at(mirror: Mirror, commit: str) -> tuple[bytes, Policy]:
    """Bytes and meaning. Raises UntrustedError when there is none, or none that can be read."""
    raw = mirror.file(commit, POLICY)
    if raw is None:
        raise UntrustedError(f"{commit[:10]} has no {POLICY}: nobody says whose signatures count", "restore it")
    try:
        return raw, parse_policy(raw)
    except SpecError as exc:
        raise UntrustedError(f"{POLICY} at {commit[:10]} cannot be read: {exc.message.splitlines()[0]}") from exc


def _hear(grounds: Grounds, change: Moved, event: Event, keys: _Keys) -> Believed:
    """Whom main named before the change, and names still, must have signed it, for exactly this change."""
    before, now = (grounds.believed(event, k) for k in (keys.before, keys.now.keys))
    if not before or before.binding is None:
        return before
    if not now:
        return before.unless(f"{now.why_not} on main now")
    signer = fingerprint(keys.before[before.signer].public)
    if grounds.only and signer not in grounds.only:
        return before.unless(f"its key {signer} is not among those of --trust")
    why = _unfit(grounds.mirror, change, before.binding)
    return _not_before(grounds, before.unless(why), before.binding.base, keys)


def _kind_of(name: str) -> str:
    """From ``…/<time>-<kind>-<digest>.json``."""
    stem = name.rpartition("/")[2].removesuffix(".json")
    return next((kind for kind in _READ if f"-{kind}-" in stem), "")


def _unfit(mirror: Mirror, change: Moved, binding: Binding) -> str:
    """Why a statement that is signed well does not fit this change; "" when it does."""
    why = why_not(binding, change, lambda base: mirror.touched_since(change.path, base, change.parent))
    return f"it {why}" if why else ""


def _of_the_same(heard: Believed, approved: Believed) -> Believed:
    """Two pull requests may make the same change, and one be shut: what was approved is what must have passed."""
    ours, theirs = heard.binding, approved.binding
    if ours is None or theirs is None or (ours.pull, ours.head) == (theirs.pull, theirs.head):
        return heard
    return heard.unless("it speaks of another pull request, or another head, than was approved")


def _not_before(grounds: Grounds, heard: Believed, commit: str, keys: _Keys) -> Believed:
    """CI says who had approved when it is merged: what is dated before that was signed by somebody with an old key."""
    if not heard or heard.binding is None:
        return heard
    return heard.unless(predates(grounds.mirror.repository, heard.binding, commit, keys.until(heard.signer)))


def _of_this_merge(heard: Believed, change: Moved, last: str) -> Believed:
    """Where several commits are taken for one merge, CI must have said it of exactly them, or it is a replay."""
    if not last or heard.binding is None:
        return heard
    if (heard.binding.base, heard.details.get("commit")) == (change.parent, last):
        return heard
    return heard.unless("it speaks of another merge")


def _newest(kind: str, told: Sequence[Believed], change: Moved) -> Believed:
    """The last that counts decides: a gate that shut again is shut."""
    place = f"{change.path} at {change.commit[:10]}"
    counting = [heard for heard in told if heard]
    if not counting:
        why = "; ".join(dict.fromkeys(f"{heard.why_not} ({heard.name})" for heard in told[-3:]))
        early = any(heard.cause is Cause.FUTURE for heard in told)
        raise (NotYetError if early else UntrustedError)(
            f"{place} has no {kind!r} evidence that counts" + (f": {why}" if why else ""),
            "was it merged past the gate, or is CI still recording? `gitml evidence ls` shows what there is",
        )
    newest = max(counting, key=by_time)
    if newest.binding is None or newest.binding.result != "passed":
        result = newest.binding.result if newest.binding else "nothing"
        raise UntrustedError(f"{place}: the newest {kind!r} evidence says {result} ({newest.name})")
    return newest


def _time(heard: Believed) -> datetime:
    if heard.binding is None:
        raise OutsideError("a statement without its payload")
    return heard.binding.moment
