"""How alike the rows of a cluster are: the intraclass correlation of each column's mid-ranks.

R. A. Fisher's estimate from the analysis of variance, with the mean cluster size of unequal clusters after
A. Donner, "A review of inference procedures for the intraclass correlation coefficient", International Statistical
Review 54 (1986), equation 2.2.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from gitml.sketches.grids import Whole

_DIGITS = 6


def mid_ranks(cells: Whole) -> Whole:
    """For each cell twice the rows before it, and its own: whole numbers, whose sums are exact."""
    found: Whole = 2 * np.cumsum(cells) - cells
    return found


def correlation(rows: NDArray[np.float64], sums: NDArray[np.float64], squares: float) -> float:
    """Of clusters with so many ``rows`` each, and such ``sums`` of values; ``squares`` is the sum of all squared
    values. From 0, also where clusters differ less than by chance, to 1.

    >>> correlation(np.array([2.0, 2.0]), np.array([2.0, 6.0]), 20.0)
    1.0
    >>> correlation(np.array([2.0, 2.0]), np.array([4.0, 4.0]), 20.0)
    0.0
    """
    some = rows > 0
    rows, sums = rows[some], sums[some]
    n, k = float(rows.sum()), len(rows)
    if k < 2 or n <= k:
        return 0.0
    within = max(squares - float((sums**2 / rows).sum()), 0.0)
    between = float((sums**2 / rows).sum()) - float(sums.sum()) ** 2 / n
    size = (n - float((rows**2).sum()) / n) / (k - 1)
    above, inside = between / (k - 1), within / (n - k)
    whole = above + (size - 1) * inside
    return round(min(1.0, max(0.0, (above - inside) / whole)), _DIGITS) if whole > 0 else 0.0


class ClusterSums:
    """Rows and sums of values of each cluster and column while batches come: 16 bytes for each."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._places: dict[Hashable, int] = {}
        self._rows = {name: np.zeros(0) for name in columns}
        self._sums = {name: np.zeros(0) for name in columns}

    def places(self, clusters: Sequence[Hashable]) -> Whole:
        """Where clusters are kept, new ones behind those that are known."""
        return np.array([self._places.setdefault(c, len(self._places)) for c in clusters], dtype=np.int64)

    def add(self, column: str, clusters: Whole, values: Whole) -> None:
        """``clusters``: the place of each row's; ``values`` of the rows."""
        size = len(self._places)
        self._rows[column] = _grown(self._rows[column], size) + np.bincount(clusters, minlength=size)
        self._sums[column] = _grown(self._sums[column], size) + np.bincount(clusters, values, minlength=size)

    def correlation(self, column: str, squares: float) -> float:
        # In one order, as sums of floats depend on it.
        order = np.lexsort((self._sums[column], self._rows[column]))
        return correlation(self._rows[column][order], self._sums[column][order], squares)


def _grown(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    return np.pad(values, (0, size - len(values)))
