"""Series of days with and without an effect, and a change in the middle of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType

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


def _bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "impact_benchmark", Path(__file__).parents[2] / "benchmarks/impact.py"
    )
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


bench = _bench()


def noise(kind: str, count: int, seed: int) -> Floats:
    """Of a kind that the benchmark has."""
    made: Floats = bench.noise(kind, count, seed)
    return made


def simulated(kind: str, effect: float, seed: int, days: int = 28) -> ImpactQuestion:
    values = 100 + noise(kind, BEFORE + 1 + days, seed)
    values[BEFORE + 1 :] += effect
    return ImpactQuestion(series(values), change(), days)
