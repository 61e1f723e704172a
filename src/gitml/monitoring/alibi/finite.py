"""p-values that hold for any number of rows, where those of alibi-detect hold for many: only such may raise an alarm.

Both take rows as independent of each other, as alibi-detect does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gitml.monitoring.alibi.chisquare import counts, union
from gitml.monitoring.alibi.own import OwnDetector
from gitml.monitoring.alibi.univariate import Table
from gitml.monitoring.bounds import distance_p, share_p


def finite_p(detector: OwnDetector, rows: Table) -> float:
    """That any of the columns lies so far from the reference by chance: the least of them times their number."""
    found = list(_columns(detector, rows))
    return min(1.0, min(found) * len(found))


def _columns(detector: OwnDetector, rows: Table) -> Iterator[float]:
    for feature in range(detector.x_ref.shape[1]):
        reference, live = detector.x_ref[:, feature], rows[:, feature]
        categories = detector.categories.get(feature)
        yield ks_finite_p(reference, live) if categories is None else shares_finite_p(reference, live, categories)


def ks_finite_p(reference: Table, live: Table) -> float:
    """Of the two-sided Kolmogorov-Smirnov distance, by the inequality of Dvoretzky, Kiefer and Wolfowitz.

    >>> rng = np.random.default_rng(0)
    >>> f"{ks_finite_p(rng.normal(size=500), rng.normal(0.5, size=500)):.1g}"
    '2e-10'
    """
    every = np.unique(np.concatenate([reference, live]))
    below = [np.searchsorted(np.sort(part), every, side="right") / len(part) for part in (reference, live)]
    distance = float(np.abs(below[0] - below[1]).max())
    return distance_p(distance, 0.0, len(live), len(reference), band=np.inf)


def shares_finite_p(reference: Table, live: Table, categories: Sequence[Any]) -> float:
    """Of the shares of categories, each by its likelihood ratio: the least times their number."""
    every = union(categories, reference, live)
    x, y = (np.array(counts(column, every), dtype=float) for column in (live, reference))
    found = share_p(x / len(live), len(live), y / len(reference), len(reference), 0.0)
    return min(1.0, float(found.min()) * len(found))
