"""Rows of a column as counts: over a grid that the reference sets, so that counts of windows add up and subtract.

The reference decides where cells begin, once for each version; every look counts into the same cells. So a window of
many looks is a difference of two cumulative counts, and a judgement needs no rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_CELLS = 100
MOST_CATEGORIES = 64
# A single value with such a share of the reference's rows gets a cell of its own, and is watched by itself.
SPIKE = 0.05

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class NumberGrid:
    """Cells of a column of numbers: below the first edge, from each edge to the next, from the last on.

    ``edges`` (C - 1) rise strictly. The first and the last cell hold what lies beyond the reference; ``marks`` are the
    cells that are watched by themselves: these two and every value that many rows share.
    """

    edges: tuple[float, ...]
    marks: tuple[int, ...]

    @property
    def cells(self) -> int:
        return len(self.edges) + 1

    def count(self, values: NDArray[np.float64]) -> tuple[Whole, int]:
        """Rows in each cell (C), and those without a number. Infinite numbers lie beyond the reference."""
        known = values[~np.isnan(values)]
        places = np.searchsorted(np.asarray(self.edges), known, side="right")
        return np.bincount(places, minlength=self.cells).astype(np.int64), len(values) - len(known)


@dataclass(frozen=True)
class CategoryGrid:
    """Cells of a column of categories: one for each, most frequent first, and one for all others."""

    categories: tuple[str, ...]

    @property
    def cells(self) -> int:
        return len(self.categories) + 1

    def count(self, values: Sequence[str | None]) -> tuple[Whole, int]:
        """Rows of each category and of unknown ones (C), and those without a value."""
        place = {category: i for i, category in enumerate(self.categories)}
        counts = np.zeros(self.cells, dtype=np.int64)
        missing = 0
        for value in values:
            if value is None:
                missing += 1
            else:
                counts[place.get(value, len(place))] += 1
        return counts, missing


Grid = NumberGrid | CategoryGrid


def number_grid(values: NDArray[np.float64]) -> NumberGrid:
    """A grid for the reference's values: cells of about equal counts, and one for every frequent value.

    >>> grid = number_grid(np.array([0.0] * 90 + [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]))
    >>> grid.edges[:3], [int(n) for n in grid.count(np.array([-1.0, 0.0, 0.5, 11.0]))[0] if n]
    ((0.0, 5e-324, 1.0), [1, 1, 1, 1])
    """
    known = np.sort(values[np.isfinite(values)])
    if not len(known):
        return NumberGrid((), (0,))
    distinct, counts = np.unique(known, return_counts=True)
    spikes = distinct[counts >= SPIKE * len(known)]
    quantiles = known[(np.arange(1, MOST_CELLS - 2) * len(known)) // (MOST_CELLS - 2)]
    ends = (distinct[0], np.nextafter(distinct[-1], np.inf))
    edges = np.unique(np.concatenate([quantiles, spikes, np.nextafter(spikes, np.inf), ends]))
    own = np.searchsorted(edges, spikes, side="right")
    marks = sorted({0, len(edges), *(int(i) for i in own)})
    return NumberGrid(tuple(float(e) for e in edges), tuple(marks))


def category_grid(values: Sequence[str | None]) -> CategoryGrid:
    """The reference's most frequent categories, at most 64; ties in the order of their words.

    >>> category_grid(["b", "a", "b", None]).categories
    ('b', 'a')
    """
    often: dict[str, int] = {}
    for value in values:
        if value is not None:
            often[value] = often.get(value, 0) + 1
    return CategoryGrid(tuple(sorted(often, key=lambda c: (-often[c], c))[:MOST_CATEGORIES]))


@dataclass(frozen=True)
class Counts:
    """Rows of one column: in each cell of its grid, and without a value.

    ``root`` is the sum over looks of the root of the sum of squared rows of each cluster: rows of one cluster are
    alike, and a window of many looks may meet the same clusters again. Without clusters it is None.
    """

    cells: Whole
    missing: int
    root: float | None = None

    @property
    def present(self) -> int:
        return int(self.cells.sum())

    @property
    def rows(self) -> int:
        return self.present + self.missing

    def __add__(self, other: Counts) -> Counts:
        root = None if self.root is None or other.root is None else self.root + other.root
        return Counts(self.cells + other.cells, self.missing + other.missing, root)

    def __sub__(self, other: Counts) -> Counts:
        root = None if self.root is None or other.root is None else self.root - other.root
        return Counts(self.cells - other.cells, self.missing - other.missing, root)

    def effective(self, alike: float) -> float:
        """The share of rows (0 to 1) that count as independent, when rows of a cluster correlate by ``alike``.

        The design effect of L. Kish, "Survey Sampling" (1965), section 8.2, for clusters of unequal size.
        """
        if self.root is None or not self.rows:
            return 1.0
        return 1 / max(1.0, 1 + (self.root**2 / self.rows - 1) * alike)
