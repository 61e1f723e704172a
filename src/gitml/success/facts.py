"""The facts of a KPI one by one, whatever its source is; and of those that give totals of days alone, these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from gitml.errors import UsageError
from gitml.spec.kpis import Kpi
from gitml.success.daily import DailyFacts, daily_facts
from gitml.success.days import Days, day_of
from gitml.success.facttable import COLUMNS, fitted, kpi_batches
from gitml.success.once import CountedOnce
from gitml.success.program import program_batches
from gitml.success.prometheus import prometheus_days
from gitml.success.sqlfiles import sql_batches
from gitml.success.warehouse import WarehouseQuery, warehouse_days
from gitml.traffic.reader import Window, events


@dataclass(frozen=True)
class FactPlace:
    """``root``: of the application's files; ``traffic``: folder or URL, '' where none is kept; ``env``: where secrets
    stand by their names."""

    root: Path
    traffic: str = ""
    spool: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict, repr=False)


def fact_batches(
    place: FactPlace, name: str, kpi: Kpi, days: Days, at: datetime | None = None
) -> Iterator[pa.RecordBatch]:
    """At least the facts of ``days``: of events and of queries no more than about these.

    Raises UsageError for a KPI whose source gives totals of days, and as the sources do.
    """
    if kpi.event:
        yield from _events(place, kpi.event, Window(days.since, days.until, at))
    elif kpi.table:
        yield from kpi_batches(place.root, kpi.table, days.zone)
    elif kpi.sql and kpi.sql.tables:
        yield from sql_batches(place.root, name, kpi.sql, days)
    elif kpi.command:
        yield from program_batches(place.root, name, kpi.command, days, place.env)
    else:
        raise UsageError(f"the KPI {name} has days alone", "it cannot be told by unit")


def fact_window(
    place: FactPlace, name: str, kpi: Kpi, window: tuple[datetime, datetime], at: datetime | None
) -> Iterator[pa.RecordBatch]:
    """At least the facts of a window, each once, as known ``at`` a moment. Raises as ``fact_batches``."""
    since, until = (day_of(moment, kpi.zone) for moment in window)
    yield from CountedOnce(fact_batches(place, name, kpi, Days(since, until, kpi.zone), at), at).batches()


def facts_by_day(place: FactPlace, name: str, kpi: Kpi, days: Days, at: datetime | None = None) -> DailyFacts:
    """Raises as the sources do: UsageError for what is written wrongly, InconclusiveError for what cannot be read."""
    if kpi.prometheus:
        return prometheus_days(name, kpi.prometheus, days, place.env)
    if kpi.sql and kpi.sql.warehouse:
        return warehouse_days(WarehouseQuery(name, kpi.sql.query, kpi.sql.warehouse), days, place.env, at)
    return daily_facts(fact_batches(place, name, kpi, days, at), days, at)


def _events(place: FactPlace, event: str, window: Window) -> Iterator[pa.RecordBatch]:
    if not place.traffic:
        raise UsageError("gitml.yaml does not say where traffic is kept", "name it with --log, or add `traffic:` there")
    for batch in events(place.traffic, window, spool=place.spool):
        mine = batch.filter(pc.fill_null(pc.equal(batch["name"], event), False))
        # What comes twice is counted once by the reader already.
        yield fitted(mine.select([*COLUMNS]), "UTC")
