"""A KPI by day, as tables, charts and judgements read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from gitml.errors import GitmlError
from gitml.spec.kpis import Kpi
from gitml.success.daily import DailyFacts
from gitml.success.days import Days, midnight, whole_days
from gitml.success.facts import FactPlace, facts_by_day


@dataclass(frozen=True)
class KpiDay:
    """``value`` is None where nothing is known of the day, and ``why`` says why. ``mature``: late facts are no longer
    to be expected, so judgements may read it."""

    day: date
    value: float | None
    facts: int
    units: int
    mature: bool = True
    why: str = ""


@dataclass(frozen=True)
class KpiSeries:
    """``at``: the moment as of which it is known. ``problem``: why there are no days, '' where there are."""

    name: str
    kpi: Kpi
    at: datetime
    days: tuple[KpiDay, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str = ""

    @property
    def known(self) -> tuple[KpiDay, ...]:
        """Days that are mature and have a value."""
        return tuple(day for day in self.days if day.mature and day.value is not None)

    @property
    def mean_of_last_week(self) -> float | None:
        return _mean(self.known[-7:])

    @property
    def mean_of_week_before(self) -> float | None:
        return _mean(self.known[-14:-7])

    def to_dict(self) -> dict[str, Any]:
        kpi = self.kpi
        return {
            "name": self.name,
            "description": kpi.description,
            "unit": kpi.unit,
            "better": kpi.better,
            "daily": kpi.daily,
            "value": kpi.value,
            "zone": kpi.zone,
            "environment": kpi.environment,
            "at": self.at,
            "week": self.mean_of_last_week,
            "week_before": self.mean_of_week_before,
            "days": list(self.days),
            "notes": list(self.notes),
            "problem": self.problem,
        }


def _mean(days: tuple[KpiDay, ...]) -> float | None:
    values = [day.value for day in days if day.value is not None]
    return sum(values) / len(values) if values else None


@dataclass(frozen=True)
class SeriesSpan:
    """The window; ``at`` decides which days are over for long enough. ``repeats``: what came later is left out too, as
    far as the source knows it."""

    since: datetime
    until: datetime
    at: datetime
    repeats: bool = False

    def days(self, zone: str) -> Days:
        return whole_days(self.since, min(self.until, self.at), zone)


def all_series(place: FactPlace, kpis: Mapping[str, Kpi], span: SeriesSpan) -> tuple[KpiSeries, ...]:
    """Each that can be read; of others ``problem`` says why not."""
    return tuple(_tried(place, name, kpi, span) for name, kpi in kpis.items())


def _tried(place: FactPlace, name: str, kpi: Kpi, span: SeriesSpan) -> KpiSeries:
    try:
        return kpi_series(place, name, kpi, span)
    except GitmlError as exc:
        hint = f" ({exc.hint})" if exc.hint else ""
        return KpiSeries(name, kpi, span.at, problem=f"{exc.message}{hint}")
    except ModuleNotFoundError as exc:
        return KpiSeries(name, kpi, span.at, problem=f"{exc.name} is not installed (pip install 'gitml[kpi]')")


def kpi_series(place: FactPlace, name: str, kpi: Kpi, span: SeriesSpan) -> KpiSeries:
    """Whole days of the window alone. Raises UsageError and InconclusiveError as the sources do."""
    days = span.days(kpi.zone)
    if not len(days):
        return KpiSeries(name, kpi, span.at, (), ("no whole day lies in the window",))
    return series_of(name, kpi, days, facts_by_day(place, name, kpi, days, span.at if span.repeats else None), span.at)


def series_of(name: str, kpi: Kpi, days: Days, found: DailyFacts, at: datetime) -> KpiSeries:
    """What the facts of each day make of it."""
    return KpiSeries(name, kpi, at, tuple(_days(kpi, days, found, at)), found.notes)


def _days(kpi: Kpi, days: Days, found: DailyFacts, at: datetime) -> Iterator[KpiDay]:
    first = next((n for n, count in enumerate(found.facts) if count), len(days))
    for number, day in enumerate(days.dates):
        value, why = _value(kpi, found, number, is_before=number < first)
        mature = midnight(day + timedelta(days=1), kpi.zone) + kpi.mature <= at
        yield KpiDay(day, value, found.facts[number], found.units[number], mature, why)


def _value(kpi: Kpi, found: DailyFacts, day: int, *, is_before: bool) -> tuple[float | None, str]:
    facts, units = found.facts[day], found.units[day]
    if day in found.broken and kpi.daily == "total":
        return None, found.broken[day]
    if not facts:
        # Nobody can tell a quiet day from one on which nothing was written down yet.
        if is_before:
            return None, "before the first fact"
        return (0.0, "") if kpi.empty == "zero" and kpi.daily == "total" else (None, "no fact")
    if kpi.value == "sum" and found.unfit[day]:
        return None, f"{found.unfit[day]:,} of {facts:,} facts have no value that can be added up"
    total = {"sum": found.total[day], "count": float(facts), "any": float(units)}[kpi.value]
    if kpi.daily == "total":
        return total, ""
    count = units if kpi.daily == "per-unit" else facts
    return (total / count, "") if count else (None, "no fact names a unit")
