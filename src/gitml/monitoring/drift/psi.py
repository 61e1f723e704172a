"""The population stability index with what it is by chance, for those who know it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, chdtri

_BINS = 10
# By chance it is larger in one of twenty windows.
_LEVEL = 0.05

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Psi:
    """``value`` over ``bins`` bins. If nothing has changed it is ``expected`` on average, and above ``by_chance``
    once in twenty windows; ``p``: with what probability it is as large as here."""

    value: float
    bins: int
    expected: float
    by_chance: float
    p: float

    def __str__(self) -> str:
        return f"PSI {self.value:.3f} (by chance up to {self.by_chance:.3f})"


def psi(reference: Floats, live: Floats, m: float, n: float) -> Psi | None:
    """From shares of rows in the same cells (C), of ``m`` and ``n`` effective rows. None with fewer than two bins.

    Cells are merged to ten bins of about equal shares of the reference. Divided by 1/n + 1/m the index is nearly
    chi-squared with B - 1 degrees of freedom, so that it is (B - 1)(1/n + 1/m) where nothing has changed: the
    thresholds .1 and .2 that are in use say how many rows there are. B. Yurdakul, "Statistical properties of
    population stability index", Western Michigan University (2018), chapter 3.

    >>> psi(np.array([0.5, 0.5]), np.array([0.6, 0.4]), 1e9, 1e9).value.__round__(4)
    0.0405
    >>> psi(np.full(10, 0.1), np.full(10, 0.1), 1_000, 1_000).expected.__round__(4)
    0.018
    """
    bins = _merged(reference)
    counts = [np.bincount(bins, shares * rows) + 0.5 for shares, rows in ((reference, m), (live, n))]
    count = len(counts[0])
    if count < 2 or m < 1 or n < 1:
        return None
    p, q = (some / some.sum() for some in counts)
    value = float(((q - p) * np.log(q / p)).sum())
    unit = 1 / n + 1 / m
    free = count - 1
    return Psi(value, count, free * unit, float(chdtri(free, _LEVEL)) * unit, float(chdtrc(free, value / unit)))


def _merged(reference: Floats) -> NDArray[np.int64]:
    """The bin of each cell, by the middle of its share of the reference."""
    middle = np.cumsum(reference) - reference / 2
    found: NDArray[np.int64] = np.unique(np.minimum(middle * _BINS, _BINS - 1).astype(int), return_inverse=True)[1]
    return found
