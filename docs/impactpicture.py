"""Draws docs/images/impact.png: the picture in the comment on a promotion, of days that a seed gives."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from gitml.jsontext import plain
from gitml.reports.impact import impact_report
from gitml.spec.kpis import Kpi
from gitml.success.changes import ServedChange
from gitml.success.impact import ChangeImpact, ImpactQuestion, impact
from gitml.success.series import KpiDay, KpiSeries

ROOT = Path(__file__).resolve().parent.parent
DAYS, AFTER = 92, 28


def main() -> None:
    change = ServedChange(
        datetime(2026, 4, 7, 9, tzinfo=UTC), "delay", "production", "promotion",
        "20260406T070000Z-3f2a90bc", "20260301T070000Z-7d11c0aa", "c0ffee" * 6 + "c0ff", 41,
    )  # fmt: skip
    rng = np.random.default_rng(11)
    first = change.moment.date() - timedelta(days=DAYS)
    week = np.array([0, 1, 2, 3, 9, 16, 12]) * 55.0
    values = [
        11_400 + week[(first + timedelta(days=n)).weekday()] + 260 * rng.normal() + (620 if n > DAYS else 0)
        for n in range(DAYS + AFTER + 1)
    ]
    days = tuple(KpiDay(first + timedelta(days=n), round(v, 2), 900, 700) for n, v in enumerate(values))
    kpi = Kpi.model_validate({"event": "paid", "unit": "USD"})
    series = KpiSeries("revenue", kpi, datetime(2026, 5, 9, tzinfo=UTC), days)
    asked = ImpactQuestion(series, change, AFTER, worth=1.0, currency="USD")
    results = (replace(impact(replace(asked, days=14)), points=()), impact(asked))
    page = impact_report(plain(ChangeImpact(change, results)))
    print(page.text)
    (drawn,) = page.pictures.values()
    (ROOT / "docs/images/impact.png").write_bytes(drawn)


if __name__ == "__main__":
    main()
