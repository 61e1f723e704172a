"""Gate ``slices``: a metric in every group of a column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from gitml.fields import Count, MetricName, Text
from gitml.gates.base import SCIENTIST, Advice, Need
from gitml.gates.bounds import Bound, within
from gitml.gates.facts import Facts, Unknown
from gitml.gates.groups import groups
from gitml.gates.verdicts import together, unclear
from gitml.verdict import Verdict


class Slice(Bound):
    """A bound on one metric in every group of one column."""

    column: Text = Field(description="The column whose values are the groups.")
    metric: MetricName = Field(description="The metric, as the slices file names it.")
    min_rows: Count = Field(description="Groups with fewer rows are not judged.")


KEY = Annotated[tuple[Slice, ...], Field(min_length=1)]
MEANING = "Bounds on a metric in every group of a column."
ADVICE = Advice(
    SCIENTIST,
    "look at the groups that fail",
    "let the stage that evaluates write these groups, with enough rows",
)


def judge(facts: Facts, wanted: Sequence[Slice]) -> Verdict:
    """In every group of the column the metric lies within the bounds.

        slices:
          - {column: carrier, metric: auc, at_least: 0.6, min_rows: 500}

    Groups with fewer than ``min_rows`` rows are not judged. If no group is left, or one that is large enough lacks the
    metric, or has it as no finite number: inconclusive.
    """
    parts = [_judge(facts, rule) for rule in wanted]
    return together(parts, "every group that is large enough is within bounds")


def needs(wanted: Sequence[Slice]) -> tuple[Need, ...]:
    groups = (Need("groups", rule.metric, rule.column, (number,)) for number, rule in enumerate(wanted))
    return (*groups, Need("slices"))


def _judge(facts: Facts, rule: Slice) -> Verdict:
    found = groups(facts.candidate.slices, rule.column, rule.metric, rule.min_rows)
    if isinstance(found, Unknown):
        return unclear(f"{rule.metric} by {rule.column}: {found.reason}")
    parts = [within(f"{rule.metric} of {rule.column}={name}", value, rule) for name, value in found.judged.items()]
    return together(parts, f"{rule.metric} by {rule.column} is within bounds")
