"""``gitml override``: one person's signed word that named gates of one promotion may stay shut and it goes ahead.

It opens nothing alone: policy.yaml says of which role, and how many. What could never count is not signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gitml.ci.table import workflow_of
from gitml.control.place import Place
from gitml.control.signing import Signer, bound, heard
from gitml.errors import FailedError, GitmlError, InconclusiveError, UsageError
from gitml.evidence.keys import SigningKey, fingerprint
from gitml.evidence.statement import SignedChange, Statement
from gitml.forges.base import PullRequest
from gitml.gate.ground import Ground, ground
from gitml.gate.judge import Judged, judge
from gitml.gate.statement import pin_of
from gitml.gates.facts import Unknown
from gitml.policy.change import Move
from gitml.policy.decision import Decision
from gitml.policy.freezes import moment
from gitml.policy.override import NEVER, Overrule, gate_of, why_may_not
from gitml.spec.policy import Override
from gitml.verdict import Phase


@dataclass(frozen=True)
class OverrideOrder:
    """``until``: the end, or how long it lasts; None takes the longest that policy.yaml allows."""

    pull: int
    gates: Sequence[str]
    reason: str
    key: SigningKey
    until: datetime | timedelta | None = None


@dataclass(frozen=True)
class Overridden:
    """``event`` is the ledger's name of what ``by`` signed. ``now`` is what all statements together do.

    ``open``: whether the whole gate would pass now. ``waits``: why the gate was not asked to look again, "" if it was.
    """

    pull: int
    model: str
    environment: str
    gates: tuple[str, ...]
    by: str
    until: datetime
    event: str
    now: Overrule | None
    open: bool
    waits: str


def override(place: Place, order: OverrideOrder) -> Overridden:
    """Sign it, add it to the ledger, and ask the gate to look again.

    Raises UsageError for what policy.yaml has no place for, FailedError for a person who may not, InconclusiveError
    while the promotion cannot be judged.
    """
    pull = _open_pull(place, order.pull)
    with ground(place) as known:
        rule, owner = _rule(known), _owner(known, order.key)
        judged = judge(place, known, pull)
        decision = _promotion(judged)
        gates = _gates(order.gates, decision)
        _refuse_others(known, rule, judged, owner)
        until = _until(order.until, rule, place.clock().replace(microsecond=0))
        statement = _statement(place, judged, owner, {"gates": list(gates), "reason": order.reason}, until)
        (event,) = Signer(place, known.policy, order.key).sign([statement])
        after = judge(place, known.listening(heard(place, known.policy)), pull).decision
    return Overridden(
        pull=order.pull,
        model=decision.model,
        environment=decision.environment,
        gates=gates,
        by=owner,
        until=until,
        event=event,
        now=after.override if after else None,
        open=after.is_open if after else False,
        waits=_ask_again(place, known),
    )


def _open_pull(place: Place, number: int) -> PullRequest:
    pull = place.forge.pulls.get(number)
    if not pull.is_open:
        raise UsageError(f"pull request {number} is closed", "open it again on its page")
    if pull.base.branch != place.branch:
        raise UsageError(f"pull request {number} goes into {pull.base.branch}, not into {place.branch}")
    return pull


def _rule(known: Ground) -> Override:
    if known.policy.override is None:
        hint = "`override: {role: ROLE, people: 2, lasts: 7d}` in policy.yaml, by a pull request, says who may"
        raise UsageError("policy.yaml lets nobody override a gate", hint)
    return known.policy.override


def _owner(known: Ground, key: SigningKey) -> str:
    """The login that policy.yaml ties to the key."""
    trusted = next((k for k in known.policy.keys.values() if fingerprint(k.public) == key.keyid), None)
    if trusted is None or "overridden" not in trusted.purposes:
        what = "does not know this key" if trusted is None else "lets this key sign other things only"
        hint = "`gitml evidence keygen FILE --owner LOGIN --purpose overridden` makes one and says what to add"
        raise UsageError(f"policy.yaml of the default branch {what}", hint)
    return trusted.owner


def _promotion(judged: Judged) -> Decision:
    number = judged.pull.number
    if judged.refused:
        raise UsageError(f"pull request {number} may not be merged at all: {judged.refused[0]}")
    if judged.decision is None:
        raise UsageError(f"pull request {number} is not a promotion: no deployment file changes")
    if judged.decision.move is not Move.PROMOTION:
        raise UsageError(f"pull request {number} is a {judged.decision.move.value}, which has no gates to override")
    return judged.decision


def _gates(asked: Sequence[str], decision: Decision) -> tuple[str, ...]:
    """The asked ones, each once. Raises UsageError for one that is not shut, or that nobody opens."""
    named = {**decision.verdicts, "freeze": decision.freeze}
    shut = {gate_of(name) for name, verdict in named.items() if verdict.phase is not Phase.SUCCESSFUL}
    can = sorted(shut - NEVER)
    hint = f"these can be overridden now: {', '.join(can)}" if can else "no gate is shut that can be overridden"
    for gate in asked:
        if gate in NEVER:
            raise UsageError(f"{gate} is never overridden", hint)
        if gate not in shut:
            raise UsageError(f"the gate {gate} is not shut", hint)
    return tuple(dict.fromkeys(asked))


def _refuse_others(known: Ground, rule: Override, judged: Judged, owner: str) -> None:
    case = judged.case
    if case is None or isinstance(case.pull, Unknown):
        why = case.pull.reason if case and isinstance(case.pull, Unknown) else "nothing is known of it"
        raise InconclusiveError(f"it cannot be told who made pull request {judged.pull.number}: {why}", "try again")
    if why := why_may_not(known.policy, rule, case, owner):
        hint = f"somebody else of the role {rule.role} may override, who had no part in the change"
        raise FailedError(f"{owner} may not override this: {owner} {why}", hint)


def _until(asked: datetime | timedelta | None, rule: Override, now: datetime) -> datetime:
    if asked is None and rule.lasts is None:
        raise UsageError("an override needs an end", "say --until 3d, or --until 2026-12-01")
    until = now + (asked or rule.lasts or timedelta()) if not isinstance(asked, datetime) else asked
    if until <= now:
        raise UsageError(f"{moment(until)} is over already", "say a day that lies ahead, or how long: --until 3d")
    if rule.lasts and until - now > rule.lasts:
        raise UsageError(
            "it would last longer than policy.yaml allows", f"it may last until {moment(now + rule.lasts)} at most"
        )
    return until


def _statement(place: Place, judged: Judged, owner: str, details: dict[str, Any], until: datetime) -> Statement:
    edit, pull, known = judged.edit, judged.pull, judged.ground
    assert edit is not None
    about: dict[str, Any] = {
        "change": SignedChange(path=edit.path, old=edit.old, new=edit.new),
        "model": edit.model,
        "environment": edit.environment,
        "pull": pull.number,
        "head": pull.head.commit,
        "base": known.main.commit,
        "policy": known.digest,
        "by": owner,
        **pin_of(judged),
    }
    try:
        return Statement(bound(place, "overridden", "", **about), {**details, "until": until.isoformat()})
    except ValueError as exc:
        raise InconclusiveError(f"evidence cannot hold what this change is: {exc}") from exc


def _ask_again(place: Place, known: Ground) -> str:
    """The gate looks by itself every hour; a token that may start workflows makes it look now."""
    application, prefix = known.main.application(), known.main.git.prefix
    try:
        workflow = workflow_of(application.ci.system[0], application.application, prefix, "gate")
        place.forge.runs.start(workflow, place.branch)
    except GitmlError as exc:
        return exc.message.splitlines()[0]
    return ""
