"""Numbers into the cells of a grid, at a few nanoseconds each: the same cells as ``NumberGrid.places``.

A binary search costs 40 ns, because no processor can guess its way. The first bits of a float say its cell, unless an
edge lies among the floats that share them: a table knows which, and only those values are searched for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gitml.sketches.grids import NumberGrid

# Sign, exponent, and the first 8 bits of the fraction: 256 steps from each power of two to the next.
_BITS = 20
_SHIFT = np.uint64(64 - _BITS)
MISSING, _SEARCH = 254, 255
_FAR = 16

Cells = NDArray[np.uint8]


class NumberPlaces:
    """A table of 1 MB for one grid, which has fewer than 254 cells."""

    def __init__(self, grid: NumberGrid) -> None:
        self._grid = grid
        edges = np.asarray(grid.edges, dtype=np.float64)
        self._centre = _centre(grid, edges)
        with np.errstate(over="ignore"):
            self._table = _table(edges - self._centre, rounded=self._centre != 0)

    def __call__(self, values: NDArray[np.float64]) -> Cells:
        """The cell of each value, ``MISSING`` for NaN."""
        with np.errstate(over="ignore"):  # infinity is on the right side too
            near = values - self._centre if self._centre else values
        # As signed integers they are numpy's own kind of index, and need no copy.
        places: Cells = self._table.take((near.view(np.uint64) >> _SHIFT).view(np.int64))
        unsure = np.flatnonzero(places == _SEARCH)
        if len(unsure):
            some = values[unsure]
            places[unsure] = np.where(np.isnan(some), MISSING, self._grid.places(some)).astype(np.uint8)
        return places


def _centre(grid: NumberGrid, edges: NDArray[np.float64]) -> float:
    """Numbers far from 0, such as seconds since 1970, have their first bits in common: the distance from the middle
    has not. Subtraction keeps the order, though it may round; so an edge's first bits are always searched for."""
    middle = float(edges[len(edges) // 2]) if len(edges) else 0.0
    return middle if abs(middle) > _FAR * grid.spread else 0.0


def _table(edges: NDArray[np.float64], *, rounded: bool) -> Cells:
    """The cell that all floats with the same first bits have in common, ``_SEARCH`` where an edge lies among them."""
    table = np.zeros(2**_BITS, dtype=np.uint8)
    half = 2 ** (_BITS - 1)
    bits = (edges + 0.0).view(np.uint64)
    places = (bits >> _SHIFT).astype(np.int64)
    below = int((edges < 0).sum())
    table[:half] = below
    for number, place in enumerate(places):
        # The first bits of negative floats rise while they fall.
        table[slice(place, half) if place < half else slice(half, place)] = number + 1
    # Whole numbers: an edge at the first of its floats has all of them on one side.
    first = (bits << (np.uint64(64) - _SHIFT) == 0) & (places < half) & (not rounded)
    table[places[~first]] = _SEARCH
    table[half] = _SEARCH  # -0.0 is 0.0
    for sign in (0, half):
        infinite = sign + (0x7FF << (_BITS - 12))
        table[infinite], table[infinite + 1 : sign + half] = _SEARCH, MISSING
    return table
