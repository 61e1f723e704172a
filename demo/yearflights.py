"""The flights of 2013 on the year's own days: the first of April, a Monday, is the Monday that the year begins on.

A clock is never turned back, and the words under ``retrain.set`` of gitml.yaml, such as `yesterday`, are days of it. So
the rows move to where the clock is; whole weeks, so that weekdays stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet
from numpy.typing import NDArray

FIRST = datetime(2013, 4, 1, tzinfo=UTC)
DAY, WEEK, HOUR = timedelta(days=1), timedelta(weeks=1), timedelta(hours=1)
_DAY = re.compile(r"\b20[23]\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])\b")
WEATHER = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")


@dataclass(frozen=True)
class Calendar:
    """``monday`` is the day of the year's clock that stands for FIRST."""

    monday: datetime

    @property
    def shift(self) -> timedelta:
        return self.monday - FIRST

    def on_clock(self, moment: datetime) -> datetime:
        return moment + self.shift

    def in_words(self, text: str) -> str:
        """Days of the year's clock in what gitml says, as those of 2013."""
        return _DAY.sub(lambda found: f"{self.of_flights(datetime.fromisoformat(found[0])):%Y-%m-%d}", text)

    def of_flights(self, moment: datetime) -> datetime:
        """The moment of 2013 for one of the year's clock."""
        return moment - self.shift


def next_monday(now: datetime) -> datetime:
    midnight = datetime.combine(now.date(), time(), UTC)
    return midnight + timedelta(days=7 - midnight.weekday())


def move(source: Path, target: Path, shift: timedelta) -> None:
    """The features below ``source``, as the pipeline reads them, moved by ``shift`` to ``target``."""
    every = pa.concat_tables(parquet.read_table(path) for path in sorted(source.glob("*.parquet")))
    moments = every["scheduled"]
    moved = pc.add(moments, pa.scalar(shift, pa.duration("us"))).cast(moments.type)
    every = every.set_column(every.schema.get_field_index("scheduled"), "scheduled", moved)
    days = pc.strftime(moved, format="%Y-%m-%d").cast(every["day"].type)
    every = every.set_column(every.schema.get_field_index("day"), "day", days)
    months = pc.utf8_slice_codeunits(days.cast(pa.string()), 0, 7)
    target.mkdir(parents=True)
    for month in pc.unique(months).to_pylist():
        parquet.write_table(every.filter(pc.equal(months, month)), target / f"{month}.parquet")


def between(features: Path, since: datetime, until: datetime) -> pa.Table:
    """Flights that are to leave in this time of the year's clock, in their order."""
    names = sorted(features.glob("*.parquet"))
    wanted = [path for path in names if f"{since:%Y-%m}" <= path.stem <= f"{until:%Y-%m}"]
    if not wanted:
        return parquet.read_table(names[0]).slice(0, 0)
    table = pa.concat_tables(parquet.read_table(path) for path in wanted)
    days = table["day"].cast(pa.string())
    inside = pc.and_(pc.greater_equal(days, f"{since:%Y-%m-%d}"), pc.less(days, f"{until:%Y-%m-%d}"))
    return table.filter(inside).sort_by([("scheduled", "ascending"), ("flight_id", "ascending")])


def by_hour(flights: pa.Table) -> Iterator[tuple[datetime, pa.Table]]:
    """The flights of each hour, and the hour."""
    hours = pc.floor_temporal(flights["scheduled"].cast(pa.timestamp("us", "UTC")), unit="hour")
    numbers = hours.cast(pa.int64()).to_numpy()
    places = [*np.flatnonzero(np.diff(numbers, prepend=-1)), len(numbers)]
    for start, end in pairwise(places):
        yield hours[int(start)].as_py(), flights.slice(int(start), int(end - start))


def day_names(flights: pa.Table, calendar: Calendar) -> NDArray[np.str_]:
    """The day of 2013 that each flight was to leave on."""
    moved = pc.subtract(flights["scheduled"], pa.scalar(calendar.shift, pa.duration("us")))
    return np.asarray(pc.strftime(moved, format="%Y-%m-%d").to_pylist(), dtype=np.str_)


def without_weather(flights: pa.Table) -> pa.Table:
    """As they come while the weather feed is away."""
    for name in WEATHER:
        place = flights.schema.get_field_index(name)
        flights = flights.set_column(
            place, flights.schema.field(place), pa.nulls(len(flights), flights.schema.field(place).type)
        )
    return flights
