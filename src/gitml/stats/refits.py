"""How far a metric moves when nothing but the seed of training changes.

A bootstrap of the evaluated rows cannot see it: the rows vary, the fit does not. Bouthillier et al. (2021), "Accounting
for variance in machine learning benchmarks", MLSys 3, show how much that hides, and advise to vary seeds as well.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from gitml.stats.student import quantile

FEWEST, MOST = 5, 1000
_LARGEST = 1e150  # sums of squares stay finite
_MOST_FREEDOM = 1000  # beyond it Student's t is the normal distribution, within half a percent


@dataclass(frozen=True)
class Refits:
    """One metric of ``count`` fits of a model that differ by their seed alone, judged on the same rows.

    ``deviation`` is their standard deviation, in the metric's unit (n - 1 in the denominator). Raises ValueError for
    fewer than ``FEWEST`` fits, more than ``MOST``, and a deviation that is none.
    """

    count: int
    deviation: float

    def __post_init__(self) -> None:
        if not FEWEST <= self.count <= MOST:
            raise ValueError(f"{self.count} refits, {FEWEST} to {MOST} are needed")
        if not 0 <= self.deviation <= _LARGEST:
            raise ValueError(f"the deviation of refits is {self.deviation}")


def refits_of(values: Sequence[float]) -> Refits:
    """Raises ValueError.

    >>> refits_of([0.70, 0.71, 0.72, 0.73, 0.74])
    Refits(count=5, deviation=0.01581138830084191)
    """
    if len(values) < FEWEST:
        raise ValueError(f"{len(values)} refits, {FEWEST} or more are needed")
    if not all(math.isfinite(value) for value in values):
        raise ValueError("a refit is no finite number")
    try:
        return Refits(len(values), statistics.stdev(values))
    except OverflowError as exc:
        raise ValueError("the refits are too far apart to have a deviation") from exc


def widened(low: float, high: float, new: Refits | None, old: Refits | None) -> tuple[float, float, int | None]:
    """The 95 % interval of a difference over rows, made one over rows and training, and its degrees of freedom.

    The variance of the rows and that of each side's fits add up. The latter come from few fits, so the quantile is
    Student's, with the degrees of freedom of Welch (1947), "The generalization of Student's problem when several
    different population variances are involved", Biometrika 34. The interval grows by as much on either side. Where
    only one side has refits they stand for both: a change that changes nothing leaves that variance as it was. With
    none the interval is what it was, and None says that it knows nothing of training.

    >>> low, high, freedom = widened(-0.01, 0.01, refits_of([0.70, 0.71, 0.72, 0.73, 0.74]), None)
    >>> round(low, 3), round(high, 3), freedom
    (-0.064, 0.064, 4)
    """
    sides = [side for side in (new, old) if side is not None]
    if not sides:
        return low, high, None
    half = (high - low) / 2
    both = [side.deviation for side in (sides[0], sides[-1])]
    whole = math.hypot(half / quantile(0.975), *both)
    freedom = _freedom(whole, sides)
    more = max(quantile(0.975, freedom) * whole - half, 0.0)
    return low - more, high + more, freedom


def _freedom(whole: float, sides: Sequence[Refits]) -> int:
    """Rounded down, which widens. The variance of the rows counts as known: hundreds of resamples say it."""
    if not whole:
        return _MOST_FREEDOM
    twice = 2 if len(sides) == 1 else 1
    spent = sum((twice * (side.deviation / whole) ** 2) ** 2 / (side.count - 1) for side in sides)
    return min(int(1 / spent + 1e-9), _MOST_FREEDOM) if spent * _MOST_FREEDOM > 1 else _MOST_FREEDOM
