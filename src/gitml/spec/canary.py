"""``canary`` of policy.yaml: what a candidate must show beside the champion before it takes the champion's place.

It stands in policy.yaml and not in gitml.yaml, because it decides who gets in.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from gitml.fields import Count, Duration, FileSection, Flag, Latency, MetricName, Name, Number, WrongValueError
from gitml.spec.monitors import Share

CanaryMode = Literal["shadow", "split"]
CanaryChange = Literal["raise", "promote", "take-back"]
Percent = Annotated[Number, Field(gt=0, lt=100)]
Margin = Annotated[Number, Field(ge=0)]
# Those that answers and labels tell.
CANARY_METRICS = ("auc", "log_loss", "brier", "accuracy", "precision", "recall", "mae", "mse", "rmse")
# Habits of users repeat by the week: a KPI that is judged on a few days is that of these days.
KPI_WEEK = timedelta(days=7)
_SHORTEST_LOOK = timedelta(minutes=5)


def check_steps(steps: tuple[float, ...]) -> tuple[float, ...]:
    if list(steps) != sorted(set(steps)):
        raise WrongValueError("the steps do not rise", "write them in order, such as [10, 50]")
    return steps


def check_every(value: timedelta) -> timedelta:
    if not _SHORTEST_LOOK <= value <= KPI_WEEK:
        raise WrongValueError("looks are between 5m and 7d apart", "such as 1h")
    return value


class CanaryGoal(FileSection):
    """What a number must reach: not be worse than the champion's by more than a margin, or be better."""

    margin: Margin | None = Field(
        None,
        description="How much worse than the champion's it may be, in its own unit: the candidate must be shown "
        "not to be worse than that.",
    )
    goal: Literal["better"] | None = Field(
        None, description="`better`: the candidate must be shown to be better. One that equals the champion expires."
    )

    @model_validator(mode="after")
    def _is_one_goal(self) -> Self:
        if self.goal and self.margin is not None:
            raise WrongValueError("a candidate that must be better has no margin", "keep margin or goal")
        return self


class CanaryMetric(CanaryGoal):
    """The primary metric: a metric on labels, or a KPI."""

    name: MetricName | None = Field(
        None,
        description="auc, log_loss, brier, accuracy, mae, mse, rmse, precision, recall, or the `metric` of the model's "
        "`holdout.cost` in gitml.yaml: what decisions cost, each version at its own threshold. By default the first of "
        "those that answers alone tell under `better`.",
    )
    kpi: Name | None = Field(None, description="Instead, one of `kpis` in gitml.yaml. It needs the traffic split.")

    @model_validator(mode="after")
    def _is_one_metric(self) -> Self:
        if self.name and self.kpi:
            raise WrongValueError("there is one primary metric", "keep name or kpi")
        return self


class CanaryGuardrails(FileSection):
    """What the candidate must not break, however good it is. They are judged at every look, also during a hold."""

    errors: Share = Field(
        0.01, description="How much larger its share of requests that failed or timed out may be than the champion's."
    )
    latency: Latency | None = Field(
        None, description="What is slow, such as 200ms; by default twice the champion's 99th percentile."
    )
    slow: Share = Field(0.01, description="How much larger its share of slow answers may be than the champion's.")
    missing: Share = Field(0.01, description="How much larger its share of answers without a value may be.")
    disagreement: Share | None = Field(
        None,
        description="What share of answers may differ from the champion's. By default that is shown for review: a "
        "better model should disagree.",
    )


class CanaryMinimum(FileSection):
    """With less than this nothing passes and, but for guardrails, nothing fails."""

    units: Count = Field(200, description="Units of each arm: users, or requests where they name no unit.")
    events: Count = Field(20, description="Events of each arm, such as positives or wrong answers: a rate needs some.")
    time: Duration = Field(
        timedelta(days=1),
        description="How long both must have been there; at least 7d where a KPI is the primary metric.",
        json_schema_extra={"default": "1d"},
    )


class CanaryLabels(FileSection):
    """When labels count, and for whom they come."""

    within: Duration | None = Field(
        None,
        description="When labels have come: only requests that are older count, of both arms. By default as `harm` "
        "under `monitors` in gitml.yaml says it, or one window of the monitor.",
    )
    coverage: Share = Field(
        0.05,
        description="How much the share of requests with a label may differ between the arms; that of each source too.",
    )
    depend_on_answers: Flag = Field(
        False,
        description="Whether an answer decides if its label comes, as for loans that are declined: then arms of split "
        "traffic cannot be compared on labels, and shadows only where the champion's answer let one come.",
    )


class CanaryRules(FileSection):
    """How candidates are judged beside the champion, and what follows."""

    metric: CanaryMetric = Field(
        default_factory=CanaryMetric,
        description="The primary metric. By default the model's first one, with half the width of the interval that "
        "the champion's evaluation has as margin.",
    )
    kpis: Mapping[Name, CanaryGoal] = Field(
        default_factory=dict, description="KPIs of gitml.yaml that must reach a goal too, where the traffic is split."
    )
    guardrails: CanaryGuardrails = Field(default_factory=CanaryGuardrails, description="What it must not break.")
    minimum: CanaryMinimum = Field(default_factory=CanaryMinimum, description="What it takes before it is judged.")
    maximum: Duration = Field(
        timedelta(days=30),
        description="A test that is undecided after this time expires.",
        json_schema_extra={"default": "30d"},
    )
    labels: CanaryLabels = Field(default_factory=CanaryLabels, description="When labels count.")
    clusters: Literal["day"] | None = Field(
        None,
        description="`day`: rows of a day are alike (weather, a holiday), so that each day is one draw as well as each "
        "unit: the metric and KPIs pass or fail where both say so, from the sixth day or so on. Without it a test "
        "speaks of the days that it saw.",
    )
    steps: Annotated[tuple[Percent, ...], Field(min_length=1, max_length=20), AfterValidator(check_steps)] = Field(
        (10.0, 50.0), description="Percent of the traffic that a canary gets, one after another; then it is champion."
    )
    modes: Annotated[tuple[CanaryMode, ...], Field(min_length=1)] = Field(
        ("split",),
        description="What may open the gate: split traffic, or, where `shadow` is listed, also a shadow that passes, "
        "which then skips the steps. A replay never does alone.",
    )
    error_rate: Annotated[Number, Field(gt=0, le=0.2)] = Field(
        0.05, description="Of candidates that are not good enough so many may pass, however often one looks."
    )
    every: Annotated[Duration, AfterValidator(check_every)] = Field(
        timedelta(hours=1), description="How often there is a look.", json_schema_extra={"default": "1h"}
    )
    approvals: Mapping[CanaryChange, Mapping[Name, Count]] = Field(
        default_factory=dict,
        description="How many people of which role must approve what the bot proposes: `raise`, `promote`, "
        "`take-back`; by default those of the environment.",
    )
    propose_per_week: Count = Field(3, description="So many pull requests a week and model the bot opens at most.")
    merge: Flag = Field(False, description="Whether the bot merges its pull request once it has its approvals.")
    guard: Duration | None = Field(
        None, description="How long the old champion stays as shadow after a promotion, to notice that it was better."
    )

    replay: Duration | None = Field(
        None,
        description="How long before its training the requests begin that a version answers again once a promotion "
        "proposes it, such as 14d: a job of its own says on the pull request how it did. Without it nothing is "
        "replayed but by hand.",
    )

    @property
    def least_time(self) -> timedelta:
        """How long both versions must have been there before anything passes."""
        return max(self.minimum.time, KPI_WEEK) if self.metric.kpi else self.minimum.time

    def step_after(self, weight: float) -> float | Literal["champion"]:
        """
        >>> CanaryRules().step_after(10), CanaryRules().step_after(50)
        (50.0, 'champion')
        """
        return next((step for step in self.steps if step > weight), "champion")

    @model_validator(mode="after")
    def _can_end(self) -> Self:
        if self.maximum <= self.least_time:
            raise WrongValueError(
                "the test expires before anything can pass", "make maximum longer than minimum.time (a week for a KPI)"
            )
        if self.labels.within and self.labels.within >= self.maximum:
            raise WrongValueError(
                "the test expires before the first label counts", "make maximum longer than labels.within"
            )
        return self
