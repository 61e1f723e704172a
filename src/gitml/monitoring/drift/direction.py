"""Which way a column moved, in its own units and in σ of the reference: shown beside its effect, never alarmed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gitml.monitoring.drift.shapes import ENOUGH
from gitml.monitoring.drift.shapes import named as may_be_named
from gitml.monitoring.promise import LEAST_ROWS
from gitml.sketches.grids import CategoryGrid, Grid, NumberGrid
from gitml.sketches.sketch import ColumnSketch

Floats = NDArray[np.float64]
Pair = tuple[float, float]

_QUANTILES = (0.1, 0.5, 0.9)
# A category has vanished where so few of a thousand windows like this would have none of it by chance.
_BY_CHANCE = 0.001


@dataclass(frozen=True)
class Movement:
    """Reference and window as pairs. Of numbers: the ``mean`` (None where contexts are held fixed), ``quantiles`` by
    their share, and ``sigma`` of the reference, half the distance of the quantiles .16 and .84. Of categories: the
    ``share`` of the one that changed most, ``category``, the share of rows with ones that the reference does not have
    (``unseen``), and those that ``vanished``."""

    mean: Pair | None = None
    quantiles: Mapping[str, Pair] = field(default_factory=dict)
    sigma: float | None = None
    category: str = ""
    share: Pair | None = None
    unseen: Pair | None = None
    vanished: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.share:
            was, now = self.share
            gone = f"; none of {', '.join(self.vanished)}" if self.vanished else ""
            return f"{self.category} {was:.1%} → {now:.1%}{gone}"
        name, pair = ("mean", self.mean) if self.mean else ("median", self.quantiles.get("0.5"))
        if pair is None:
            return ""
        by = f" ({(pair[1] - pair[0]) / self.sigma:+.2f} σ)" if self.sigma else ""
        return f"{name} {pair[0]:.4g} → {pair[1]:.4g}{by}"


def movement(grid: Grid, before: ColumnSketch, now: ColumnSketch, mixed: Floats | None = None) -> Movement:
    """``mixed``: the shares of the reference with the window's mix of contexts, instead of its own."""
    live = now.cells.sum(axis=0)
    reference = before.cells.sum(axis=0) if mixed is None else mixed
    if not live.sum() or not reference.sum():
        return Movement()
    shares = reference / reference.sum(), live / live.sum()
    if isinstance(grid, CategoryGrid):
        own = before.cells.sum(axis=0)
        whole = int(own.sum())
        known = [may_be_named(word, int(n), whole) for word, n in zip(grid.categories, own, strict=False)]
        return _of_categories(grid, *shares, int(live.sum()), known)
    if min(before.finite, now.finite) < LEAST_ROWS:  # the mean of one row is that row's value
        return Movement()
    rows = min(before.finite, now.finite)
    pairs = {q: _quantiles(grid, shares, q) for q in _QUANTILES if min(q, 1 - q) * rows >= ENOUGH}
    quantiles = {f"{q:g}": pair for q, pair in pairs.items() if pair}
    means = [column.total / column.finite * grid.step for column in (before, now)]
    mean = (means[0], means[1]) if mixed is None else None
    return Movement(mean, quantiles, sigma(grid, shares[0]))


def _quantiles(grid: NumberGrid, shares: tuple[Floats, Floats], q: float) -> Pair | None:
    """None beyond the reference's own range: what lies there, and its ends, are single rows' values."""
    places = [int(np.searchsorted(np.cumsum(side), q)) for side in shares]
    if not all(0 < place < len(grid.edges) for place in places):
        return None
    return quantile(grid, shares[0], q), quantile(grid, shares[1], q)


def quantile(grid: NumberGrid, shares: Floats, q: float) -> float:
    """Within its cell by interpolation; the outer cells, which have one end, give that.

    >>> quantile(NumberGrid((1.0, 2.0), (0, 2)), np.array([0.2, 0.6, 0.2]), 0.5)
    1.5
    """
    above = np.cumsum(shares)
    place = min(int(np.searchsorted(above, q)), len(shares) - 1)
    ends = [grid.edges[0], *grid.edges, grid.edges[-1]]
    low, high = ends[place], ends[place + 1]
    part = (q - float(above[place] - shares[place])) / float(shares[place]) if shares[place] else 0.0
    return low + (high - low) * min(max(part, 0.0), 1.0)


def sigma(grid: NumberGrid, shares: Floats) -> float:
    """Half the distance between the quantiles .16 and .84, which is σ of a normal column."""
    above = np.cumsum(shares)[:-1]
    if not grid.edges:
        return grid.spread
    low, high = (grid.edges[min(int(np.searchsorted(above, q)), len(grid.edges) - 1)] for q in (0.16, 0.84))
    return (high - low) / 2 or grid.spread


def _of_categories(grid: CategoryGrid, was: Floats, now: Floats, rows: int, named: Sequence[bool]) -> Movement:
    """``named``: of each category whether it may be."""
    known = len(grid.categories)
    place = int(abs(now - was).argmax())
    rare = "rare ones" if place < known else "all others"
    word = grid.categories[place] if place < known and named[place] else rare
    vanished = tuple(
        category
        for category, may_be, share, left in zip(grid.categories, named, was[:known], now[:known], strict=True)
        if may_be and not left and (1 - share) ** rows < _BY_CHANCE and category != word
    )
    share, unseen = (float(was[place]), float(now[place])), (float(was[known]), float(now[known]))
    return Movement(category=word, share=share, unseen=unseen, vanished=vanished)
