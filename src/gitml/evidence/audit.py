"""main against the ledger, both ways: every change has its evidence, and all evidence its change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gitml.evidence.chain import Chain, believed_looks, walk
from gitml.evidence.facts import AuditFacts
from gitml.evidence.findings import Finding, Kind
from gitml.evidence.matching import Match, deployment_of, matched
from gitml.evidence.records import changed
from gitml.evidence.trust import Believed
from gitml.gates.review_age import last_review
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
    """``older`` changes were not judged, as the audit was asked to begin later.

    ``looks``: what monitors, evaluations of candidates, impacts and counts of people said, as far as it counted.
    """

    facts: AuditFacts
    verdict: Verdict
    findings: tuple[Finding, ...]
    changes: tuple[ChangeRow, ...]
    events: tuple[Believed, ...]
    older: int = 0
    looks: tuple[Believed, ...] = ()


def audit(facts: AuditFacts, now: datetime) -> Audit:
    """Judge all of it. ``now`` is in UTC."""
    chain = walk(facts, now)
    matches = list(matched(facts, chain.events))
    start = facts.order[facts.since] if facts.since else -1
    judged = [m for m in matches if m.place > start]
    looks = believed_looks(facts, now)
    # What counted when it was exported counts no more: it was edited since, or its key is named no more.
    doubted = (Finding(one.cause, one.name, one.why_not) for one in looks if one.cause)
    found: list[Finding] = [*chain.findings, *facts.looks, *doubted]
    rows = []
    for match in judged:
        ways = (_way(facts, landed, match.touch.path, match.pull) for landed in (*match.steps, match.landed))
        mine = [*_change(match, now), *(finding for way in ways for finding in way)]
        found += mine
        rows.append(_row(match, mine))
    found += _records(facts, chain, start)
    found += _governing(facts, start)
    found += _reviews(facts, chain)
    found += _loose(facts, chain, {event.name for match in matches for event in match.events})
    if not facts.rules.keys:
        found.append(Finding(Kind.NO_POLICY, "policy.yaml", "main names no key, so no evidence can be believed"))
    findings = tuple(dict.fromkeys(found))
    return Audit(
        facts, _verdict(rows, chain, findings), findings, tuple(rows), chain.events, len(matches) - len(judged), looks
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


def _change(match: Match, now: datetime) -> Iterator[Finding]:
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


def _reviews(facts: AuditFacts, chain: Chain) -> Iterator[Finding]:
    """Models that run, and that nobody reviewed in time."""
    for model, seconds in facts.reviewed_within.items():
        last, path = last_review(chain.events, model), f"{facts.prefix}models/{model}/"
        if last is None:
            yield Finding(Kind.NEVER_REVIEWED, path, "runs, and no review of it is signed: `gitml review`")
        elif last.result != "passed":
            yield Finding(Kind.REVIEW_OVERDUE, path, f"runs, and its review of {last.time:%Y-%m-%d} failed")
        elif (due := _due(last.time, seconds)) < _moment(facts.at):
            yield Finding(Kind.REVIEW_OVERDUE, path, f"runs, and its review was due on {due:%Y-%m-%d}")


def _due(last: datetime, seconds: float) -> datetime:
    """Raises ValueError for a period that no calendar has, as an edited export may say it."""
    try:
        return last + timedelta(seconds=seconds)
    except OverflowError as exc:
        raise ValueError(f"a review is due after {seconds} seconds, which is no time") from exc


def _moment(text: str) -> datetime:
    """Raises ValueError for none, or one without a zone."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("the moment of the audit has no zone")
    return found


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


def _row(match: Match, findings: Sequence[Finding]) -> ChangeRow:
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
