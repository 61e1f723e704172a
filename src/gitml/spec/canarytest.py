"""What gitml.yaml says of a candidate's test where policy.yaml leaves it open."""

from __future__ import annotations

from datetime import timedelta

from gitml.spec.application import Application
from gitml.spec.canary import CANARY_METRICS, CanaryRules
from gitml.spec.holdout import HoldOut


def metric_of(rules: CanaryRules, app: Application, model: str) -> str:
    """The metric on labels: as named, else the first under ``better`` that labels tell; '' where there is none."""
    if rules.metric.name:
        return rules.metric.name
    better = app.models[model].better if model in app.models else {}
    return next((name for name in better if name in CANARY_METRICS), "")


def judged_on_cost(rules: CanaryRules, app: Application, model: str) -> HoldOut | None:
    """The model's ``holdout`` where the metric is what its decisions cost; else None."""
    spec = app.models[model].holdout if model in app.models else None
    return spec if spec and spec.cost and rules.metric.name == spec.cost.metric else None


def labels_within(rules: CanaryRules, app: Application, model: str) -> timedelta:
    """How long labels may take: as named, else as the model's monitor has it."""
    spec = app.monitors.of(model)
    return rules.labels.within or spec.harm.labels_within or spec.window


def decides_elsewhere(rules: CanaryRules, app: Application, model: str) -> list[object]:
    """What gitml.yaml says of the test, for its digest."""
    names = sorted({*rules.kpis, *([rules.metric.kpi] if rules.metric.kpi else [])})
    kpis = {name: app.kpis[name].by_unit for name in names if name in app.kpis}
    spec = judged_on_cost(rules, app, model)
    cost = [spec.model_dump(mode="json", include={"threshold", "cost"})] if spec else []
    return [metric_of(rules, app, model), labels_within(rules, app, model).total_seconds(), kpis, *cost]
