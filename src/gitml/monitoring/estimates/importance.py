"""Importance weighting: the metric on the reference, where rows count as often as rows like them come live.

H. Shimodaira, "Improving predictive inference under covariate shift by weighting the log-likelihood function", Journal
of Statistical Planning and Inference 90 (2000). It works for any answers and any metric that takes weights.
"""

from __future__ import annotations

from gitml.monitoring.estimates.rows import Evaluated, Rows
from gitml.monitoring.harm.losses import Floats


class ImportanceWeighting:
    name = "importance weighting"

    def fits(self, reference: Evaluated) -> bool:
        return True

    def estimate(self, metric: str, reference: Evaluated, ratio: Floats, live: Rows) -> float:
        return reference.metric(metric, ratio)
