"""How much more frequent rows like each of the reference are in the window: the odds of a classifier that tells them
apart.

M. Sugiyama, T. Suzuki and T. Kanamori, "Density ratio estimation in machine learning" (2012), section 4.2: logistic
regression. It takes each column and its square, so that means and spreads may change. A column that the rows of a day
share counts as what it is, a few draws: it is drawn to "has not changed" by its design effect. Without that, and with
more flexible classifiers, any week is told apart by its weather, and taken for one that was never seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from gitml.monitoring.estimates.rows import Rows, thinned
from gitml.monitoring.harm.losses import Floats
from gitml.sketches.alike import correlation

_MOST = 10_000
_PRIOR = 0.3  # variance of a coefficient, before anything is seen
_FAR = 4.0  # in standard deviations: one stray value shall not decide
_EDGE = 1e-4


def density_ratio(reference: Rows, live: Rows) -> Floats:
    """One number for each row of the reference; their mean is near 1 where the reference has all that is live."""
    old, new = reference.features, live.features[thinned(len(live), _MOST)]
    basis = _Basis(old, reference.day)
    some, rows = basis.of(old[thinned(len(old), _MOST)]), basis.of(new)
    is_live = np.repeat([0, 1], [len(some), len(rows)])
    weight = np.where(is_live == 1, len(some) / len(rows), 1.0)
    odds = LogisticRegression(C=_PRIOR, solver="newton-cholesky", max_iter=50)
    with threadpool_limits(limits=1):  # sums of floats differ with the number of threads
        odds.fit(np.concatenate([some, rows]), is_live, sample_weight=weight)
        chance = np.clip(odds.predict_proba(basis.of(old))[:, 1], _EDGE, 1 - _EDGE)
    return np.asarray(chance / (1 - chance), dtype=np.float64)


class _Basis:
    """Columns in standard deviations of the reference, their squares, and which values are missing; all of them smaller
    by the root of the design effect, which makes the penalty of their coefficients as much larger."""

    def __init__(self, reference: Floats, day: NDArray[np.int64]) -> None:
        missing = np.isnan(reference)
        rows = np.maximum((~missing).sum(axis=0), 1)
        self._mean = np.where(missing, 0, reference).sum(axis=0) / rows
        spread = np.sqrt((np.where(missing, 0, reference - self._mean) ** 2).sum(axis=0) / rows)
        # A column that was constant may differ now: any other value is far away then.
        self._spread = np.where(spread > 0, spread, np.maximum(np.abs(self._mean), 1.0) * 1e-3)
        # Of a column of zeros and ones the square says nothing more.
        self._squared = ~np.isin(reference, (0.0, 1.0)).all(axis=0)
        self._shrunk = 1 / np.sqrt(_design_effects(self._plain(reference), day))

    def of(self, rows: Floats) -> Floats:
        return self._plain(rows) * self._shrunk

    def _plain(self, rows: Floats) -> Floats:
        missing = np.isnan(rows)
        sigmas = np.where(missing, 0.0, np.clip((rows - self._mean) / self._spread, -_FAR, _FAR))
        return np.column_stack([sigmas, sigmas[:, self._squared] ** 2, missing[:, self._squared]])


def _design_effects(columns: Floats, day: NDArray[np.int64]) -> Floats:
    """By how much fewer rows each column is worth, because those of a day are alike; 1 and more (Kish, 8.2)."""
    _, place = np.unique(day, return_inverse=True)
    rows = np.bincount(place).astype(np.float64)
    size = float((rows**2).sum() / rows.sum())
    sums = [np.bincount(place, column).astype(np.float64) for column in columns.T]
    alike = [correlation(rows, of, float((column**2).sum())) for of, column in zip(sums, columns.T, strict=True)]
    return 1 + (size - 1) * np.array(alike)


def within(reference: Floats, live: Floats) -> float:
    """The share of the window's rows that lie inside what the reference had, in the column where that is least.

    A day that has its own weather is drawn to "has not changed", however far it lies; but where the reference has no
    row at all there is nothing to estimate from. A missing value lies inside where the reference misses some.

    >>> within(np.array([[0.0], [1.0]]), np.array([[0.5], [0.7], [1.5], [np.nan]]))
    0.5
    """
    absent = np.isnan(reference).any(axis=0)
    low = np.fmin.reduce(reference, axis=0)
    high = np.fmax.reduce(reference, axis=0)
    inside = np.where(np.isnan(live), absent, (live >= low) & (live <= high))
    return float(inside.mean(axis=0).min()) if inside.size else 1.0


def overlap(ratio: Floats) -> float:
    """From 0 to 1: the effective size of the weighted reference in parts of its rows (L. Kish, "Survey sampling",
    1965), times the part of the window that the reference has at all.

    The second factor matters where no row of the reference is like a live one: all weights are equally small then,
    which Kish's formula alone would take for a perfect match.

    >>> overlap(np.ones(10)), overlap(np.full(10, 1e-4)), round(overlap(np.array([0.0] * 9 + [10.0])), 3)
    (1.0, 0.0001, 0.1)
    """
    squares = float((ratio**2).sum())
    if squares <= 0:
        return 0.0
    covered = min(1.0, float(ratio.mean()))
    return float(ratio.sum()) ** 2 / squares / len(ratio) * covered
