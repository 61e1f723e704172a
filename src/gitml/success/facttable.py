"""A table of facts as judgements read it: batches of `unit`, `time` and `value`, and perhaps `id` and `arrived`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as parquet

from gitml.errors import UsageError
from gitml.success.days import midnight
from gitml.success.factfile import fact_files

MOMENT = pa.timestamp("us", tz="UTC")
COLUMNS = {"unit": pa.string(), "time": MOMENT, "value": pa.float64()}
# Rows of one id count once, the first that arrived; what had not arrived by a moment was not known at it.
OPTIONAL = {"id": pa.string(), "arrived": MOMENT}
HINT = "it has the columns unit, time and value"


def kpi_batches(root: Path, path: str, zone: str = "UTC") -> Iterator[pa.RecordBatch]:
    """Times without a zone are UTC, dates are days of ``zone``.

    Raises InconclusiveError where the file is not there, UsageError for one that is no such table.
    """
    (place,) = fact_files(root, path)
    try:
        with place.open("rb") as stream:
            yield from (fitted(batch, zone) for batch in _read(stream, path))
    except (pa.ArrowException, ValueError, KeyError) as exc:
        raise no_table(path, exc) from exc


def csv_batches(text: bytes, what: str, zone: str) -> Iterator[pa.RecordBatch]:
    """Of what a program printed. Raises UsageError where that is no such table."""
    try:
        yield from (fitted(batch, zone) for batch in _read(io.BytesIO(text), ".csv"))
    except (pa.ArrowException, ValueError, KeyError) as exc:
        raise no_table(what, exc) from exc


def no_table(what: str, exc: Exception) -> UsageError:
    said = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
    return UsageError(f"{what} is no table of a KPI: {said}", HINT)


def _read(stream: Any, path: str) -> Iterator[pa.RecordBatch]:
    if path.lower().endswith(".csv"):
        # An id of digits stays a word.
        words = {"unit": pa.string(), "value": pa.float64(), "id": pa.string()}
        reader = csv.open_csv(stream, convert_options=csv.ConvertOptions(column_types=words))
        for name in COLUMNS:
            reader.schema.field(name)  # also where no row follows
        yield from reader
    else:
        table = parquet.ParquetFile(stream)
        here = [name for name in OPTIONAL if name in table.schema_arrow.names]
        yield from table.iter_batches(columns=[*COLUMNS, *here])


def fitted(batch: pa.RecordBatch, zone: str) -> pa.RecordBatch:
    """With these columns and types alone. Raises KeyError, ValueError and ArrowException."""
    kinds = {**COLUMNS, **{name: kind for name, kind in OPTIONAL.items() if name in batch.schema.names}}
    columns = [
        _moments(batch[name], name, zone) if kind == MOMENT else batch[name].cast(kind) for name, kind in kinds.items()
    ]
    return pa.record_batch(columns, names=[*kinds])


def _moments(times: Any, name: str, zone: str) -> Any:
    kind = times.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        # Of seconds or of microseconds: the column does not say.
        raise ValueError(f"{name} is {kind}, and not a timestamp")
    if pa.types.is_date(kind):
        return _midnights(times, zone)
    if pa.types.is_timestamp(kind) and kind.tz is None:
        return times.cast(pa.timestamp("us")).cast(MOMENT)
    return times.cast(MOMENT)


def _midnights(dates: Any, zone: str) -> Any:
    encoded = dates.cast(pa.date32()).dictionary_encode()
    starts = [None if day is None else midnight(day, zone) for day in encoded.dictionary.to_pylist()]
    return pc.take(pa.array(starts, MOMENT), encoded.indices)
