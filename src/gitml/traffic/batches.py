"""Rows that a batch job answered, as servers write theirs: one file of scores is one request of many rows.

Exactly once: a batch has a digest, which is what was scored and by which version. Its note says when it arrived, is
written first, and finds the batch again whenever it is run; the file has a name that follows from both. So a batch
that is scored again, even after months, is not logged again, and one that was killed goes on as if it had not been.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from gitml import clock
from gitml.engines.places import StoragePlace, place_of
from gitml.errors import UsageError
from gitml.traffic.exchange import FIXED, MOMENT
from gitml.traffic.files import BATCHES, Stretch, publish, schema_with
from gitml.traffic.marks import HostMarks
from gitml.traffic.partitions import Partition
from gitml.traffic.spool import spool_of

Rows = Callable[[], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class BatchOrigin:
    """Who answers: ``arm`` is one of ``exchange.ARMS``."""

    model: str
    version: str
    environment: str
    arm: str


class BatchLog:
    """Logs batches to ``folder``, a path or URL; ``spool`` is a folder of this machine. Use as a context manager:
    windows in which it was at work are complete when it has ended."""

    def __init__(
        self,
        folder: str | Path,
        origin: BatchOrigin,
        spool: Path | None = None,
        now: Callable[[], float] = clock.timestamp,
    ) -> None:
        self._target, self._origin, self._now = place_of(folder), origin, now
        self._host = f"{socket.gethostname().partition('.')[0] or 'host'}-score"
        place = spool_of(self._target, spool)
        if place is None:
            raise UsageError(f"{folder} is no local folder: its log needs one beside it", "name a spool folder")
        self._spool = place / "score"

    def __enter__(self) -> BatchLog:
        self._marks = HostMarks(self._target, self._spool, self._host, self._origin.environment, self._now)
        self._host = self._marks.host
        self._marks.tell(self._now())
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._marks.tell(self._now(), ended=True)
        finally:
            self._marks.close()

    def add(self, digest: str, count: int, rows: Rows) -> bool:
        """Log a batch of ``count`` rows, unless that was done; whether it was now. ``rows`` gives its columns:
        ``feature_…``, ``output_…``, and ``request_id`` where rows have ids of their own."""
        note = self._target / BATCHES / f"{digest}.json"
        told = json.loads(note.read_bytes()) if note.exists() else {"arrived": int(self._now() * 1e6), "logged": False}
        if told["logged"]:
            return False
        _write(note, told)
        if count:
            self._publish(digest, count, told["arrived"], rows)
        _write(note, {**told, "logged": True})
        return bool(count)

    def _publish(self, digest: str, count: int, arrived: int, rows: Rows) -> None:
        moment = datetime.fromtimestamp(arrived / 1e6, UTC)
        stretch = f"{moment:%Y%m%dT%H%M%SZ}-{digest[:12]}-0"
        folder = self._target / "predictions" / Partition(self._origin.model, f"{moment:%Y-%m-%d}", 0).folder
        place = folder / f"{stretch}.parquet"

        def fill(stream: Any, published: int) -> None:
            told = [Stretch(stretch, place.name, 0, count, published)]
            writer = None
            try:
                for batch in self._batches(digest, count, arrived, rows()):
                    if writer is None:
                        schema = schema_with(batch.schema, told)
                        writer = parquet.ParquetWriter(stream, schema, compression="zstd")
                    writer.write_table(pa.Table.from_batches([batch]).replace_schema_metadata(schema.metadata))
            finally:
                if writer is not None:
                    writer.close()

        publish(place, fill, self._now)

    def _batches(
        self, digest: str, count: int, arrived: int, rows: Iterator[pa.RecordBatch]
    ) -> Iterator[pa.RecordBatch]:
        first = 0
        for batch in rows:
            yield self._complete(batch, f"batch-{digest[:24]}", first, count, arrived)
            first += batch.num_rows

    def _complete(self, batch: pa.RecordBatch, request: str, first: int, count: int, arrived: int) -> pa.RecordBatch:
        n, origin, own = batch.num_rows, self._origin, "request_id" in batch.schema.names
        moment = pa.repeat(pa.scalar(arrived, pa.int64()), n).cast(MOMENT)
        places = np.zeros(n, dtype=np.int32) if own else np.arange(first, first + n, dtype=np.int32)
        words = {
            "request_id": request,
            "environment": origin.environment,
            "host": self._host,
            "arm": origin.arm,
            "version": origin.version,
            "outcome": "ok",
        }
        columns: dict[str, Any] = {name: pa.repeat(pa.scalar(word, pa.string()), n) for name, word in words.items()}
        columns |= {"row": pa.array(places), "rows": pa.repeat(pa.scalar(1 if own else count, pa.int32()), n)}
        columns |= {"arrived": moment, "answered": moment}
        if own:
            columns["request_id"] = batch["request_id"].cast(pa.string())
        if origin.arm == "champion":
            columns["weight"] = pa.repeat(pa.scalar(100.0), n)
        rest = [name for name in batch.schema.names if name.startswith(("feature_", "output_"))]
        arrays = [columns[f.name] if f.name in columns else pa.nulls(n, f.type) for f in FIXED]
        fields = [*FIXED, *(batch.schema.field(name) for name in rest)]
        return pa.record_batch([*arrays, *(batch[name] for name in rest)], schema=pa.schema(fields))


def _write(note: StoragePlace, told: dict[str, Any]) -> None:
    note.write(lambda stream: stream.write(json.dumps({"format": 1, **told}).encode()))
