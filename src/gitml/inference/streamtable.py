"""Answers of a stream as the rows of a table: kept on the local disk until their file is written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Self

import orjson
import pyarrow as pa

from gitml.inference.scorerejects import REASON, ROW
from gitml.streaming.messages import StreamAnswer

REQUEST, VERSION, VARIANT = "gitml_request_id", "gitml_version", "gitml_variant"


class SpooledTable:
    """Takes batches, and gives them back with the columns of all of them: a swap may bring an answer of another name.

    A file may have any number of rows, so they are not held in memory.
    """

    def __init__(self) -> None:
        self.rows, self._schemas = 0, list[pa.Schema]()
        self._open = ExitStack()
        self._file: Any = self._open.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 — closed with the others
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add(self, batch: pa.RecordBatch) -> None:
        if not self._schemas or self._schemas[-1] != batch.schema:
            self._end()
            # Streams of Arrow may follow each other in one file.
            self._writer = pa.ipc.new_stream(self._file, batch.schema)
            self._schemas.append(batch.schema)
        self._writer.write_batch(batch)
        self.rows += batch.num_rows

    def _end(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def found(self) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """All of them, in order, once. Of nothing, the one column of request ids."""
        if not self._schemas:
            return pa.schema([(REQUEST, pa.string())]), iter(())
        self._end()
        self._file.seek(0)
        schema = pa.unify_schemas(self._schemas, promote_options="permissive")
        return schema, self._read(schema)

    def _read(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for _ in self._schemas:
            for batch in pa.ipc.open_stream(self._file):
                names = batch.schema.names
                columns = [
                    batch[f.name].cast(f.type) if f.name in names else pa.nulls(batch.num_rows, f.type) for f in schema
                ]
                yield pa.record_batch(columns, schema=schema)


def answered(
    given: pa.RecordBatch, first: int, answers: Sequence[StreamAnswer], inputs: frozenset[str]
) -> pa.RecordBatch:
    """The rows of ``given`` that ``answers`` are of: the columns that no version takes, then who answered, then what.

    ``first``: the number of the batch's first row in its file. A column that is called like an answer is passed on as
    ``NAME.given``.
    """
    values = [orjson.loads(one.value or b"{}")["outputs"] for one in answers]
    names = list(dict.fromkeys(name for value in values for name in value))
    columns: dict[str, Any] = {}
    kept = given.take(pa.array([one.of.offset - first for one in answers], pa.int64()))
    for name in given.schema.names:
        if name not in inputs:
            columns[f"{name}.given" if name in (*names, REQUEST, VERSION, VARIANT) else name] = kept[name]
    for name, header in ((REQUEST, "x-request-id"), (VERSION, "gitml-version"), (VARIANT, "gitml-variant")):
        columns[name] = pa.array([one.headers[header].decode() for one in answers], pa.string())
    for name in names:
        columns[name] = pa.array([value.get(name, [None])[0] for value in values])
    return pa.record_batch(columns)


def rejected(given: pa.RecordBatch, first: int, answers: Sequence[StreamAnswer]) -> pa.RecordBatch:
    """The rows that could not be answered, as they were, with their number in the file and the reason."""
    rest = given.take(pa.array([one.of.offset - first for one in answers], pa.int64()))
    columns: dict[str, Any] = {name: rest[name] for name in given.schema.names if name not in (ROW, REASON)}
    columns[ROW] = pa.array([one.of.offset for one in answers], pa.int64())
    columns[REASON] = pa.array([said(one.headers) for one in answers], pa.string())
    return pa.record_batch(columns)


def said(headers: Mapping[str, bytes]) -> str:
    return headers["gitml-error"].decode(errors="replace")
