"""The days that a change is judged on: what is known before and after it, and what else moves a KPI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from gitml.success.series import KpiSeries

Floats = NDArray[np.float64]
LONGEST_BEFORE, SHORTEST_BEFORE = 91, 28
# Below that a season is not told from a trend.
_YEAR = 400
_WEEK = 7


@dataclass(frozen=True)
class Lacking:
    """Why nothing can be told, with what is missing."""

    reason: str


@dataclass(frozen=True)
class ImpactDesign:
    """Rows are days. ``number``: days since the change, negative before it. ``y``: NaN where a day is not known, and on
    the day of the change, on which both served. ``x``: weekdays and controls; ``trend``: a line. ``before``: the mean
    of a day before the change."""

    number: Floats
    y: Floats
    x: Floats
    trend: Floats
    before: float
    dates: tuple[date, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def after(self) -> NDArray[np.bool_]:
        return self.number > 0

    @property
    def is_flat(self) -> bool:
        known = self.y[~np.isnan(self.y)]
        return bool(np.ptp(known) == 0)


def design_of(
    series: KpiSeries, controls: Sequence[KpiSeries], change: date, days: int, clear_since: date | None = None
) -> ImpactDesign | Lacking:
    """``clear_since``: the day of the change before this one."""
    values = {one.day: one.value for one in series.known}
    if not values:
        return Lacking("no day of the KPI is known: nothing has been added to it, or nothing is mature yet")
    first = max(change - timedelta(days=LONGEST_BEFORE), min(values), (clear_since or date.min) + timedelta(days=1))
    dates = [first + timedelta(days=n) for n in range((change - first).days + days + 1)]
    y = np.array([_number(values.get(one) if one != change else None) for one in dates])
    number = np.array([float((one - change).days) for one in dates])
    why = _too_few(number, y, days, clear_since)
    if why:
        return Lacking(why)
    y, season = _without_season(values, y, dates, change)
    weekdays = _weekdays(dates)
    used, columns = _controls(controls, dates, number < 0, weekdays)
    x = np.column_stack([weekdays, *columns]) if columns else weekdays
    before = float(np.nanmean(y[number < 0]))
    trend = (number - number.mean()) / len(number)
    return ImpactDesign(number, y, x, trend, before, tuple(dates), tuple(n for n in (season, used) if n))


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _too_few(number: Floats, y: Floats, days: int, clear_since: date | None) -> str:
    known = ~np.isnan(y)
    before, after = int((known & (number < 0)).sum()), int((known & (number > 0)).sum())
    if before < SHORTEST_BEFORE:
        since = f" since the change before it on {clear_since:%Y-%m-%d}" if clear_since else ""
        return f"{before} days before the change are known{since}, and it takes {SHORTEST_BEFORE}"
    # Each weekday once at least, and most of the days.
    wanted = max(_WEEK - 1, round(0.7 * days))
    return f"{after} of the {days} days after the change are known, and it takes {wanted}" if after < wanted else ""


def _weekdays(dates: Sequence[date]) -> Floats:
    """Six columns that add up to nothing over a week."""
    number = np.array([one.weekday() for one in dates])
    return np.column_stack([(number == n).astype(float) - (number == 6) for n in range(6)])


def _controls(
    controls: Sequence[KpiSeries], dates: Sequence[date], before: NDArray[np.bool_], weekdays: Floats
) -> tuple[str, list[Floats]]:
    """In standard units of the days before the change; and what is to be said of those that are of no use: not known on
    all days, or the same as weekdays, a line and others together."""
    known = np.column_stack([np.ones(len(dates)), np.arange(len(dates)) / len(dates), weekdays])[before]
    columns, left = [], []
    for one in controls:
        values = {day.day: day.value for day in one.known}
        column = np.array([_number(values.get(day)) for day in dates])
        spread = float(np.std(column[before])) if not np.isnan(column).any() else 0.0
        standard = (column - column[before].mean()) / spread if spread > 0 else column
        wider = np.column_stack([known, standard[before]])
        if spread > 0 and np.linalg.matrix_rank(wider, tol=1e-6) > np.linalg.matrix_rank(known, tol=1e-6):
            columns.append(standard)
            known = wider
        else:
            left.append(one.name)
    why = "not known on all days, or say nothing that weekdays, a trend and other controls do not"
    return (f"without the controls {', '.join(left)}, which are {why}" if left else ""), columns


def _without_season(
    values: dict[date, float | None], y: Floats, dates: Sequence[date], change: date
) -> tuple[Floats, str]:
    """Less the yearly rhythm of the days before the change, where these are enough to know it."""
    earlier = sorted((day, value) for day, value in values.items() if day < change and value is not None)
    if len(earlier) < _YEAR:
        return y, f"{len(earlier)} days before the change are known: a season cannot be told from a trend below {_YEAR}"
    moments = np.array([float((day - change).days) for day, _ in earlier])
    past = np.array([value for _, value in earlier])
    design = np.column_stack([np.ones(len(moments)), moments, _yearly(moments), _weekdays([day for day, _ in earlier])])
    beta, *_ = np.linalg.lstsq(design, past, rcond=None)
    now = _yearly(np.array([float((day - change).days) for day in dates]))
    return y - now @ beta[2:6], ""


def _yearly(moments: Floats) -> Floats:
    turn = 2 * np.pi * moments / 365.25
    return np.column_stack([np.sin(turn), np.cos(turn), np.sin(2 * turn), np.cos(2 * turn)])
