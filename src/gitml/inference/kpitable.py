"""A KPI's table as the judgement reads it: batches of `unit`, `time`, `value` and, where it has an `event_id`, `id`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet

from gitml.errors import InconclusiveError, UsageError

_MOMENT = pa.timestamp("us", tz="UTC")
_COLUMNS = {"unit": pa.string(), "time": _MOMENT, "value": pa.float64()}
# Not `id`, which in many a table is that of the unit.
_ID = "event_id"


def kpi_batches(root: Path, path: str) -> Iterator[pa.RecordBatch]:
    """Times without a zone are UTC. Raises InconclusiveError where the file is not there, UsageError for one that is no
    such table."""
    place = root / path
    if not place.is_file():
        raise InconclusiveError(f"the table {path} is not here", "bring it with `dvc pull`, or write it first")
    try:
        with place.open("rb") as stream:
            yield from map(_fitted, _read(stream, path))
    except (pa.ArrowException, ValueError, KeyError) as exc:
        said = str(exc).splitlines()[0]
        raise UsageError(f"{path} is no table of a KPI: {said}", "it has the columns unit, time and value") from exc


def _read(stream: object, path: str) -> Iterator[pa.RecordBatch]:
    if path.lower().endswith(".csv"):
        # An id of digits stays a word.
        options = csv.ConvertOptions(column_types={"unit": pa.string(), "value": pa.float64(), _ID: pa.string()})
        yield from csv.open_csv(stream, convert_options=options)
    else:
        yield from parquet.ParquetFile(stream).iter_batches(columns=[*_COLUMNS, _ID])


def _fitted(batch: pa.RecordBatch) -> pa.RecordBatch:
    times = batch["time"]
    if pa.types.is_integer(times.type) or pa.types.is_floating(times.type):
        # Of seconds or of microseconds: the column does not say.
        raise ValueError(f"time is {times.type}, and not a timestamp")
    if pa.types.is_timestamp(times.type) and times.type.tz is None:
        batch = batch.set_column(
            batch.schema.get_field_index("time"), "time", times.cast(pa.timestamp("us")).cast(_MOMENT)
        )
    columns = {name: batch[name].cast(kind) for name, kind in _COLUMNS.items()}
    if _ID in batch.schema.names:
        columns["id"] = batch[_ID].cast(pa.string())
    return pa.record_batch(columns)
