"""Facts of a shop that tests read from every kind of source."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from gitml.spec.kpis import Kpi
from gitml.success.daily import DailyFacts
from gitml.success.days import Days
from gitml.success.facts import FactPlace, facts_by_day

ZONE = "America/New_York"
# The clocks of New York go forward on the 8th: it has 23 hours.
WEEK = Days(date(2026, 3, 6), date(2026, 3, 9), ZONE)
AT = datetime(2026, 3, 20, tzinfo=UTC)
# The 6th ends at 05:00 UTC, the 8th ends at 04:00.
ROWS = [
    ("ada", "2026-03-06 12:00:00", 1.0),
    ("ada", "2026-03-07 04:59:59", 2.0),
    ("bob", "2026-03-07 05:00:00", 4.0),
    ("bob", "2026-03-08 05:00:00", 8.0),
    ("eve", "2026-03-09 03:59:59", 16.0),
    ("eve", "2026-03-09 04:00:00", 32.0),
    ("eve", "2026-03-10 04:00:00", 64.0),
]
TOTALS = (3.0, 4.0, 24.0, 32.0)
CSV = "unit,time,value\n" + "".join(f"{unit},{time},{value}\n" for unit, time, value in ROWS)


def kpi_of(**source: object) -> Kpi:
    return Kpi.model_validate({"zone": ZONE, **source})


def read(root: Path, kpi: Kpi, days: Days = WEEK, **env: str) -> DailyFacts:
    return facts_by_day(FactPlace(root, env=env), "shop", kpi, days)
