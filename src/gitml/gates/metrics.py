"""Gate ``metrics``: numbers on held-out data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from gitml.fields import MetricName
from gitml.gates.base import SCIENTIST, Advice, Need
from gitml.gates.bounds import Bound, within
from gitml.gates.facts import Facts, Unknown
from gitml.gates.verdicts import together, unclear
from gitml.verdict import Verdict

KEY = Annotated[Mapping[MetricName, Bound], Field(min_length=1)]
MEANING = "Bounds on metrics, held-out data."
ADVICE = Advice(
    SCIENTIST,
    "train a version that is good enough",
    "let the stage that evaluates write these metrics",
)


def judge(facts: Facts, wanted: Mapping[str, Bound]) -> Verdict:
    """Each metric named lies within its bounds.

        metrics:
          auc: {at_least: 0.65}
          log_loss: {at_most: 0.6}

    Judged is the value itself, on the data that the model did not see; its interval is what ``champion`` looks at.
    A metric that is missing, NaN or no number is inconclusive.
    """
    found = facts.candidate.metrics
    if isinstance(found, Unknown):
        return unclear(found.reason)
    parts = [within(name, found[name].value if name in found else None, bound) for name, bound in wanted.items()]
    return together(parts, "all within bounds")


def needs(wanted: Mapping[str, Bound]) -> tuple[Need, ...]:
    return tuple(Need("metrics", name, at=(name,)) for name in wanted)
