"""Gate ``slices``: a metric in every group of a column."""

from __future__ import annotations

from collections.abc import Sequence

from gitml.policy.bounds import within
from gitml.policy.facts import Facts, Unknown
from gitml.policy.groups import groups
from gitml.policy.verdicts import together, unclear
from gitml.spec.gates import Slice
from gitml.verdict import Verdict


def judge(facts: Facts, wanted: Sequence[Slice]) -> Verdict:
    """In every group of the column the metric lies within the bounds.

        slices:
          - {column: carrier, metric: auc, at_least: 0.6, min_rows: 500}

    Groups with fewer than ``min_rows`` rows are not judged. If no group is left, or one that is large enough lacks the
    metric, or has it as no finite number: inconclusive.
    """
    parts = [_judge(facts, rule) for rule in wanted]
    return together(parts, "every group that is large enough is within bounds")


def _judge(facts: Facts, rule: Slice) -> Verdict:
    found = groups(facts.candidate.slices, rule.column, rule.metric, rule.min_rows)
    if isinstance(found, Unknown):
        return unclear(f"{rule.metric} by {rule.column}: {found.reason}")
    parts = [within(f"{rule.metric} of {rule.column}={name}", value, rule) for name, value in found.judged.items()]
    return together(parts, f"{rule.metric} by {rule.column} is within bounds")
