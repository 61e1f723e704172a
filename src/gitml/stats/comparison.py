"""Is a metric of one version different from that of another, or is it noise?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gitml.stats.refits import Refits, widened

MIN_REPLICATES = 20


class Reading(StrEnum):
    """What the interval of a difference says, in the direction that the model's owner calls better."""

    BETTER = "better"
    WORSE = "worse"
    NOISE = "within noise"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Estimate:
    """A metric: its value and, where there are any, its 95 % interval, its bootstrap replicates and its refits."""

    value: float
    low: float | None = None
    high: float | None = None
    replicates: Sequence[float] = ()
    refits: Refits | None = None


@dataclass(frozen=True)
class Difference:
    """``new - old`` of one metric. ``low`` and ``high`` are None when there is nothing to judge noise on.

    ``freedom`` are the degrees of freedom of an interval that holds the variance of training too; None: that of the
    rows alone.
    """

    metric: str
    new: float | None
    old: float | None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    paired: bool = False
    reading: Reading = Reading.UNKNOWN
    freedom: int | None = None


def percentile(values: Sequence[float], share: float) -> float:
    """The ``share`` quantile by linear interpolation (definition 7 of Hyndman and Fan 1996, numpy's default).

    >>> percentile([1.0, 2.0, 3.0, 4.0], 0.5)
    2.5
    """
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def difference(
    metric: str, new: Estimate | None, old: Estimate | None, *, better: str | None, paired: bool
) -> Difference:
    """Compare one metric of two versions; ``better`` is ``higher``, ``lower`` or None (not judged).

    ``paired`` says that replicate b of both drew the same rows (same rows, same seed). Then the interval is the
    percentile bootstrap of the differences (Efron and Tibshirani 1993, chapter 13), far narrower than the two
    intervals suggest. Otherwise the half-widths add in quadrature, as for independent estimates, which is too wide
    rather than too narrow for two models on the same rows. Where a side has refits with other seeds, the interval grows
    by the variance of training (``gitml.stats.refits``).

    >>> a = Estimate(0.7, replicates=[0.69 + 0.0005 * i for i in range(40)])
    >>> b = Estimate(0.6, replicates=[0.59 + 0.0005 * i for i in range(40)])
    >>> difference("auc", a, b, better="higher", paired=True).reading
    <Reading.BETTER: 'better'>
    >>> difference("auc", None, b, better="higher", paired=True).reading
    <Reading.UNKNOWN: 'unknown'>
    """
    if new is None or old is None:
        return Difference(metric, new.value if new else None, old.value if old else None)
    bounds = _paired(new, old) if paired else None
    is_paired = bounds is not None
    bounds = bounds or _independent(new, old)
    value = new.value - old.value
    if bounds is None:
        return Difference(metric, new.value, old.value, value)
    low, high, freedom = widened(*bounds, new.refits, old.refits)
    return Difference(
        metric, new.value, old.value, value, low, high, is_paired, reading_of((low, high), better), freedom
    )


def _paired(new: Estimate, old: Estimate) -> tuple[float, float] | None:
    if len(new.replicates) != len(old.replicates) or len(new.replicates) < MIN_REPLICATES:
        return None
    apart = [a - b for a, b in zip(new.replicates, old.replicates, strict=True)]
    return percentile(apart, 0.025), percentile(apart, 0.975)


def _independent(new: Estimate, old: Estimate) -> tuple[float, float] | None:
    if new.low is None or new.high is None or old.low is None or old.high is None:
        return None
    value = new.value - old.value
    down = math.hypot(new.value - new.low, old.high - old.value)
    up = math.hypot(new.high - new.value, old.value - old.low)
    return value - down, value + up


def reading_of(bounds: tuple[float, float], better: str | None) -> Reading:
    """What an interval of a difference says, where ``better`` is higher, lower or None.

    >>> reading_of((0.01, 0.02), "lower")
    <Reading.WORSE: 'worse'>
    """
    if better is None:
        return Reading.UNKNOWN
    low, high = bounds if better == "higher" else (-bounds[1], -bounds[0])
    if low > 0:
        return Reading.BETTER
    return Reading.WORSE if high < 0 else Reading.NOISE


def differences(
    new: Mapping[str, Estimate], old: Mapping[str, Estimate], *, better: Mapping[str, str], paired: bool
) -> list[Difference]:
    """All metrics of either version: those with a direction first, in its order, then the others by name."""
    rest = sorted((set(new) | set(old)) - set(better))
    names = [n for n in better if n in new or n in old] + rest
    return [difference(n, new.get(n), old.get(n), better=better.get(n), paired=paired) for n in names]
