"""Rows that work leaves out, kept on the local disk until their file is written."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Self

import pyarrow as pa

Reject = Callable[[pa.RecordBatch], None]


class RejectedRows:
    """Takes batches of one schema. A file may be all wrong, so they are not held in memory."""

    def __init__(self) -> None:
        self.rows = 0
        self._open = ExitStack()
        self._file: Any = None
        self._writer: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def __call__(self, batch: pa.RecordBatch) -> None:
        if self._writer is None:
            self._file = self._open.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 — closed with the others
            self._writer = pa.ipc.new_stream(self._file, batch.schema)
        self._writer.write_batch(batch)
        self.rows += batch.num_rows

    def found(self) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """All of them, in order; only where there are ``rows``, and once."""
        self._writer.close()
        self._file.seek(0)
        stream = pa.ipc.open_stream(self._file)
        return stream.schema, iter(stream)
