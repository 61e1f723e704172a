"""What a KPI did after a change of a model: an association, told only where two methods agree and nothing else changed.

Never a gate: nobody assigned units to before and after. Where a split of the traffic compared the two versions on the
same KPI, that comparison is causal, and stands first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gitml.jsontext import picked
from gitml.success.changes import ServedChange
from gitml.success.days import day_of
from gitml.success.design import ImpactDesign, Lacking, design_of
from gitml.success.interrupted import EffectEstimate, interrupted_ar1
from gitml.success.returns import ReturnOnChange
from gitml.success.series import KpiSeries
from gitml.success.structural import structural_level
from gitml.verdict import Phase

Floats = NDArray[np.float64]
HORIZONS = (7, 14, 28)
DAYS_A_MONTH = 30.4
# The level confirms what the series claims. At .95 for both, one of five effects of 1.5 standard deviations is seen on
# AR(.5), and at .8 one of three, with .03 false claims at most; see benchmarks/impact.py.
_CLAIMS, _CONFIRMS = 0.95, 0.8


@dataclass(frozen=True)
class PlaceboRank:
    """The same change at dates on which nothing happened: in how many of ``dates`` it looked at least as large."""

    rank: int
    dates: int

    @property
    def p_value(self) -> float:
        return self.rank / (self.dates + 1)


@dataclass(frozen=True)
class ImpactResult:
    """Of one KPI, ``days`` after one change. ``phase``: successful where the KPI went the better way, failed where it
    went the other, inconclusive where no change is clear, or none can be told. ``reason`` says which.

    ``effect``, ``low``, ``high``: of the mean of a day; the widest of both methods' intervals. ``before``: the mean of
    a day before. ``a_month``: the same in the currency of ``costs``, None where nobody said what it is worth.
    ``beside``: other changes at the time, which cannot be told from this one. ``points``: the days that were compared
    with their values, None where nothing is known.
    """

    kpi: str
    unit: str
    days: int
    phase: Phase
    reason: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    before: float | None = None
    a_month: tuple[float, float, float] | None = None
    currency: str = ""
    methods: tuple[EffectEstimate, ...] = ()
    placebo: PlaceboRank | None = None
    beside: tuple[ServedChange, ...] = ()
    notes: tuple[str, ...] = ()
    points: tuple[tuple[date, float | None], ...] = ()

    @property
    def is_clear(self) -> bool:
        return self.phase in (Phase.SUCCESSFUL, Phase.FAILED)


@dataclass(frozen=True)
class ImpactQuestion:
    """``others``: all changes that may have moved the KPI too. ``controls``: series that no change moves. ``worth``: of
    one of the KPI, in ``currency``; None where it is not money."""

    series: KpiSeries
    change: ServedChange
    days: int
    others: Sequence[ServedChange] = ()
    controls: Sequence[KpiSeries] = ()
    worth: float | None = None
    currency: str = ""


def impact(asked: ImpactQuestion) -> ImpactResult:
    """Never raises for what the data are like: what cannot be told is inconclusive, with the reason."""
    open_ = ImpactResult(asked.series.name, asked.series.kpi.unit, asked.days, Phase.INCONCLUSIVE, "")
    if asked.series.problem:
        return replace(open_, reason=f"the KPI cannot be read: {asked.series.problem}")
    beside = _beside(asked)
    if beside:
        named = ", ".join(map(str, beside))
        return replace(open_, reason=f"not identifiable: {named} fell into the same days", beside=beside)
    design = design_of(asked.series, asked.controls, _change_day(asked), asked.days, _clear_since(asked))
    if isinstance(design, Lacking):
        return replace(open_, reason=design.reason)
    return _judged(asked, design, open_)


def _change_day(asked: ImpactQuestion) -> date:
    return day_of(asked.change.moment, asked.series.kpi.zone)


def _moves(asked: ImpactQuestion, other: ServedChange) -> bool:
    return (other.commit, other.model, other.environment) != (
        asked.change.commit,
        asked.change.model,
        asked.change.environment,
    )


def _beside(asked: ImpactQuestion) -> tuple[ServedChange, ...]:
    """Those within the days that are compared, and within the week before: what they did is not over yet."""
    zone, day = asked.series.kpi.zone, _change_day(asked)
    first, last = day - timedelta(days=7), day + timedelta(days=asked.days)
    near = (one for one in asked.others if _moves(asked, one) and first <= day_of(one.moment, zone) <= last)
    return tuple(sorted(near, key=lambda one: (one.moment, one.model)))


def _clear_since(asked: ImpactQuestion) -> date | None:
    """The day of the last other change before: the days before it are another world."""
    zone, day = asked.series.kpi.zone, _change_day(asked)
    earlier = (day_of(one.moment, zone) for one in asked.others if _moves(asked, one))
    return max((one for one in earlier if one < day), default=None)


def _judged(asked: ImpactQuestion, design: ImpactDesign, open_: ImpactResult) -> ImpactResult:
    if design.is_flat:
        return replace(open_, reason="no clear change: the KPI is the same on every day", before=design.before)
    series, structural = estimates(design)
    effect = (series.effect + structural.effect) / 2
    low, high = min(series.low, structural.low), max(series.high, structural.high)
    rank = placebo_rank(design, series)
    known = {day.day: day.value for day in asked.series.known}
    found = replace(
        open_,
        points=tuple((day, known.get(day)) for day in design.dates),
        effect=effect,
        low=low,
        high=high,
        before=design.before,
        methods=(series, structural),
        placebo=rank,
        a_month=_a_month(asked, (effect, low, high)),
        currency=asked.currency if asked.worth is not None else "",
        notes=design.notes,
    )
    if not agree(series, structural):
        return replace(found, reason="no clear change: " + _why_not(series, structural))
    better = (effect > 0) == (asked.series.kpi.better == "higher")
    how, word = "higher" if effect > 0 else "lower", "better" if better else "worse"
    said = (
        f"{how} by {abs(effect):.4g} a day than the weeks before suggest, which is {word}: an association, not a cause"
    )
    return replace(found, phase=Phase.SUCCESSFUL if better else Phase.FAILED, reason=said)


def agree(one: EffectEstimate, other: EffectEstimate) -> bool:
    """Whether both see a change, in the same direction: less is no clear change."""
    return one.excludes_zero and other.excludes_zero and (one.effect > 0) == (other.effect > 0)


def _why_not(series: EffectEstimate, structural: EffectEstimate) -> str:
    seen = [one.method for one in (series, structural) if one.excludes_zero]
    if len(seen) == 2:
        return "the two methods see opposite ones"
    return f"only the {seen[0]} sees one" if seen else "neither method sees one"


def _a_month(asked: ImpactQuestion, found: tuple[float, float, float]) -> tuple[float, float, float] | None:
    """Of totals alone: the mean of a day cannot be added up over days."""
    if asked.worth is None or asked.series.kpi.daily != "total":
        return None
    sign = 1 if asked.series.kpi.better == "higher" else -1
    effect, *ends = (sign * value * asked.worth * DAYS_A_MONTH for value in found)
    return (effect, min(ends), max(ends))


def estimates(design: ImpactDesign) -> tuple[EffectEstimate, EffectEstimate]:
    """By both methods."""
    return series_estimate(design), level_estimate(design)


def series_estimate(design: ImpactDesign) -> EffectEstimate:
    """The interrupted series with AR(1) errors: it claims."""
    known = ~np.isnan(design.y)
    return interrupted_ar1(
        design.number[known],
        design.y[known],
        np.column_stack([np.ones(int(known.sum())), design.trend[known], design.x[known]]),
        design.after[known].astype(float),
        _CLAIMS,
    )


def level_estimate(design: ImpactDesign) -> EffectEstimate:
    """The local level: it confirms."""
    return structural_level(design.y, design.x, int((design.number < 0).sum()), _CONFIRMS)


def placebo_rank(design: ImpactDesign, real: EffectEstimate) -> PlaceboRank | None:
    """None where the days before are too few for any such date."""
    span = int(design.number.max())
    before = design.number < 0
    number, y, trend, x = (part[before] for part in (design.number, design.y, design.trend, design.x))
    known = ~np.isnan(y)
    sizes = []
    for placebo in np.arange(number.min() + 21, -span, max(1.0, span / 7)):
        inside = known & (number != placebo) & (number <= placebo + span)
        after = number[inside] > placebo
        if after.sum() < 3 or (~after).sum() < 14:
            continue
        columns = np.column_stack([np.ones(int(inside.sum())), trend[inside], x[inside]])
        found = interrupted_ar1(number[inside], y[inside], columns, after.astype(float), _CLAIMS)
        sizes.append(abs(found.effect) / max(found.high - found.low, 1e-300))
    if not sizes:
        return None
    size = abs(real.effect) / max(real.high - real.low, 1e-300)
    return PlaceboRank(1 + sum(one >= size for one in sizes), len(sizes))


@dataclass(frozen=True)
class CausalComparison:
    """What a split of the traffic found of the same KPI by unit, before the change."""

    kpi: str
    phase: Phase
    reason: str
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    at: str = ""


@dataclass(frozen=True)
class ChangeImpact:
    """All KPIs that a change may have moved, at the horizons that are over; ``waits``: those that are not. ``causal``
    stands first: it is. ``returns``: at the longest horizon, None without `costs`."""

    change: ServedChange
    results: tuple[ImpactResult, ...]
    causal: tuple[CausalComparison, ...] = ()
    waits: tuple[int, ...] = ()
    returns: ReturnOnChange | None = None

    @property
    def longest(self) -> tuple[ImpactResult, ...]:
        """The results of the longest horizon that is over."""
        most = max((one.days for one in self.results), default=0)
        return tuple(one for one in self.results if one.days == most)

    def to_dict(self) -> dict[str, Any]:
        return picked(self, "change", "causal", "results", "waits", "returns")
