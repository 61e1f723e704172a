"""main against the ledger, both ways: every change has its evidence, and all evidence its change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from gitml.evidence.bearing import why_not
from gitml.evidence.chain import Chain, walk
from gitml.evidence.facts import AuditFacts
from gitml.evidence.findings import Finding, Kind
from gitml.evidence.records import changed
from gitml.evidence.statement import Binding, SignedChange
from gitml.evidence.trust import Believed
from gitml.git.filechange import FileChange
from gitml.git.history import Landed
from gitml.kinds import KINDS
from gitml.verdict import Phase, Verdict

# CI records what a merge brought within minutes.
_GRACE = timedelta(hours=1)
_PLACED = tuple(kind for kind, row in KINDS.items() if row.ran and row.on_main == "change")


@dataclass(frozen=True)
class ChangeRow:
    """A change of a deployment file on main, and the evidence that counts for it.

    ``gate`` and ``approval`` are results (passed, failed, inconclusive) or empty, ``placed`` is promoted, rolled-back
    or empty. ``approvers`` filled the roles' seats at the merge, ``overridden`` tells of gates that people opened.
    ``by`` is who is behind it as the evidence says, ``events`` the evidence. ``phase`` is the worst finding.
    """

    path: str
    model: str
    environment: str
    commit: str
    time: str
    old: str
    new: str
    pull: int | None
    gate: str
    approval: str
    approvers: tuple[str, ...]
    overridden: str
    placed: str
    by: str
    version: str
    events: tuple[str, ...]
    phase: Phase


@dataclass(frozen=True)
class Audit:
    """``older`` changes were not judged, as the audit was asked to begin later."""

    facts: AuditFacts
    verdict: Verdict
    findings: tuple[Finding, ...]
    changes: tuple[ChangeRow, ...]
    events: tuple[Believed, ...]
    older: int = 0


def audit(facts: AuditFacts, now: datetime) -> Audit:
    """Judge all of it. ``now`` is in UTC."""
    chain = walk(facts, now)
    matched = list(_matched(facts, chain.events))
    start = facts.order[facts.since] if facts.since else -1
    judged = [m for m in matched if m.place > start]
    found: list[Finding] = [*chain.findings, *facts.looks]
    rows = []
    for match in judged:
        ways = (_way(facts, landed, match.touch.path, match.pull) for landed in (*match.steps, match.landed))
        mine = [*_change(match, now), *(finding for way in ways for finding in way)]
        found += mine
        rows.append(_row(match, mine))
    found += _records(facts, chain, start)
    found += _governing(facts, start)
    found += _loose(facts, chain, {event.name for match in matched for event in match.events})
    if not facts.rules.keys:
        found.append(Finding(Kind.NO_POLICY, "policy.yaml", "main names no key, so no evidence can be believed"))
    findings = tuple(dict.fromkeys(found))
    return Audit(
        facts, _verdict(rows, chain, findings), findings, tuple(rows), chain.events, len(matched) - len(judged)
    )


def _verdict(rows: Sequence[ChangeRow], chain: Chain, findings: Sequence[Finding]) -> Verdict:
    counts = {"changes": len(rows), "events": len(chain.events), "findings": len(findings)}
    by_kind = Counter(f.kind.value for f in findings)
    said = ", ".join(f"{number} × {kind}" for kind, number in sorted(by_kind.items()))
    if any(f.phase is Phase.FAILED for f in findings):
        return Verdict(Phase.FAILED, said, counts)
    if findings:
        return Verdict(Phase.INCONCLUSIVE, said, counts)
    if not rows and not chain.events:
        return Verdict(Phase.INCONCLUSIVE, "main has no deployments and the ledger no events: nothing to audit", counts)
    reason = f"{len(rows)} changes and {len(chain.events)} events agree"
    return Verdict(Phase.SUCCESSFUL, reason, counts)


@dataclass(frozen=True)
class _Match:
    """A change, the evidence that counts for it in the ledger's order, and why other evidence for it does not.

    ``steps``: earlier commits of the same merge that touched the file as well.
    """

    landed: Landed
    touch: FileChange
    place: int
    events: tuple[Believed, ...]
    doubts: tuple[str, ...]
    steps: tuple[Landed, ...] = ()

    def newest(self, *kinds: str) -> Binding | None:
        return found.binding if (found := self._newest(*kinds)) else None

    def told(self, kind: str) -> Mapping[str, Any]:
        """The details of the newest evidence of a kind."""
        return found.details if (found := self._newest(kind)) else {}

    def _newest(self, *kinds: str) -> Believed | None:
        """Two pull requests may make the same change, and one be shut: the gate of what was approved decides."""
        ours = self.newest("approved") if "gate" in kinds else None
        told = ((e, e.binding) for e in reversed(self.events) if e.kind in kinds)
        return next((e for e, b in told if b and (not ours or (b.pull, b.head) == (ours.pull, ours.head))), None)

    @property
    def pull(self) -> int | None:
        approved = self.newest("approved")
        return approved.pull if approved else None


def deployment_of(path: str, prefix: str) -> tuple[str, str] | None:
    """Model and environment of a deployment file, or None for another file. ``prefix``: the application's folder."""
    parts = path.removeprefix(prefix).split("/")
    if not path.startswith(prefix) or len(parts) != 3 or parts[0] != "models" or not parts[2].endswith(".yaml"):
        return None
    return parts[1], parts[2].removesuffix(".yaml")


def _matched(facts: AuditFacts, events: Sequence[Believed]) -> Iterator[_Match]:
    by_change: dict[tuple[str, str, str], list[Believed]] = {}
    for event in events:
        change = event.binding.change if event.binding else None
        if change:
            by_change.setdefault((change.path, change.old, change.new), []).append(event)
    before: dict[str, str] = {}
    for touch, (*steps, landed) in _merges(facts, events):
        first, place = (facts.order[one.commit] for one in ((*steps, landed)[0], landed))
        candidates = by_change.get((touch.path, touch.old, touch.new), [])
        heard = [e.unless(_unfit(facts, e, touch, before.get(touch.path, ""), first)) for e in candidates]
        fit = tuple(e for e in heard if e)
        doubts = tuple(dict.fromkeys(f"{e.name} {e.why_not}" for e in heard if not e))
        yield _Match(landed, touch, place, fit, doubts, tuple(steps))
        before[touch.path] = landed.commit


def _merges(facts: AuditFacts, events: Sequence[Believed]) -> list[tuple[FileChange, tuple[Landed, ...]]]:
    """Changes of deployment files, oldest first: one commit each, or those that CI says one merge brought."""
    by_path: dict[str, list[tuple[Landed, FileChange]]] = {}
    for landed in facts.changes:
        for touch in landed.touches:
            if deployment_of(touch.path, facts.prefix):
                by_path.setdefault(touch.path, []).append((landed, touch))
    spans = [span for event in events if (span := _span(facts, event))]
    found = []
    for path, steps in by_path.items():
        while steps:
            count = next((n for change, *ends in spans if (n := _length(facts, steps, path, change, *ends)) > 1), 1)
            mine, steps = steps[:count], steps[count:]
            whole = replace(mine[-1][1], old=mine[0][1].old, old_mode=mine[0][1].old_mode)
            found.append((whole, tuple(landed for landed, _ in mine)))
    return sorted(found, key=lambda one: facts.order[one[1][-1].commit])


def _span(facts: AuditFacts, event: Believed) -> tuple[SignedChange, int, int] | None:
    """A change that was approved, with the places of main before its merge and at the end of it."""
    statement = event.statement
    if not event or statement is None or statement.binding.kind != "approved":
        return None
    base, last = (facts.order.get(str(c), -1) for c in (statement.binding.base, statement.details.get("commit")))
    change = statement.binding.change
    return (change, base, last) if change and 0 <= base < last else None


def _length(
    facts: AuditFacts, steps: Sequence[tuple[Landed, FileChange]], path: str, change: SignedChange, base: int, last: int
) -> int:
    """How many of the first steps are this merge: all of its own, and they lead from its old to its new content."""
    if path != change.path or not base < facts.order[steps[0][0].commit] <= last or change.old != steps[0][1].old:
        return 0
    mine = list(takewhile(lambda step: facts.order[step[0].commit] <= last, steps))
    return len(mine) if mine[-1][1].new == change.new else 0


def _unfit(facts: AuditFacts, event: Believed, change: FileChange, last: str, place: int) -> str:
    """Why evidence for a change of the same file between the same contents does not count for this one; or empty.

    ``last`` is the commit before that changed the file: what was judged earlier was judged for another time.
    """
    about = event.binding
    if not event or about is None:
        return ""

    def touched(base: str) -> str | None:
        if not 0 <= facts.order.get(base, -1) < place:
            return None
        return last if facts.order[base] < facts.order.get(last, -1) else ""

    if why := why_not(about, change, touched):
        return why
    base = facts.order[about.base]
    if about.policy != facts.rules_at(base).digest and (about.policy or "policy" in KINDS[about.kind].needs):
        return "was judged by another policy.yaml than main's at that time"
    public = facts.rules.keys[event.signer].public.split()[1]
    if public not in {key.public.split()[1] for key in facts.rules_at(place - 1).keys.values()}:
        return "is signed by a key that main did not name before the change"
    return ""


def _change(match: _Match, now: datetime) -> Iterator[Finding]:
    """What is wrong with one change."""
    path, commit = match.touch.path, match.landed.commit
    if not match.touch.is_plain:
        yield Finding(
            Kind.NO_FILE, path, f"became something else than a plain file (mode {match.touch.new_mode})", commit
        )
    gate, approved, placed = match.newest("gate"), match.newest("approved"), match.newest(*_PLACED)
    why = "; ".join(match.doubts[-3:])
    why = f" ({why})" if why else ""
    if gate is None:
        message = f"changed without evidence that a gate judged it{why}"
        yield Finding(Kind.CHANGE_WITHOUT_EVIDENCE, path, message, commit)
        return
    told = (
        (gate, "the gate said"),
        (approved, "the approvals, judged again at the merge, were"),
        (placed, "CI recorded that what became of it was"),
    )
    for about, words in told:
        if about and about.result != "passed":
            yield Finding(Kind.PAST_A_SHUT_GATE, path, f"was merged although {words} {about.result}", commit)
    if approved and placed:
        return
    missing = "what became of it" if approved else "who approved it"
    if abs(now - match.landed.time) < _GRACE or approved:
        yield Finding(Kind.NOT_RECORDED, path, f"nothing was recorded yet of {missing}{why}", commit)
    else:
        yield Finding(Kind.CHANGE_WITHOUT_EVIDENCE, path, f"changed without evidence of {missing}{why}", commit)


def _way(facts: AuditFacts, landed: Landed, path: str, pull: int | None) -> Iterator[Finding]:
    """How the commit came to main."""
    way = facts.ways.get(landed.commit) if facts.ways is not None else None
    if way is None:
        if pull is None:
            message = "came to main in a way that neither evidence nor a forge told"
            yield Finding(Kind.WAY_UNKNOWN, path, message, landed.commit)
        return
    if way.pull is not None:
        return
    who = way.pushed_by or "somebody"
    yield Finding(Kind.DIRECT_PUSH, path, f"was pushed to main by {who}, without a pull request", landed.commit)
    if way.author and way.pushed_by and way.author.lower() != way.pushed_by.lower():
        message = f"says that it is by {way.author}, but {way.pushed_by} pushed it"
        yield Finding(Kind.FORGED_AUTHOR, path, message, landed.commit)


def _governing(facts: AuditFacts, start: int) -> Iterator[Finding]:
    """Changes of policy, workflows and the like must come by pull requests from the first policy on."""
    first = facts.order[facts.policies[0].commit] if facts.policies else 0
    for landed in facts.changes:
        paths = [t.path for t in landed.touches if not deployment_of(t.path, facts.prefix)]
        if paths and facts.order[landed.commit] > max(first, start):
            yield from _way(facts, landed, paths[0], None)


def _records(facts: AuditFacts, chain: Chain, start: int) -> Iterator[Finding]:
    """Version records that were changed after they came to main."""
    told = (event.binding for event in chain.events if event and event.binding)
    spoken_of = {f"{about.model}/{about.version}" for about in told}
    for landed, finding in changed(facts.records, facts.prefix, spoken_of):
        if facts.order[landed.commit] > start:
            yield finding


def _loose(facts: AuditFacts, chain: Chain, used: set[str]) -> Iterator[Finding]:
    """Believed evidence of things that never came to main."""
    for event in chain.events:
        about = event.binding
        if not event or about is None:
            continue
        must_have = KINDS[about.kind].on_main
        if must_have == "change" and about.result == "passed" and event.name not in used:
            what = about.change.path if about.change else f"{about.model} in {about.environment}"
            message = f"says {about.kind} of {what}, but main has no such change"
            yield Finding(Kind.EVIDENCE_WITHOUT_CHANGE, event.name, message, event.event.commit)
        if must_have == "version" and f"{about.model}/{about.version}" not in facts.versions:
            message = f"says {about.kind} of {about.model} {about.version}, of which main never had a record"
            yield Finding(Kind.EVIDENCE_WITHOUT_CHANGE, event.name, message, event.event.commit)
        if must_have == "commit" and about.head not in facts.order:
            message = f"says {about.kind} of {about.head[:12] or 'no commit'}, which is not on main"
            yield Finding(Kind.EVIDENCE_WITHOUT_CHANGE, event.name, message, event.event.commit)


def _row(match: _Match, findings: Sequence[Finding]) -> ChangeRow:
    gate, approved, placed = match.newest("gate"), match.newest("approved"), match.newest(*_PLACED)
    told = placed or approved or gate
    model, _, environment = match.touch.path.removesuffix(".yaml").rpartition("/")
    return ChangeRow(
        path=match.touch.path,
        model=model.rpartition("/")[2],
        environment=environment,
        commit=match.landed.commit,
        time=f"{match.landed.time:%Y-%m-%dT%H:%M:%SZ}",
        old=match.touch.old,
        new=match.touch.new,
        pull=told.pull if told else None,
        gate=gate.result if gate else "",
        approval=approved.result if approved else "",
        approvers=_texts(match.told("approved").get("approvers")),
        overridden=_overridden(match.told("gate").get("override")),
        placed=placed.kind if placed else "",
        by=told.by if told else "",
        version=told.version if told else "",
        events=tuple(event.name for event in match.events),
        phase=_worst(findings),
    )


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list | tuple) else ()


def _overridden(value: Any) -> str:
    """The gate's own words about what people opened, if they opened anything."""
    verdict = value.get("verdict") if isinstance(value, Mapping) and _texts(value.get("gates")) else None
    reason = verdict.get("reason") if isinstance(verdict, Mapping) else None
    return reason if isinstance(reason, str) else ""


def _worst(findings: Sequence[Finding]) -> Phase:
    if any(f.phase is Phase.FAILED for f in findings):
        return Phase.FAILED
    return Phase.INCONCLUSIVE if findings else Phase.SUCCESSFUL
