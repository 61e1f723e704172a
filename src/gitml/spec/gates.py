"""The gates of policy.yaml: their configuration. How each judges is the business of gitml.policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gitml.spec.application import Format
from gitml.spec.fields import (
    Count,
    Duration,
    Flag,
    Latency,
    MetricName,
    Number,
    Record,
    Size,
    Text,
    WrongValueError,
)

EvidenceKind = Literal[
    "trained",
    "evaluated",
    "reproduced",
    "gate",
    "approved",
    "promoted",
    "deployed",
    "rolled-back",
    "overridden",
    "drift",
    "canary",
]


class Bound(Record):
    """Where a number must lie."""

    at_least: Number | None = Field(None, description="The number, or more.")
    at_most: Number | None = Field(None, description="The number, or less.")

    @model_validator(mode="after")
    def _leaves_room(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise WrongValueError("says nothing", "write at_least or at_most with a number")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise WrongValueError("no number is both at_least and at_most this", "at_least must be the smaller one")
        return self


class Margin(Record):
    """How much worse than the champion is still good enough."""

    margin: Annotated[Number, Field(ge=0)] = Field(
        description="In the metric's own unit; the interval of the paired difference must lie above it."
    )


class Slice(Bound):
    """A bound on one metric in every group of one column."""

    column: Text = Field(description="The column whose values are the groups.")
    metric: MetricName = Field(description="The metric, as the slices file names it.")
    min_rows: Count = Field(description="Groups with fewer rows are not judged.")


class Fairness(Record):
    """How far apart the groups of one column may be."""

    column: Text = Field(description="The column whose values are the groups.")
    metric: MetricName = Field(description="The metric, as the slices file names it.")
    ratio_at_least: Annotated[Number, Field(gt=0, le=1)] = Field(
        description="The smallest group value divided by the largest; 0.8 is the four-fifths rule."
    )
    min_rows: Count = Field(description="Groups with fewer rows are not judged.")


class Gates(Record):
    """What a version must show. A gate that is not named is not asked."""

    metrics: Annotated[Mapping[MetricName, Bound], Field(min_length=1)] | None = Field(
        None, description="Bounds on metrics, held-out data."
    )
    champion: Annotated[Mapping[MetricName, Margin], Field(min_length=1)] | None = Field(
        None, description="Not worse than what runs there now by more than a margin."
    )
    reproduced: Flag | None = Field(None, description="Trained a second time from its record, with the same result.")
    format: Annotated[tuple[Format, ...], Field(min_length=1)] | None = Field(
        None, description="Formats that the artifact may have."
    )
    signature: Literal["compatible"] | None = Field(
        None, description="`compatible`: whoever calls the champion can call this one."
    )
    data_age: Duration | None = Field(None, description="The newest training data is not older than this.")
    size: Size | None = Field(None, description="The artifact is not larger.")
    latency: Latency | None = Field(None, description="One row is answered within this time (95th percentile).")
    slices: Annotated[tuple[Slice, ...], Field(min_length=1)] | None = Field(
        None, description="Bounds on a metric in every group of a column."
    )
    fairness: Annotated[tuple[Fairness, ...], Field(min_length=1)] | None = Field(
        None, description="How far apart groups may be."
    )
    evidence: Annotated[Mapping[EvidenceKind, Duration], Field(min_length=1)] | None = Field(
        None, description="Signed evidence that must exist, and how old it may be."
    )

    @property
    def wanted(self) -> dict[str, object]:
        """The gates that are asked, by name, in the order of this page."""
        values = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name: value for name, value in values if value is not None and value is not False}

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Metrics that the version's metrics file must hold."""
        return tuple(dict.fromkeys([*(self.metrics or ()), *(self.champion or ())]))
