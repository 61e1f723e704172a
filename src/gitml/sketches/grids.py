"""Where the cells of a column begin. The reference decides, and every window counts into the same cells."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_CELLS = 100
MOST_CATEGORIES = 64
# A single value with such a share of the reference's rows gets a cell of its own, and is watched by itself.
SPIKE = 0.05
# Sums are whole numbers of a step: so fine, in parts of the column's spread, that rounding moves no mean.
_FINE = 2**16

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class NumberGrid:
    """Cells of a column of numbers: below the first edge, from each edge to the next, from the last on.

    ``edges`` (C - 1) rise strictly. The first and the last cell hold what lies beyond the reference; ``marks`` are the
    cells that are watched by themselves: these two and every value that many rows share. Sums of the column are kept
    in whole numbers of ``step``, a power of two: sums of floats would depend on the order of the rows.
    """

    edges: tuple[float, ...]
    marks: tuple[int, ...]
    step: float = 1.0

    @property
    def cells(self) -> int:
        return len(self.edges) + 1

    @property
    def spread(self) -> float:
        """Half the distance between the reference's quantiles .16 and .84, to a factor of two: σ of a normal column."""
        return self.step * _FINE

    def places(self, values: NDArray[np.float64]) -> Whole:
        """The cell of each value; none may be missing. Infinite numbers lie beyond the reference."""
        return np.searchsorted(np.asarray(self.edges), values, side="right").astype(np.int64)

    def count(self, values: NDArray[np.float64]) -> tuple[Whole, int]:
        """Rows in each cell (C), and those without a number."""
        known = values[~np.isnan(values)]
        return np.bincount(self.places(known), minlength=self.cells).astype(np.int64), len(values) - len(known)


@dataclass(frozen=True)
class CategoryGrid:
    """Cells of a column of categories: one for each, most frequent first, and one for all others."""

    categories: tuple[str, ...]

    @property
    def cells(self) -> int:
        return len(self.categories) + 1

    def places(self, words: Sequence[str]) -> Whole:
        """The cell of each word."""
        place = {category: i for i, category in enumerate(self.categories)}
        return np.array([place.get(word, len(place)) for word in words], dtype=np.int64)

    def count(self, values: Sequence[str | None]) -> tuple[Whole, int]:
        """Rows of each category and of unknown ones (C), and those without a value."""
        known = [value for value in values if value is not None]
        counts = np.bincount(self.places(known), minlength=self.cells).astype(np.int64)
        return counts, len(values) - len(known)


Grid = NumberGrid | CategoryGrid


def number_grid(values: NDArray[np.float64]) -> NumberGrid:
    """A grid for the reference's values: cells of about equal counts, and one for every frequent value.

    >>> grid = number_grid(np.array([0.0] * 90 + [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]))
    >>> grid.edges[:3], [int(n) for n in grid.count(np.array([-1.0, 0.0, 0.5, 11.0]))[0] if n]
    ((0.0, 5e-324, 1.0), [1, 1, 1, 1])
    """
    known = np.sort(values[np.isfinite(values)]) + 0.0  # -0.0 is 0.0, whichever comes first
    if not len(known):
        return NumberGrid((), (0,))
    distinct, counts = np.unique(known, return_counts=True)
    spikes = distinct[counts >= SPIKE * len(known)]
    quantiles = known[(np.arange(1, MOST_CELLS - 2) * len(known)) // (MOST_CELLS - 2)]
    with np.errstate(over="ignore"):  # beyond the largest number there is no edge
        after = np.nextafter([*spikes, distinct[-1]], np.inf)
    edges = np.unique(np.concatenate([quantiles, spikes, after, distinct[:1]]))
    own = np.searchsorted(edges, spikes, side="right")
    edges = edges[np.isfinite(edges)]
    marks = sorted({0, len(edges), *(int(i) for i in own)})
    return NumberGrid(tuple(float(e) for e in edges), tuple(marks), _step(known))


def _step(known: NDArray[np.float64]) -> float:
    """From the quantiles, which do not depend on the order of the rows."""
    low, high = (float(known[int(part * (len(known) - 1))]) for part in (0.16, 0.84))
    spread = (high / 2 - low / 2) or float(known[-1] / 2 - known[0] / 2) or abs(low) or 1.0
    return 2.0 ** max(-900, min(900, math.frexp(spread)[1] - 1 - int(math.log2(_FINE))))


def category_grid(values: Sequence[str | None]) -> CategoryGrid:
    """The reference's most frequent categories, at most 64; ties in the order of their words.

    >>> category_grid(["b", "a", "b", None]).categories
    ('b', 'a')
    """
    return most_frequent(Counter(value for value in values if value is not None))


def most_frequent(often: Mapping[str, int]) -> CategoryGrid:
    """The same from the rows of each category."""
    return CategoryGrid(tuple(sorted(often, key=lambda c: (-often[c], c))[:MOST_CATEGORIES]))
