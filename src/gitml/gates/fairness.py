"""Gate ``fairness``: how far apart the groups of a column are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from gitml.fields import Count, FileSection, MetricName, Number, Text
from gitml.gates.base import SCIENTIST, Advice, Need
from gitml.gates.facts import Facts, Unknown
from gitml.gates.groups import groups, numbers
from gitml.gates.verdicts import failed, passed, shown, together, unclear
from gitml.verdict import Verdict


class Fairness(FileSection):
    """How far apart the groups of one column may be."""

    column: Text = Field(description="The column whose values are the groups.")
    metric: MetricName = Field(description="The metric, as the slices file names it.")
    ratio_at_least: Annotated[Number, Field(gt=0, le=1)] = Field(
        description="The smallest group value divided by the largest; 0.8 is the four-fifths rule."
    )
    min_rows: Count = Field(description="Groups with fewer rows are not judged.")


KEY = Annotated[tuple[Fairness, ...], Field(min_length=1)]
MEANING = "How far apart groups may be."
ADVICE = Advice(
    SCIENTIST,
    "look at the groups that are worst off, with risk",
    "let the stage that evaluates write these groups, with enough rows",
)


def judge(facts: Facts, wanted: Sequence[Fairness]) -> Verdict:
    """The smallest value among the groups of a column, divided by the largest, is at least the ratio.

        fairness:
          - {column: origin, metric: recall, ratio_at_least: 0.8, min_rows: 500}

    0.8 is the four-fifths rule (29 CFR 1607.4 D). Groups with fewer than ``min_rows`` rows are not judged: their ratio
    is noise. Fewer than two groups, a negative value, or nothing but zeros, has no ratio: inconclusive.
    """
    parts = [_judge(facts, rule) for rule in wanted]
    return together(parts, "the groups are close enough")


def needs(wanted: Sequence[Fairness]) -> tuple[Need, ...]:
    groups = (Need("groups", rule.metric, rule.column, (number,)) for number, rule in enumerate(wanted))
    return (*groups, Need("slices"))


def _judge(facts: Facts, rule: Fairness) -> Verdict:
    what = f"{rule.metric} by {rule.column}"
    found = groups(facts.candidate.slices, rule.column, rule.metric, rule.min_rows)
    values = found if isinstance(found, Unknown) else numbers(found)
    if isinstance(values, Unknown):
        return unclear(f"{what}: {values.reason}")
    if len(values) < 2:
        return unclear(f"{what}: one group alone has {rule.min_rows:,} rows, nothing to compare it with")
    low, high = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    if values[low] < 0 or values[high] <= 0:
        return unclear(f"{what}: has no ratio, values go from {shown(values[low])} to {shown(values[high])}")
    ratio = values[low] / values[high]
    told = f"{what}: {low} has {shown(values[low])}, {high} has {shown(values[high])}, ratio {shown(ratio)}"
    measured = {f"{what} ratio": ratio}
    if ratio < rule.ratio_at_least:
        return failed(f"{told}; at least {shown(rule.ratio_at_least)} is needed", measured)
    return passed(told, measured)
