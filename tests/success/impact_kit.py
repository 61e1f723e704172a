"""Series of days with and without an effect, and a change in the middle of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from gitml.spec.kpis import Kpi
from gitml.success.changes import ServedChange
from gitml.success.impact import ImpactQuestion
from gitml.success.series import KpiDay, KpiSeries

FIRST = date(2026, 1, 5)
BEFORE = 70
CHANGED = FIRST + timedelta(days=BEFORE)
Floats = NDArray[np.float64]


def kpi(**more: object) -> Kpi:
    return Kpi.model_validate({"event": "paid", "unit": "USD", **more})


def series(values: Sequence[float | None] | Floats, spec: Kpi | None = None, name: str = "revenue") -> KpiSeries:
    days = []
    for number, value in enumerate(values):
        known = value is not None and not np.isnan(value)
        days.append(KpiDay(FIRST + timedelta(days=number), float(value or 0.0) if known else None, 1, 1))
    return KpiSeries(name, spec or kpi(), datetime(2026, 12, 1, tzinfo=UTC), tuple(days))


def change(day: date = CHANGED, model: str = "delay", commit: str = "c1") -> ServedChange:
    moment = datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
    return ServedChange(moment, model, "production", "promotion", "20260301T000000Z-3f2a90bc", "", commit, 7)


def noise(kind: str, count: int, seed: int) -> Floats:
    """Of variance 1 where it has one: ``iid``, ``ar.5``, ``ar.8``, ``trend`` (3 % of it a day), ``walk``."""
    rng = np.random.default_rng(seed)
    shocks = rng.normal(size=count + 200)
    if kind == "walk":
        return np.cumsum(0.3 * shocks[200:])
    rho = float(kind[2:]) if kind.startswith("ar") else 0.0
    for n in range(1, len(shocks)):
        shocks[n] = rho * shocks[n - 1] + np.sqrt(1 - rho**2) * shocks[n]
    return shocks[200:] + (0.03 * np.arange(count) if kind == "trend" else 0.0)


def simulated(kind: str, effect: float, seed: int, days: int = 28) -> ImpactQuestion:
    values = 100 + noise(kind, BEFORE + 1 + days, seed)
    values[BEFORE + 1 :] += effect
    return ImpactQuestion(series(values), change(), days)
