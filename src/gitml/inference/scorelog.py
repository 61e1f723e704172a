"""What `gitml score` tells the traffic: each file of the input is one request, with a row for each of its rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gitml.engines.places import StoragePlace
from gitml.engines.tables import format_of, open_table
from gitml.errors import UsageError
from gitml.inference.scorefiles import Scored
from gitml.models.signature import Signature, parse
from gitml.registry import Record
from gitml.traffic.batches import BatchLog, BatchOrigin

_ROWS, _BLOCK = 16_384, 8 << 20


@dataclass(frozen=True)
class ScoreLog:
    """``folder`` is that of the traffic, '' for none, ``spool`` a folder of this machine. Columns in ``private`` are
    not logged. ``id_column``: the request ids of the rows; without it a row is known by its file's and its number."""

    folder: str = ""
    spool: Path | None = None
    private: frozenset[str] = frozenset()
    id_column: str = ""


@dataclass(frozen=True)
class ScoredData:
    """Where the input and the scores lie, and how text is read."""

    record: Record
    environment: str
    inputs: StoragePlace
    outputs: StoragePlace
    output_format: str
    types: Mapping[str, pa.DataType]


@contextmanager
def logging_scores(log: ScoreLog, data: ScoredData) -> Iterator[Callable[[Scored], None]]:
    """A function that logs the file of a note, once however often it is called. Raises UsageError for an id column
    that is private."""
    if not log.folder:
        yield lambda note: None
        return
    if log.id_column in log.private:
        raise UsageError(f"{log.id_column} is private in gitml.yaml, and would be logged as id", "name another column")
    record, where = data.record, data.environment
    origin = BatchOrigin(record.model, record.version, where or "trial", "champion" if where else "asked")
    with BatchLog(log.folder, origin, log.spool) as batches:

        def add(note: Scored) -> None:
            batches.add(_digest(note, data, log), note.rows, lambda: _rows(note, data, log))

        yield add


def _digest(note: Scored, data: ScoredData, log: ScoreLog) -> str:
    """Of what was scored, by what: the same file scored again is the same batch, wherever and whenever that is."""
    content = hashlib.sha256()
    place = data.inputs / note.input
    with place.filesystem.open_input_stream(place.path) as stream:
        while block := stream.read(_BLOCK):
            content.update(block)
    record = data.record
    words = [record.model, record.version, data.environment, log.id_column, note.input, content.hexdigest()]
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogateescape")).hexdigest()


def _rows(note: Scored, data: ScoredData, log: ScoreLog) -> Iterator[pa.RecordBatch]:
    signature = parse(data.record.signature or {})
    with (
        open_table(data.inputs / note.input, format_of(note.input) or "", _ROWS, data.types) as given,
        open_table(data.outputs / note.output, data.output_format, _ROWS, {}) as scored,
    ):
        for features, answers in aligned(given, scored):
            yield _batch(features, answers, signature, log)


def _batch(given: pa.RecordBatch, scored: pa.RecordBatch, signature: Signature, log: ScoreLog) -> pa.RecordBatch:
    columns: dict[str, Any] = {}
    if log.id_column:
        columns["request_id"] = _ids(given, log.id_column)
    inputs = (f.name for f in signature.inputs if f.name not in log.private)
    outputs = (f.name for f in signature.outputs if f.name not in log.private)
    columns |= {f"feature_{name}": _plain(given[name]) for name in inputs}
    columns |= {f"output_{name}": scored[name] for name in outputs}
    return pa.record_batch(columns)


def _ids(given: pa.RecordBatch, name: str) -> Any:
    if name not in given.schema.names:
        raise UsageError(f"the input has no column {name}", f"it has {', '.join(given.schema.names)}")
    ids = given[name].cast(pa.string())
    if ids.null_count:
        raise UsageError(f"{ids.null_count} rows have no {name}", "each row needs an id, or leave --id out")
    return ids


def _plain(column: Any) -> Any:
    """As servers log it: words as they are, a missing number as null."""
    if pa.types.is_dictionary(column.type):
        return column.dictionary_decode()
    if pa.types.is_floating(column.type):
        return pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return column


def aligned(
    some: Iterator[pa.RecordBatch], others: Iterator[pa.RecordBatch]
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Two tables of equally many rows, side by side."""
    one = other = pa.record_batch({"": pa.nulls(0)})
    while True:
        one = one if one.num_rows else next((b for b in some if b.num_rows), one)
        other = other if other.num_rows else next((b for b in others if b.num_rows), other)
        n = min(one.num_rows, other.num_rows)
        if not n:
            return
        yield one.slice(0, n), other.slice(0, n)
        one, other = one.slice(n), other.slice(n)
