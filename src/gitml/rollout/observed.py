"""One number of both arms, by epoch and moment: its contrast now, and what it was at each moment before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gitml.rollout.bydays import DayError, day_error
from gitml.stats import asymptoticcs, betabinomial, contrast, rates
from gitml.stats.asymptoticcs import Side
from gitml.stats.contrast import Contrast
from gitml.stats.influence import Influence
from gitml.stats.interval import Interval

Moments = NDArray[np.int64]
Floats = NDArray[np.float64]
_LEAST = 2


@dataclass(frozen=True)
class TimedInfluence:
    """Rows of one arm in one epoch, those of a unit one after another and by time; ``known``: microseconds at which
    each could be judged."""

    influence: Influence
    known: Moments


@dataclass(frozen=True)
class Observed:
    """``strata``: champion and candidate of each epoch; of a ``paired`` trial there is one. ``hits``: events and trials
    of champion and candidate, where rows are independent zeros and ones of one epoch; ``won``: pairs that only the
    candidate, and that only the champion has, likewise. ``bearing``: of a metric between 0 and 1, how many units of
    champion and candidate it rests on, for each kind of row (positives and negatives, say). ``by_day``: days are draws
    as well, and the wider interval counts."""

    strata: tuple[tuple[TimedInfluence, TimedInfluence], ...]
    paired: bool
    hits: tuple[tuple[float, float], tuple[float, float]] | None = None
    won: tuple[float, float] | None = None
    bearing: tuple[Sequence[int], Sequence[int]] | None = None
    by_day: bool = False

    @property
    def still(self) -> tuple[int, ...]:
        """The arms of split traffic in which nothing varies, such as a recall of 0."""
        if self.paired:
            return ()
        return tuple(arm for arm in (0, 1) if not any(pair[arm].influence.rows.any() for pair in self.strata))

    @property
    def contrast(self) -> Contrast | None:
        """None where no epoch has two units in each arm."""
        if self.paired:
            champion, candidate = self.strata[0]
            return contrast.paired(champion.influence, candidate.influence)
        return contrast.split([(by_unit(a.influence), by_unit(b.influence)) for a, b in self.strata])

    def bound(self, found: Contrast | None, level: float, side: Side, moment: int | None = None) -> float | None:
        """The end at ``side`` of the confidence sequence of candidate − champion, None where there is none yet.

        ``moment``: of before, in microseconds, for which ``found`` is.
        """
        interval = self._interval(found, level, side)
        end = None if interval is None else interval.low if side == "low" else interval.high
        if end is not None and found is not None and self.by_day:
            reach = self.days(moment).reach(level)
            end = min(end, found.difference - reach) if side == "low" else max(end, found.difference + reach)
        return end if end is not None and np.isfinite(end) else None

    def days(self, moment: int | None = None) -> DayError:
        """The error of the difference where each day is one draw, up to a ``moment``."""
        if self.paired:
            champion, candidate = self.strata[0]
            return day_error([(candidate.influence.rows - champion.influence.rows, candidate.known)], moment)
        sizes = [(a.influence.count, b.influence.count) for a, b in self.strata]
        weights = np.array([n * m / (n + m) for n, m in sizes])
        rows = [
            (arm.influence.rows * float(part) * sign, arm.known)
            for pair, part in zip(self.strata, weights / weights.sum(), strict=True)
            for arm, sign in zip(pair, (-1.0, 1.0), strict=True)
        ]
        return day_error(rows, moment)

    def _interval(self, found: Contrast | None, level: float, side: Side) -> Interval | None:
        if self.won and self.hits and found:
            return rates.paired(found, *self.won, self.hits[0][1], level, side=side)
        if self.hits and not self.paired:
            return rates.split(found, *self.hits, level, side=side)
        if found is None:
            return None
        return asymptoticcs.interval(found, level, side=side) or self._beside_still(found, level, side)

    def _beside_still(self, found: Contrast, level: float, side: Side) -> Interval | None:
        """Of an arm in which nothing varies nothing nearly normal can be said; but units that are unlike all that were
        seen are rare, and each moves a metric between 0 and 1 by no more than its share."""
        if not self.still or self.bearing is None:
            return None
        groups = [self.bearing[arm] for arm in self.still]
        every = rates.EXACT * level / sum(map(len, groups))
        apart = sum(betabinomial.interval(0, n, every, side="high").high for units in groups for n in units)
        near: Interval | None = Interval(found.difference, found.difference)
        if len(self.still) == 1:
            moving = replace(found, carriers=contrast.carriers(self._weighted(1 - self.still[0])))
            near = asymptoticcs.interval(moving, (1 - rates.EXACT) * level, side=side)
        return None if near is None else Interval(near.low - apart, near.high + apart)

    def _weighted(self, arm: int) -> list[tuple[Influence, float]]:
        """The arm in each epoch, by the weight of that."""
        counts = [(a.influence.count, b.influence.count) for a, b in self.strata]
        return [(pair[arm].influence, n * m / (n + m)) for pair, (n, m) in zip(self.strata, counts, strict=True)]


def by_unit(found: Influence) -> Influence:
    """The same with one row for each unit, whose rows stand one after another: fewer to compare."""
    unit = found.unit
    first = np.ones(len(unit), bool)
    first[1:] = unit[1:] != unit[:-1]
    starts = np.flatnonzero(first)
    if len(starts) == len(unit):
        return found
    return replace(found, unit=unit[starts], rows=np.add.reduceat(found.rows, starts))


def contrasts_over_time(observed: Observed, whole: Contrast, moments: Moments) -> list[Contrast | None]:
    """What the contrast was at each moment: values as they were then, errors by the influence that is known now. None
    where an arm had fewer than two units."""
    if observed.paired:
        champion, candidate = (arm.influence for arm in observed.strata[0])
        apart = _cumulated(observed.strata[0][1], moments, candidate.rows - champion.rows)
        sides = [_cumulated(arm, moments) for arm in observed.strata[0]]
        values = [side.value for side in sides]
        return _contrasts(whole, values, apart.error, apart.rows, (apart.units, apart.units))
    pairs = [[_cumulated(arm, moments) for arm in pair] for pair in observed.strata]
    sizes = np.array([np.where(a.some & b.some, a.rows * b.rows / np.maximum(a.rows + b.rows, 1), 0) for a, b in pairs])
    parts = sizes / np.maximum(sizes.sum(axis=0), 1e-300)
    values = [np.sum([p * pair[arm].value for p, pair in zip(parts, pairs, strict=True)], axis=0) for arm in (0, 1)]
    errors = [(p * side.error) ** 2 for p, pair in zip(parts, pairs, strict=True) for side in pair]
    units = [np.sum([pair[arm].units for pair in pairs], axis=0) for arm in (0, 1)]
    return _contrasts(whole, values, np.sqrt(np.sum(errors, axis=0)), sizes.sum(axis=0), (units[0], units[1]))


def _contrasts(
    whole: Contrast, values: Sequence[Floats], errors: Floats, sizes: Floats, units: tuple[Floats, Floats]
) -> list[Contrast | None]:
    found: list[Contrast | None] = []
    for n, size in enumerate(sizes.tolist()):
        old, new = float(values[0][n]), float(values[1][n])
        seen = (int(units[0][n]), int(units[1][n]))
        known = size > 0 and min(seen) >= _LEAST
        part = size / float(sizes[-1]) if size else 0.0
        one = replace(
            whole, champion=old, candidate=new, difference=new - old, error=float(errors[n]),
            clock=whole.clock * part, units=seen, carriers=whole.carriers * part,
        )  # fmt: skip
        found.append(one if known else None)
    return found


@dataclass(frozen=True)
class _Cumulated:
    """Of one arm at each moment: ``rows`` and ``units`` so far, its ``value``, and the standard ``error`` of that."""

    rows: Floats
    units: Floats
    value: Floats
    error: Floats

    @property
    def some(self) -> NDArray[np.bool_]:
        return self.units >= _LEAST


def _cumulated(arm: TimedInfluence, moments: Moments, psi: Floats | None = None) -> _Cumulated:
    unit, psi = arm.influence.unit, arm.influence.rows if psi is None else psi
    place = np.searchsorted(moments, arm.known, "left")
    inside = place < len(moments)
    unit, psi, place = unit[inside], psi[inside], place[inside]
    first = np.ones(len(unit), bool)
    first[1:] = unit[1:] != unit[:-1]
    # The sum within a unit so far; what its square gains with each row is what the variance gains.
    total = np.cumsum(psi)
    starts = np.maximum.accumulate(np.where(first, np.arange(len(unit)), 0))
    after = total - (total - psi)[starts]
    gained = after**2 - (after - psi) ** 2
    rows, units, sums, squares = (
        np.cumsum(np.bincount(place, weights, len(moments)).astype(np.float64))
        for weights in (None, first.astype(np.float64), psi, gained)
    )
    grown = len(arm.influence.rows) / np.maximum(rows, 1)
    return _Cumulated(rows, units, arm.influence.value + grown * sums, grown * np.sqrt(np.maximum(squares, 0)))
