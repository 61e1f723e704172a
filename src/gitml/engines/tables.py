"""Tables in files, read and written batch by batch: Parquet, CSV, Arrow IPC (file and stream)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet

from gitml.engines.csvfiles import BLOCK, CsvFile
from gitml.engines.places import StoragePlace
from gitml.errors import OutsideError, UsageError

# Ending of a name: how the file is read.
FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".csv.gz": "csv",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".arrows": "arrow stream",
}
ENDINGS = {"parquet": ".parquet", "csv": ".csv", "arrow": ".arrow"}


def format_of(name: str) -> str | None:
    """By the ending of the name, or None."""
    return next((kind for ending, kind in FORMATS.items() if name.lower().endswith(ending)), None)


@contextmanager
def open_table(
    place: StoragePlace, kind: str, batch_rows: int, types: Mapping[str, pa.DataType]
) -> Iterator[Iterator[pa.RecordBatch]]:
    """The file's batches of at most ``batch_rows`` rows. ``types`` are those of CSV columns that are known.

    Raises UsageError when the file is not what ``kind`` says or is cut off, OutsideError when it cannot be read.
    """
    with _translated(place, kind):
        stream = place.filesystem.open_input_file(place.path)
    with stream:
        yield _sliced(place, kind, _READERS[kind](stream, place, batch_rows, types), batch_rows)


def schema_of(place: StoragePlace, kind: str, types: Mapping[str, pa.DataType]) -> pa.Schema:
    """The columns of the file. Raises as ``open_table`` does."""
    with _translated(place, kind), place.filesystem.open_input_file(place.path) as stream:
        if kind == "parquet":
            return parquet.read_schema(stream)
        if kind == "csv":
            return CsvFile(stream, types, is_gzip=place.name.endswith(".gz")).schema
        return (pa.ipc.open_file if kind == "arrow" else pa.ipc.open_stream)(stream).schema


@contextmanager
def _translated(place: StoragePlace, kind: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as exc:
        raise UsageError(f"{place.path} is not there", "see the path given to --input") from exc
    except pa.ArrowException as exc:
        raise UsageError(f"{place.path} cannot be read as {kind}: {_first_line(exc)}", "is it whole?") from exc
    except OSError as exc:
        raise OutsideError(f"{place.path} cannot be read: {_first_line(exc)}") from exc


def _first_line(exc: BaseException) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0][:300]


def _sliced(place: StoragePlace, kind: str, batches: Iterator[pa.RecordBatch], most: int) -> Iterator[pa.RecordBatch]:
    while True:
        with _translated(place, kind):
            batch = next(batches, None)
        if batch is None:
            return
        for start in range(0, batch.num_rows, most):
            yield batch.slice(start, most)


def _read_parquet(stream: Any, place: StoragePlace, batch_rows: int, _: Any) -> Iterator[pa.RecordBatch]:
    # Buffered reading holds a few pages instead of a whole row group.
    file = parquet.ParquetFile(stream, buffer_size=BLOCK, pre_buffer=False)
    yield from file.iter_batches(batch_rows, use_threads=False)


def _read_csv(stream: Any, place: StoragePlace, _: int, types: Mapping[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
    yield from CsvFile(stream, types, is_gzip=place.name.endswith(".gz")).batches()


def _read_arrow(stream: Any, *_: Any) -> Iterator[pa.RecordBatch]:
    file = pa.ipc.open_file(stream)
    for number in range(file.num_record_batches):
        yield file.get_batch(number)


def _read_stream(stream: Any, *_: Any) -> Iterator[pa.RecordBatch]:
    yield from pa.ipc.open_stream(stream)


_READERS = {"parquet": _read_parquet, "csv": _read_csv, "arrow": _read_arrow, "arrow stream": _read_stream}


def write_table(place: StoragePlace, kind: str, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
    """The file appears whole, or not at all. Raises what ``batches`` raises, OutsideError when it cannot be written."""

    def fill(stream: Any) -> None:
        with _WRITERS[kind](stream, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)

    try:
        place.write(fill)
    except pa.ArrowException as exc:
        raise UsageError(f"{place.path} cannot be written as {kind}: {_first_line(exc)}") from exc
    except OSError as exc:
        raise OutsideError(
            f"{place.path} cannot be written: {_first_line(exc)}", "make room, and call it again"
        ) from exc


def _parquet_writer(stream: Any, schema: pa.Schema) -> Any:
    return parquet.ParquetWriter(stream, schema, compression="zstd")


_WRITERS = {"parquet": _parquet_writer, "csv": csv.CSVWriter, "arrow": pa.ipc.new_file}
