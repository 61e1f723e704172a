"""The difference of one metric between candidate and champion, and how sure it is, at one moment.

Rows of one unit of assignment are one draw, whatever they share: the variance is that of sums by unit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gitml.stats.influence import Floats, Influence, Ints

# With one unit in an arm nothing can be said of the arm's variance.
_LEAST_IN_STRATUM = 2


@dataclass(frozen=True)
class Contrast:
    """``difference`` is candidate less champion (over champion, where it is relative), ``error`` its standard error.

    ``clock``: how far the test has come, in effective observations: those of a paired comparison, n·m / (n + m) of two
    arms (a quarter of both together, where they are equal), more where rows of a unit are alike. ``units`` of champion
    and candidate. ``carriers``: the effective number of units that carry the variance, in the arm that has fewer. For
    zeros and ones it is about the number of the rarer ones; a few huge values make it small; 0 where nothing varies.
    """

    champion: float
    candidate: float
    difference: float
    error: float
    clock: float
    units: tuple[int, int]
    carriers: float


def paired(champion: Influence, candidate: Influence) -> Contrast:
    """Both answered the same observations (replay, shadow), which stand in the same rows.

    >>> from gitml.stats.influence import mean
    >>> unit = range(8)
    >>> found = paired(mean(unit, [1, 1, 0, 1, 0, 1, 1, 0]), mean(unit, [1, 1, 1, 1, 1, 1, 0, 0]))
    >>> found.difference, round(found.error, 3), found.clock, round(found.carriers, 2)
    (0.125, 0.227, 8.0, 2.98)
    """
    if not np.array_equal(champion.unit, candidate.unit) or champion.count != len(champion.unit):
        raise ValueError("both sides of a pair must stand in the same rows, one for each observation")
    rows = candidate.rows - champion.rows
    alone = float(rows @ rows) * len(rows) / max(len(rows) - 1, 1)
    apart = Influence(candidate.value - champion.value, candidate.unit, rows, champion.count, alone)
    return differences(apart, champion.value)


def differences(apart: Influence, champion: float) -> Contrast:
    """Of the mean of paired differences, candidate less champion, and the champion's own mean.

    That is what is left of pairs when they were added up by unit (``deltamethod.ratio``).

    >>> from gitml.stats.deltamethod import ratio
    >>> round(differences(ratio([1, 2, 3], [2.0, -1.0, 2.0], [10, 10, 10], [2.0, 1.0, 2.0]), champion=0.5).candidate, 2)
    0.6
    """
    _, sums = _by_unit(apart.unit, apart.rows)
    units = len(sums)
    variance = float(sums @ sums) * units / max(units - 1, 1)
    return Contrast(
        champion,
        champion + apart.value,
        apart.value,
        variance**0.5,
        apart.count * _more(variance, apart.independent),
        (units, units),
        _carriers(sums),
    )


def split(strata: Sequence[tuple[Influence, Influence]], *, relative: bool = False) -> Contrast | None:
    """Champion and candidate answered different units; each stratum is an epoch of one weight.

    Arms are compared within epochs only, so that a bad week in which the candidate had more of the traffic is no
    difference (Simpson's paradox). Epochs are weighted by n·m / (n + m), after W. G. Cochran (1954) and N. Mantel and
    W. Haenszel (1959): by who was assigned, never by how it went, which would favour epochs in which an arm was lucky.
    Units that return in a later epoch stay one draw. Strata where an arm has fewer than two units are left out; None
    where none is left, and for a relative difference to a champion of zero.

    >>> from gitml.stats.influence import mean
    >>> quiet = mean(range(90), [0] * 81 + [1] * 9), mean(range(100, 110), [0] * 9 + [1])
    >>> bad = mean(range(200, 220), [0, 1] * 10), mean(range(300, 320), [1, 0] * 10)
    >>> found = split([quiet, bad])
    >>> round(found.difference, 3), found.units
    (0.0, (110, 30))
    """
    reduced = [(s, [_by_unit(arm.unit, arm.rows) for arm in s]) for s in strata]
    kept = [(s, sums) for s, sums in reduced if min(len(of_arm[0]) for of_arm in sums) >= _LEAST_IN_STRATUM]
    if not kept:
        return None
    weights = np.array([a.count * b.count / (a.count + b.count) for (a, b), _ in kept])
    parts = weights / weights.sum()
    champion, candidate = (float(parts @ [s[arm].value for s, _ in kept]) for arm in (0, 1))
    if relative and champion == 0:
        return None
    slopes = (-candidate / champion**2, 1 / champion) if relative else (-1.0, 1.0)
    arms = [_joined([sums[arm] for _, sums in kept], parts * slopes[arm]) for arm in (0, 1)]
    _, both = _by_unit(*(np.concatenate(column) for column in zip(*arms, strict=True)))
    variance = float(both @ both)
    alone = math.fsum(
        (p * slope) ** 2 * arm.independent
        for p, (s, _) in zip(parts, kept, strict=True)
        for slope, arm in zip(slopes, s, strict=True)
    )
    return Contrast(
        champion,
        candidate,
        candidate / champion - 1 if relative else candidate - champion,
        variance**0.5,
        float(weights.sum()) * _more(variance, alone),
        (len(arms[0][0]), len(arms[1][0])),
        min(_carriers(sums) for _, sums in arms),
    )


def carriers(arms: Sequence[tuple[Influence, float]]) -> float:
    """The effective number of units that carry the variance of one arm, of which each epoch has a part."""
    unit = np.concatenate([arm.unit for arm, _ in arms])
    return _carriers(_by_unit(unit, np.concatenate([arm.rows * part for arm, part in arms]))[1])


def _joined(epochs: Sequence[tuple[Ints, Floats]], slopes: Floats) -> tuple[Ints, Floats]:
    """Units of one arm over all epochs; each epoch's sums are widened for the mean that was taken from them."""
    wide = [
        sums * slope * (len(sums) / (len(sums) - 1)) ** 0.5 for (_, sums), slope in zip(epochs, slopes, strict=True)
    ]
    return _by_unit(np.concatenate([unit for unit, _ in epochs]), np.concatenate(wide))


def _by_unit(unit: Ints, rows: Floats) -> tuple[Ints, Floats]:
    """The different units in order, and the sum of the rows of each."""
    if (unit[1:] >= unit[:-1]).all():  # rows in this order need no sorting, which would take most of the time
        starts = np.flatnonzero(np.append(len(unit) > 0, unit[1:] != unit[:-1]))
        return unit[starts], np.add.reduceat(rows, starts) if len(starts) else rows
    different, places = np.unique(unit, return_inverse=True)
    sums: Floats = np.bincount(places, rows, len(different)).astype(np.float64)
    return different, sums


def _carriers(sums: Floats) -> float:
    """The effective number of L. Kish, of squares: units of equal weight that would have the same fourth moment."""
    squares = sums**2
    fourth = float(squares @ squares)
    return float(squares.sum()) ** 2 / fourth if fourth > 0 else 0.0


def _more(variance: float, alone: float) -> float:
    """The design effect of L. Kish, "Survey sampling" (1965)."""
    return variance / alone if alone > 0 else 1.0
