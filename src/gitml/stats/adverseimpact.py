"""Rates of selection by category and their impact ratios, as 6 RCNY § 5-300 and § 5-301 define them.

The best category has the ratio 1. A category of less than 2 % of the rows may be left out of the ratios, with the
reason; its count and rate stay. A scoring rate is the share above the median score of the full sample, so scores equal
to the median are not above it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from gitml.stats import fixedsample
from gitml.stats.interval import Interval
from gitml.stats.student import quantile

_SIDE = 0.975


@dataclass(frozen=True)
class Share:
    """``hits`` of ``count`` rows, with its 95 % interval; ``value`` is None where there are no rows."""

    count: int
    hits: int
    value: float | None
    interval: Interval = field(default_factory=Interval)


@dataclass(frozen=True)
class CategoryRate:
    """``ratio`` to the best category; None where ``why`` says the reason. ``hidden``: its counts are not to be shown.

    ``bounds`` of all ratios of a table hold together at 95 %.
    """

    name: tuple[str, ...]
    rate: Share
    ratio: float | None = None
    bounds: Interval = field(default_factory=Interval)
    why: str = ""
    hidden: bool = False


@dataclass(frozen=True)
class ImpactRules:
    """``least_share`` of the rows for a ratio, ``least_count`` of a category for its count to be shown."""

    least_share: float = 0.02
    least_count: int = 5


def above_median(scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which scores count for the scoring rate.

    >>> above_median(np.array([0.1, 0.5, 0.5, 0.9])).tolist()
    [False, False, False, True]
    """
    return scores > np.median(scores) if len(scores) else np.zeros(0, bool)


def share(hits: NDArray[np.bool_]) -> Share:
    """A share of independent rows with Wilson's interval.

    >>> share(np.array([True, False])).value
    0.5
    """
    if not len(hits):
        return Share(0, 0, None)
    value, interval = fixedsample.share(np.arange(len(hits)), hits)
    return Share(len(hits), int(hits.sum()), value, interval)


def impact_ratios(
    chosen: Mapping[tuple[str, ...], NDArray[np.bool_]], rules: ImpactRules | None = None
) -> tuple[CategoryRate, ...]:
    """The categories of one table, each with whether its rows were selected, in the order given.

    >>> table = impact_ratios({("Male",): np.arange(100) < 50, ("Female",): np.arange(100) < 40})
    >>> [(one.name, one.rate.value, one.ratio) for one in table]
    [(('Male',), 0.5, 1.0), (('Female',), 0.4, 0.8)]
    """
    rules = rules or ImpactRules()
    total = sum(map(len, chosen.values()))
    found = [_reasoned(CategoryRate(name, share(hits)), total, rules) for name, hits in chosen.items()]
    judged = [one for one in found if not one.why]
    best = max(judged, key=lambda one: one.rate.value or 0.0, default=None)
    if best is None or not best.rate.value:
        return tuple(replace(one, why=one.why or "nobody was selected") for one in found)
    reach = quantile(_SIDE) * fixedsample.widening(len(judged) - 1)
    return tuple(one if one.why else _compared(one, best, reach) for one in found)


def _reasoned(one: CategoryRate, total: int, rules: ImpactRules) -> CategoryRate:
    """With the reason why it gets no ratio, if there is one."""
    count = one.rate.count
    if not count:
        return replace(one, why="n/a: nobody is in this category")
    if count < rules.least_count:
        return replace(one, why=f"fewer than {rules.least_count} people", hidden=True)
    if count < rules.least_share * total:
        return replace(one, why=f"less than {rules.least_share:.0%} of the people: left out of the ratios")
    return one


def _compared(one: CategoryRate, best: CategoryRate, reach: float) -> CategoryRate:
    if one is best:
        return replace(one, ratio=1.0, bounds=Interval(1.0, 1.0))
    value, highest = one.rate.value or 0.0, best.rate.value or 1.0
    return replace(one, ratio=value / highest, bounds=ratio_bounds(one.rate, best.rate, reach))


def ratio_bounds(one: Share, other: Share, reach: float) -> Interval:
    """Of the ratio of two rates: Katz's interval of its logarithm, with Walter's halves that make zeros finite.

    D. Katz et al., Biometrics 34 (1978); S. D. Walter, Biometrics 31 (1975).

    >>> found = ratio_bounds(Share(100, 40, 0.4), Share(100, 50, 0.5), 1.96)
    >>> round(found.low, 2), round(found.high, 2)
    (0.59, 1.09)
    """
    parts = ((part.hits + 0.5, part.count + 0.5) for part in (one, other))
    (hits, count), (others, all_others) = parts
    error = math.sqrt(max(1 / hits - 1 / count + 1 / others - 1 / all_others, 0.0))
    middle = math.log(hits / count) - math.log(others / all_others)
    low = 0.0 if not one.hits else math.exp(middle - reach * error)
    return Interval(low, math.exp(middle + reach * error))


def difference(one: Share, other: Share) -> tuple[float, Interval] | None:
    """One rate less another, with Newcombe's interval (Statistics in Medicine 17, 1998); None without rows.

    >>> value, found = difference(Share(10, 5, 0.5, Interval(0.2, 0.8)), Share(10, 4, 0.4, Interval(0.2, 0.7))) or ()
    >>> round(value, 3), round(found.low, 2), round(found.high, 2)
    (0.1, -0.32, 0.46)
    """
    if one.value is None or other.value is None:
        return None
    a, b, value = one.interval, other.interval, one.value - other.value
    low = value - math.hypot(one.value - a.low, b.high - other.value)
    return value, Interval(low, value + math.hypot(a.high - one.value, other.value - b.low))


def hidden_together(table: Sequence[CategoryRate]) -> tuple[CategoryRate, ...]:
    """The same with so many counts hidden that none can be had by subtraction from the sums of another table.

    In each line of the table, such as all of one sex, no count or at least two are hidden.
    """
    found, lines = list(table), [(place, value) for one in table for place, value in enumerate(one.name)]
    while True:
        before = [one.hidden for one in found]
        for place, value in dict.fromkeys([*lines, (-1, "")]):
            mine = [n for n, one in enumerate(found) if place < 0 or one.name[place] == value]
            shown = [n for n in mine if not found[n].hidden and found[n].rate.count]
            if sum(found[n].hidden for n in mine) == 1 and shown:
                least = min(shown, key=lambda n: found[n].rate.count)
                found[least] = replace(found[least], hidden=True)
        if before == [one.hidden for one in found]:
            return tuple(found)


def moved(before: Interval, now: Interval) -> bool:
    """Whether a ratio has left its interval: the two have no value in common.

    >>> moved(Interval(0.8, 1.0), Interval(0.5, 0.7)), moved(Interval(0.8, 1.0), Interval(0.7, 0.9))
    (True, False)
    """
    return now.high < before.low or now.low > before.high


def gap(shares: Mapping[tuple[str, ...], Share]) -> tuple[float, Interval] | None:
    """The largest difference between the rates of two categories; None where fewer than two have rows."""
    known = sorted((one for one in shares.values() if one.value is not None), key=lambda one: one.value or 0.0)
    return difference(known[-1], known[0]) if len(known) > 1 else None
