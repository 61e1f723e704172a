"""Rows of traffic, added up by unit of assignment, arm and epoch: all that a comparison of two arms needs.

Batches are added up one after the other, in any order, so a month is read once and never held: memory grows with units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gitml.stats import contrast, deltamethod
from gitml.stats.contrast import Contrast
from gitml.stats.influence import Floats, Ints, checked, whole


@dataclass(frozen=True)
class UnitSums:
    """One row for each unit in each arm and epoch, ordered by them, all (rows,).

    ``unit``: integers; ``arm``: 0 champion, 1 candidate; ``epoch``: counts epochs of one weight, from any number;
    ``count``: observations; ``total``: the sum of their values; ``squares``: the sum of the squares.
    """

    unit: Ints
    arm: Ints
    epoch: Ints
    count: Floats
    total: Floats
    squares: Floats

    def __add__(self, other: UnitSums) -> UnitSums:
        fields = ("unit", "arm", "epoch", "count", "total", "squares")
        return _added(*(np.concatenate([getattr(self, f), getattr(other, f)]) for f in fields))

    def epochs(self) -> Iterator[tuple[int, UnitSums, UnitSums]]:
        """Each epoch with its rows of champion and candidate."""
        for epoch in np.unique(self.epoch).tolist():
            here = self.epoch == epoch
            yield epoch, self._of(here & (self.arm == 0)), self._of(here & (self.arm == 1))

    def contrast(self, *, relative: bool = False) -> Contrast | None:
        """Of the mean of all observations, ``total`` over ``count``; None where no epoch has two units in each arm."""
        return contrast.split(
            [
                (
                    deltamethod.ratio(a.unit, a.total, a.count, a.squares),
                    deltamethod.ratio(b.unit, b.total, b.count, b.squares),
                )
                for _, a, b in self.epochs()
                if a.count.sum() > 0 and b.count.sum() > 0
            ],
            relative=relative,
        )

    def _of(self, rows: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> UnitSums:
        return UnitSums(
            self.unit[rows], self.arm[rows], self.epoch[rows], self.count[rows], self.total[rows], self.squares[rows]
        )


def unit_sums(unit: ArrayLike, arm: ArrayLike, epoch: ArrayLike, value: ArrayLike) -> UnitSums:
    """Of rows of traffic, all (n,), in any order. Raises ValueError for values that are not finite.

    >>> found = unit_sums([7, 7, 3, 4], [1, 1, 0, 0], [0, 0, 0, 0], [1.0, 0.0, 1.0, 1.0])
    >>> found.unit.tolist(), found.count.tolist(), found.total.tolist()
    ([3, 4, 7], [1.0, 1.0, 2.0], [1.0, 1.0, 1.0])
    """
    values = checked("the metric", value)
    arms = whole("arms", arm)
    if not np.isin(arms, (0, 1)).all():
        raise ValueError("an arm is 0 (champion) or 1 (candidate)")
    return _added(whole("units", unit), arms, whole("epochs", epoch), np.ones_like(values), values, values**2)


def _added(unit: Ints, arm: Ints, epoch: Ints, count: Floats, total: Floats, squares: Floats) -> UnitSums:
    order = np.lexsort((unit, arm, epoch))
    unit, arm, epoch = unit[order], arm[order], epoch[order]
    is_first = np.ones(len(unit), bool)
    is_first[1:] = (unit[1:] != unit[:-1]) | (arm[1:] != arm[:-1]) | (epoch[1:] != epoch[:-1])
    starts = np.flatnonzero(is_first)
    sums = (np.add.reduceat(column[order], starts) if len(starts) else column for column in (count, total, squares))
    return UnitSums(unit[starts], arm[starts], epoch[starts], *sums)
