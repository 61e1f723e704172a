"""A candidate of main beside its champion, judged on the traffic: what main pins, and the rules, make the trial."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from gitml.control.mainline import Mainline
from gitml.errors import InconclusiveError, OutsideError
from gitml.models.signature import parse as parse_signature
from gitml.registry import Record
from gitml.rollout.evaluation import Contender, Evaluation, Mode
from gitml.rollout.judge import judge, last_tick
from gitml.rollout.resolved import EvaluatedMetric, resolved
from gitml.rollout.trial import CandidateTrial, DecisionCosts, KpiRule, TrialRules, TrialTraffic
from gitml.spec.canary import CanaryRules
from gitml.spec.canarytest import judged_on_cost
from gitml.spec.deployment import Pin
from gitml.spec.holdout import HoldOut
from gitml.success.facts import FactPlace, fact_window
from gitml.traffic.marks import Completeness, completeness
from gitml.traffic.private import EVERY_COLUMN
from gitml.traffic.reader import Window, events, requests
from gitml.verdict import Phase

_UNREADABLE = (OutsideError, OSError, pa.ArrowException)


@dataclass(frozen=True)
class TrialPlace:
    """``folder`` of the traffic, and the local one that it is gathered in; ``root``: of the application's files."""

    root: Path
    folder: str
    spool: Path | None = None


@dataclass(frozen=True)
class CandidateOrder:
    """Who is judged. ``together``: when main first had both beside each other, ``since``: under these rules as well.
    ``digest``: of the rules, as main's files have it. ``scheduled``: ``at`` is a moment of the schedule."""

    model: str
    environment: str
    mode: Mode
    candidate: Pin
    champion: Pin
    weight: float
    rules: CanaryRules
    digest: str
    together: datetime
    since: datetime
    at: datetime
    scheduled: bool = False


def judged_candidate(main: Mainline, order: CandidateOrder, place: TrialPlace) -> Evaluation:
    """Raises UsageError for rules that name what gitml.yaml does not have, InconclusiveError where no version says what
    it answers. Traffic that cannot be read is an evaluation that is an error."""
    champion, app = main.record(order.model, order.champion.version), main.application()
    rules = resolved(order.rules, app, order.model, own_metrics(champion))
    if spec := judged_on_cost(order.rules, app, order.model):
        rules = with_costs(rules, spec, champion, main.record(order.model, order.candidate.version))
    trial = trial_of(order, champion, rules)
    if trial.output.name in app.private or EVERY_COLUMN in app.private:
        note = f"{trial.output.name} is private, so answers are not logged: metrics on labels cannot be told."
        trial = replace(trial, notes=(*trial.notes, note))
    return judged_trial(trial, traffic_of(trial, place))


def judged_trial(trial: CandidateTrial, traffic: TrialTraffic) -> Evaluation:
    """The judgement, also where the traffic cannot be read."""
    try:
        return judge(trial, traffic)
    except _UNREADABLE as exc:
        return untold(trial, traffic, Phase.ERROR, f"the traffic cannot be read: {str(exc).splitlines()[0]}")


def untold(trial: CandidateTrial, traffic: TrialTraffic, phase: Phase, why: str) -> Evaluation:
    """An evaluation that says why nothing could be judged."""
    empty = judge(replace(trial, at=trial.since), traffic)
    step = replace(empty.step, ready=False)
    following = last_tick(trial.at, trial.every) + trial.every
    return replace(empty, at=trial.at, phase=phase, reason=why, step=step, next_look=following)


def own_metrics(record: Record) -> dict[str, EvaluatedMetric]:
    """What the version's evaluation found."""
    return {name: EvaluatedMetric(m.value, m.low, m.high) for name, m in record.metrics.items()}


def with_costs(rules: TrialRules, spec: HoldOut, champion: Record, candidate: Record) -> TrialRules:
    """Judged on what decisions cost, each version at the threshold that its own record holds."""
    cost = spec.cost
    if cost is None:
        return rules
    old, new = (threshold_of(spec, record) for record in (champion, candidate))
    return replace(rules, cost=DecisionCosts(cost.false_negative, cost.false_positive, old, new))


def threshold_of(spec: HoldOut, record: Record) -> float | None:
    """Where an answer of the version becomes a decision; None where its record lacks the metric that holds it."""
    if not isinstance(spec.threshold, str):
        return spec.threshold
    metric = record.metrics.get(spec.threshold)
    return metric.value if metric else None


def trial_of(order: CandidateOrder, champion: Record, rules: TrialRules) -> CandidateTrial:
    """Raises InconclusiveError for a champion without a signature."""
    if champion.signature is None:
        raise InconclusiveError(
            f"{champion.reference} has no signature: what it answers is not known", "name `signature` in gitml.yaml"
        )
    notes = []
    if order.since > order.together:
        notes.append(f"The rules changed on {order.since:%Y-%m-%d %H:%M} UTC: this is a new test.")
    return CandidateTrial(
        order.model,
        order.environment,
        order.mode,
        Contender(order.candidate.version, order.candidate.digest),
        Contender(order.champion.version, order.champion.digest),
        rules,
        parse_signature(champion.signature).outputs[0],
        order.since,
        order.at,
        order.weight,
        order.rules.steps,
        order.rules.every,
        order.scheduled,
        tuple(notes),
        order.digest,
    )


def traffic_of(trial: CandidateTrial, place: TrialPlace) -> TrialTraffic:
    """The traffic of the trial's model, as it was known at its moment."""

    def rows(window: Window, columns: Sequence[str]) -> Iterator[Any]:
        return requests(place.folder, trial.model, window, spool=place.spool, columns=columns)

    def complete(since: datetime, until: datetime) -> Completeness | None:
        return completeness(place.folder, since, until, at=trial.at, environment=trial.environment)

    def facts(rule: KpiRule, window: Window) -> Iterator[Any]:
        facts_at = FactPlace(place.root, place.folder, place.spool, os.environ)
        return fact_window(
            facts_at, rule.name, rule.spec, (window.since or trial.since, window.until or trial.at), window.at
        )

    return TrialTraffic(
        rows,
        lambda window: events(place.folder, window, spool=place.spool),
        facts,
        complete,
    )
