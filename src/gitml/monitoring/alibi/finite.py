"""p-values that hold for any number of rows, where those of alibi-detect hold for many: only such may raise an alarm.

Where rows are alike, as those of a day are, fewer of them count (``clustered``); alibi-detect takes all of them as
independent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gitml.monitoring.alibi.chisquare import counts, union
from gitml.monitoring.alibi.clustered import Clusters, Independent
from gitml.monitoring.alibi.own import OwnDetector
from gitml.monitoring.alibi.univariate import Table
from gitml.monitoring.drift.bounds import distance_p, share_p


def finite_p(detector: OwnDetector, rows: Table, clusters: Clusters | None = None) -> float:
    """That any of the columns lies so far from the reference by chance: the least of them times their number.

    ``clusters``: of rows that are alike fewer count, and of a column with too few of them nothing is known (1).
    """
    found = list(_columns(detector, rows, clusters))
    return min(1.0, min(found) * len(found))


def _columns(detector: OwnDetector, rows: Table, clusters: Clusters | None) -> Iterator[float]:
    m, n = len(detector.x_ref), len(rows)
    for feature in range(detector.x_ref.shape[1]):
        count = clusters.of(feature, n, m) if clusters else Independent(n, m)
        if clusters and not count.enough:
            yield 1.0
            continue
        reference, live = detector.x_ref[:, feature], rows[:, feature]
        categories = detector.categories.get(feature)
        if categories is None:
            yield ks_finite_p(reference, live, count)
        else:
            yield shares_finite_p(reference, live, categories, count)


def ks_finite_p(reference: Table, live: Table, count: Independent) -> float:
    """Of the two-sided Kolmogorov-Smirnov distance, by the inequality of Dvoretzky, Kiefer and Wolfowitz.

    >>> rng = np.random.default_rng(0)
    >>> f"{ks_finite_p(rng.normal(size=500), rng.normal(0.5, size=500), Independent(500, 500)):.1g}"
    '2e-10'
    """
    every = np.unique(np.concatenate([reference, live]))
    below = [np.searchsorted(np.sort(part), every, side="right") / len(part) for part in (reference, live)]
    distance = float(np.abs(below[0] - below[1]).max())
    return distance_p(distance, 0.0, count.live, count.reference, band=np.inf)


def shares_finite_p(reference: Table, live: Table, categories: Sequence[Any], count: Independent) -> float:
    """Of the shares of categories, each by its likelihood ratio: the least times their number."""
    every = union(categories, reference, live)
    x, y = (np.array(counts(column, every), dtype=float) for column in (live, reference))
    found = share_p(x / len(live), count.live, y / len(reference), count.reference, 0.0)
    return min(1.0, float(found.min()) * len(found))
