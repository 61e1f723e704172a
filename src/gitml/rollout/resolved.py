"""The rules of a test as it is judged: policy.yaml's, with what gitml.yaml and the champion's evaluation fill in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gitml.errors import UsageError
from gitml.rollout.trial import KpiRule, TrialRules
from gitml.spec import Application
from gitml.spec.canary import CanaryGoal, CanaryRules
from gitml.spec.canarytest import labels_within, metric_of
from gitml.spec.kpis import NEEDS_UNITS


@dataclass(frozen=True)
class EvaluatedMetric:
    """What the champion's evaluation found: a value and its interval."""

    value: float
    low: float | None = None
    high: float | None = None


def resolved(rules: CanaryRules, app: Application, model: str, own: Mapping[str, EvaluatedMetric]) -> TrialRules:
    """``own``: metrics of the champion's evaluation. Raises UsageError for a KPI that gitml.yaml does not have."""
    metric = metric_of(rules, app, model)
    margin = _margin(rules, own.get(metric))
    if margin is None and not rules.metric.goal:
        metric = ""
    rails, least = rules.guardrails, rules.minimum
    return TrialRules(
        metric=metric,
        margin=margin,
        kpi=_kpi(rules.metric.kpi, rules.metric, app) if rules.metric.kpi else None,
        kpis=tuple(_kpi(name, goal, app) for name, goal in sorted(rules.kpis.items())),
        errors=rails.errors,
        slow=rails.slow,
        slow_ms=rails.latency,
        missing=rails.missing,
        disagreement=rails.disagreement,
        units=least.units,
        events=least.events,
        time=rules.least_time,
        maximum=rules.maximum,
        labels_within=labels_within(rules, app, model),
        coverage=rules.labels.coverage,
        depend_on_answers=rules.labels.depend_on_answers,
        error_rate=rules.error_rate,
        clusters=rules.clusters,
    )


def _margin(rules: CanaryRules, own: EvaluatedMetric | None) -> float | None:
    """By default what the champion's own evaluation could not tell apart: half the width of its interval."""
    if rules.metric.goal:
        return None
    if rules.metric.margin is not None and not rules.metric.kpi:
        return rules.metric.margin
    if own is None or own.low is None or own.high is None or not own.high > own.low:
        return None
    return (own.high - own.low) / 2


def _kpi(name: str, goal: CanaryGoal, app: Application) -> KpiRule:
    if name not in app.kpis:
        known = ", ".join(app.kpis) or "none"
        raise UsageError(f"there is no KPI {name}", f"gitml.yaml has {known}: add it under `kpis`")
    if not app.kpis[name].has_units:
        raise UsageError(f"the KPI {name} has days alone, and candidates are judged by unit", NEEDS_UNITS)
    margin = None if goal.goal or goal.margin is None else goal.margin
    return KpiRule(name, app.kpis[name], margin)
