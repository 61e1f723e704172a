"""How often the data contract is called broken where it is kept: `python -m benchmarks.contracts TABLE…`.

Each TABLE is a CSV or Parquet file of rows that the default rules were not tried out on. Half of its rows, in an order
drawn at random, are the reference; windows are drawn from the other half, so that nothing changes and every rule that
is broken is a false incident. With `--time COLUMN --until DAY` rows before the day are the reference instead, and the
windows are the days after it, and the weeks: what is broken there may have changed.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from gitml.models.fields import Field
from gitml.monitoring.quality import judge_quality
from gitml.monitoring.reference import VersionReference
from gitml.monitoring.subject import Look, Subject
from gitml.sketches.gather import RowCounter, Source
from gitml.sketches.reference import reference_of
from gitml.spec.monitors import MonitorQuality

SIZES, WINDOWS, KEPT, MOMENT = (50, 500, 2_000), 200, 8, "moment"
FIRST, DAY = datetime(2024, 1, 1, tzinfo=UTC), timedelta(days=1)
# More different words than this are names, not categories.
MOST_WORDS = 500
Windows = Sequence[tuple[datetime, datetime, pd.DataFrame]]


def read(path: Path) -> pd.DataFrame:
    table = pd.read_parquet(path) if path.suffix == ".parquet" or path.is_dir() else pd.read_csv(path)
    words = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    table = table.drop(columns=[name for name in words if table[name].nunique() > MOST_WORDS])
    return table.astype({name: "float64" for name in table if name not in words})


def broken(table: pd.DataFrame, reference: pd.DataFrame, windows: Windows) -> tuple[int, Counter[str]]:
    """In how many windows the contract is broken, and how often each rule. A signature allows missing values wherever
    ``table`` has any: one that does not is a contract of its own."""
    columns, source = [name for name in reference if name != MOMENT], Source(time=MOMENT)
    made = reference_of(lambda: batches(reference), columns, source)
    fields = {
        name: Field(name, "string" if reference[name].dtype.kind not in "fc" else "float64", None, nullable)
        for name, nullable in table[columns].isna().any().items()
    }
    subject = Subject(fields, fields, made.layout, VersionReference(made, None))
    count, looks, found, times = RowCounter(made.layout, source), list[Look](), Counter[str](), 0
    for since, until, rows in windows:
        looks.append(Look(since, until, count.of(batches(rows))))
        _, breaches = judge_quality(subject, looks[-KEPT:], MonitorQuality())
        found.update(f"{breach.column} {breach.rule}" for breach in breaches)
        times += bool(breaches)
    return times, found


def batches(table: pd.DataFrame) -> Iterator[pa.RecordBatch]:
    yield from pa.Table.from_pandas(table, preserve_index=False).to_batches()


def drawn(
    table: pd.DataFrame, size: int, rng: np.random.Generator
) -> Iterator[tuple[datetime, datetime, pd.DataFrame]]:
    """Of about the same size, as days are."""
    for place in range(WINDOWS):
        since = FIRST + place * DAY
        rows = table.iloc[rng.integers(len(table), size=max(1, rng.poisson(size)))]
        yield since, since + DAY, rows.assign(**{MOMENT: pd.Timestamp(since)})


def by_days(
    table: pd.DataFrame, first: datetime, length: timedelta
) -> Iterator[tuple[datetime, datetime, pd.DataFrame]]:
    """Whole windows."""
    last = table[MOMENT].max()
    while first + length <= last:
        yield first, first + length, table[(table[MOMENT] >= first) & (table[MOMENT] < first + length)]
        first += length


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--time")
    parser.add_argument("--until")
    call = parser.parse_args()
    for path in call.tables:
        table, rng = read(path), np.random.default_rng(22)
        if call.time:
            until = datetime.fromisoformat(f"{call.until}T00:00:00+00:00")
            table = pd.read_parquet(path) if path.suffix != ".csv" else pd.read_csv(path)
            table = read(path).assign(**{MOMENT: pd.to_datetime(table[call.time], utc=True)})
            table = table.drop(columns=[call.time], errors="ignore")
            before = table[table[MOMENT] < until]
            runs = {f"{d.days} d": [*by_days(table, until, d)] for d in (DAY, 7 * DAY)}
        else:
            order = rng.permutation(len(table))
            before = table.iloc[order[: len(order) // 2]].assign(**{MOMENT: pd.Timestamp(FIRST)})
            rest = table.iloc[order[len(order) // 2 :]]
            runs = {f"{size:,} rows": [*drawn(rest, size, rng)] for size in SIZES}
        for name, windows in runs.items():
            times, rules = broken(table, before, windows)
            said = ", ".join(f"{rule} in {often}" for rule, often in rules.most_common(6)) or "no rule is broken"
            what = f"{len(before.columns) - 1} columns, reference of {len(before):,} rows"
            print(f"{path.stem}, {what}: broken in {times} of {len(windows)} windows of {name}: {said}", flush=True)


if __name__ == "__main__":
    main()
