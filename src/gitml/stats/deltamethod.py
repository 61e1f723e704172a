"""Metrics that are a function of several means: ratios, and what is made of a confusion matrix.

C. Budylin, A. Drutsa, I. Katsev and V. Tsoy, "Consistent transformation of ratio metrics for efficient online
controlled experiments", WSDM 2018; A. Deng, U. Knoblich and J. Lu, "Applying the delta method in metric analytics",
KDD 2018.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gitml.stats.influence import Influence, checked, per_observation, rounded, whole


def ratio(unit: ArrayLike, total: ArrayLike, count: ArrayLike, squares: ArrayLike | None = None) -> Influence:
    """The sum of ``total`` over the sum of ``count``: errors of a request, clicks of a page, money of an order.

    One row a unit (or more): what it did in all (n,), in how many observations, and the sum of the squares of the
    single observations; without ``squares`` they are taken for zeros and ones, of which it is the total.

    >>> found = ratio([1, 2, 3], total=[2, 0, 1], count=[20, 1, 9])
    >>> found.value, found.rows.round(4).tolist()
    (0.1, [0.0, -0.0033, 0.0033])
    """
    units, y, c = whole("units", unit), checked("totals", total), checked("counts", count)
    q = y if squares is None else checked("squares", squares)
    n = float(c.sum())
    if not n > 0 or (c < 0).any():
        raise ValueError("counts must not be negative, and some must be positive")
    value = float(y.sum()) / n
    spread = max(float(q.sum()) / n - value**2, 0.0)
    return Influence(value, units, rounded(y - value * c, y) / n, n, spread / max(n - 1, 1.0))


def root_mean_square(unit: ArrayLike, errors: ArrayLike) -> Influence:
    """The root of the mean of squared ``errors`` (n,).

    >>> round(root_mean_square([1, 2], [3.0, 4.0]).value ** 2, 9)
    12.5
    """
    squared = checked("errors", errors) ** 2
    value = float(np.sqrt(squared.mean())) if squared.size else 0.0
    bent = (squared - value**2) / (2 * value) if value else np.zeros_like(squared)
    return per_observation(value, whole("units", unit), rounded(bent, np.asarray([value])))


def share_of(unit: ArrayLike, hits: ArrayLike, chosen: ArrayLike) -> Influence:
    """The mean of ``hits`` among ``chosen`` rows, both (n,), where how many are chosen is chance too.

    Precision: hits are the right positive answers, chosen all positive answers. Recall: chosen are the positive labels.
    F1: hits are twice the true positives, chosen the positive answers plus the positive labels (0, 1 or 2).

    >>> share_of([1, 2, 3, 4], hits=[1, 0, 0, 0], chosen=[1, 1, 0, 0]).value
    0.5
    """
    hit, pick = checked("hits", hits), checked("chosen", chosen)
    if not pick.sum() > 0:
        raise ValueError("no row is chosen")
    value = float(hit.sum() / pick.sum())
    return per_observation(value, whole("units", unit), rounded((hit - value * pick) / pick.mean(), pick))
