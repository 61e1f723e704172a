"""Gate ``metrics``: numbers on held-out data."""

from __future__ import annotations

from collections.abc import Mapping

from gitml.policy.bounds import within
from gitml.policy.facts import Facts, Unknown
from gitml.policy.verdicts import together, unclear
from gitml.spec.gates import Bound
from gitml.verdict import Verdict


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
