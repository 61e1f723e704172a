"""Every change held against every KPI that it may have moved, at each horizon that is over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gitml.spec import Application
from gitml.spec.kpis import Kpi
from gitml.success.changes import ServedChange
from gitml.success.days import day_of, midnight
from gitml.success.design import LONGEST_BEFORE
from gitml.success.facts import FactPlace
from gitml.success.impact import HORIZONS, ChangeImpact, ImpactQuestion, impact
from gitml.success.series import KpiSeries, SeriesSpan, all_series

# So many days before a change tell its season too; Prometheus is asked day by day, and not for a year of them.
_SEASON = timedelta(days=500)


@dataclass(frozen=True)
class BusinessView:
    """``app`` of main; ``last``: the environment that promotions lead to; ``served``: all changes, oldest first;
    ``at``: what is over and mature then counts."""

    app: Application
    last: str
    served: Sequence[ServedChange]
    at: datetime

    def kpis_of(self, change: ServedChange) -> Mapping[str, Kpi]:
        """Those that the change may have moved."""
        return {name: kpi for name, kpi in self.app.kpis.items() if self.may_move(change, kpi)}

    def may_move(self, change: ServedChange, kpi: Kpi) -> bool:
        here = (kpi.environment or self.last) == change.environment
        return here and (not kpi.models or change.model in kpi.models)

    def end(self, change: ServedChange, kpi: Kpi, days: int) -> datetime:
        """When the days after the change are over and mature."""
        day = day_of(change.moment, kpi.zone)
        return midnight(day + timedelta(days=days + 1), kpi.zone) + kpi.mature

    def over(self, change: ServedChange, kpi: Kpi) -> tuple[int, ...]:
        """The horizons whose days are over and mature."""
        return tuple(n for n in HORIZONS if self.end(change, kpi, n) <= self.at)


def change_impacts(
    place: FactPlace, view: BusinessView, changes: Sequence[ServedChange], horizons: Sequence[int] = HORIZONS
) -> tuple[ChangeImpact, ...]:
    """In the order of ``changes``; one that no KPI is for has no results. Each KPI is read once.

    ``horizons``: those that are asked for; others that are over wait too."""
    asked = {name: kpi for change in changes for name, kpi in view.kpis_of(change).items()}
    controls = {name: view.app.kpis[name] for kpi in asked.values() for name in kpi.controls if name in view.app.kpis}
    series = _read(place, view, changes, {**asked, **controls})
    return tuple(_of_change(view, change, series, horizons) for change in changes)


def _read(
    place: FactPlace, view: BusinessView, changes: Sequence[ServedChange], kpis: Mapping[str, Kpi]
) -> dict[str, KpiSeries]:
    if not kpis:
        return {}
    first = min(change.moment for change in changes)
    found: dict[str, KpiSeries] = {}
    for name, kpi in kpis.items():
        back = timedelta(days=LONGEST_BEFORE + 2) if kpi.prometheus else _SEASON
        last = max(change.moment for change in changes) + timedelta(days=max(HORIZONS) + 2)
        span = SeriesSpan(first - back, min(last, view.at), view.at, repeats=True)
        found |= {one.name: one for one in all_series(place, {name: kpi}, span)}
    return found


def _of_change(
    view: BusinessView, change: ServedChange, series: Mapping[str, KpiSeries], horizons: Sequence[int]
) -> ChangeImpact:
    results, waits = [], set()
    for name, kpi in view.kpis_of(change).items():
        others = [one for one in view.served if view.may_move(one, kpi)]
        controls = [series[one] for one in kpi.controls if one in series]
        worth, currency = worth_of(kpi, view.app)
        over = view.over(change, kpi)
        waits |= {n for n in HORIZONS if n not in over or n not in horizons}
        told = [n for n in horizons if n in over]
        for days in told:
            found = impact(ImpactQuestion(series[name], change, days, others, controls, worth, currency))
            # The days of the longest one hold those of the others.
            results.append(found if days == told[-1] else replace(found, points=()))
    return ChangeImpact(change, tuple(results), waits=tuple(sorted(waits)))


def worth_of(kpi: Kpi, app: Application) -> tuple[float | None, str]:
    """What one of a KPI is worth, and in which currency; None where it is not money."""
    currency = app.costs.currency if app.costs else ""
    if kpi.worth is not None:
        return kpi.worth, currency or "USD"
    return (1.0, currency) if currency and kpi.unit == currency else (None, "")
