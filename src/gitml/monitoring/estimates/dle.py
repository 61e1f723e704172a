"""DLE, direct loss estimation: a second model learns how wrong the first one is, row by row.

NannyML's documentation, "Direct loss estimation" (release 0.8, 2023). Boosted trees learn the loss of each row of the
reference from its inputs and the model's answer; the mean of what they say for the live rows is the estimate.
"""

from __future__ import annotations

import math

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from gitml.monitoring.estimates.rows import Evaluated, Rows, thinned
from gitml.monitoring.harm.losses import Floats

_MOST = 6_000


class Dle:
    name = "DLE"

    def fits(self, reference: Evaluated) -> bool:
        return reference.task == "numbers"

    def estimate(self, metric: str, reference: Evaluated, ratio: Floats, live: Rows) -> float:
        if metric == "r2":  # how labels vary cannot be seen in single losses
            return math.nan
        some = reference[thinned(len(reference), _MOST)]
        apart = np.abs(some.truth - some.rows.predicted)
        found = _learned(some.rows.features, apart if metric == "mae" else apart**2, live.features)
        mean = float(np.maximum(found, 0.0).mean())
        return math.sqrt(mean) if metric == "rmse" else mean


def _learned(rows: Floats, loss: Floats, live: Floats) -> Floats:
    trees = HistGradientBoostingRegressor(
        max_iter=60, max_leaf_nodes=8, min_samples_leaf=max(5, min(100, len(loss) // 50)), l2_regularization=1.0,
        early_stopping=False, random_state=0,
    )  # fmt: skip
    with threadpool_limits(limits=1):  # sums of floats differ with the number of threads
        return np.asarray(trees.fit(rows, loss).predict(live), dtype=np.float64)
