"""Predictions with the labels that came for them, read in bounded memory.

Journals that are not converted yet are read as they stand, so that what is a second old counts too.
"""

from __future__ import annotations

import fcntl
import math
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet

from gitml.engines.places import Place, place_of
from gitml.traffic.compaction import COMPACTING
from gitml.traffic.eventcolumns import DATE, FIXED, MODEL
from gitml.traffic.journal import SUFFIX, frames
from gitml.traffic.labels import SCHEMA

_AT_ONCE = 1_000_000
_ROWS = 65_536
# Labels may be older than their predictions when clocks differ; more than this is no clock but a mistake.
_SKEW = timedelta(days=1)


@dataclass(frozen=True)
class Rows:
    """The rows of one kind and model: files, and journals that are open for reading."""

    files: tuple[Place, ...]
    journals: tuple[IO[bytes], ...]
    model: str
    since: str

    def count(self) -> int:
        """The number of rows, from what the files say of themselves."""
        told = sum(_footer(place) for place in self.files)
        return told + sum(int(batch.num_rows) for batch in self._of_journals())

    def batches(self) -> Iterator[pa.RecordBatch]:
        for place in self.files:
            with place.filesystem.open_input_file(place.path) as stream:
                yield from parquet.ParquetFile(stream).iter_batches(_ROWS)
        yield from self._of_journals()

    def _of_journals(self) -> Iterator[pa.RecordBatch]:
        for journal in self.journals:
            journal.seek(0)
            for batch in frames(journal):
                metadata = batch.schema.metadata or {}
                if metadata.get(MODEL) == self.model.encode() and metadata.get(DATE, b"").decode() >= self.since:
                    yield batch.replace_schema_metadata(None)


def _footer(place: Place) -> int:
    with place.filesystem.open_input_file(place.path) as stream:
        return int(parquet.read_metadata(stream).num_rows)


@contextmanager
def reading(folder: str | Path, kind: str, model: str, since: datetime | None, spool: Path | None) -> Iterator[Rows]:
    """Every row once, also while a server closes its journal: what became a file meanwhile is read as the journal."""
    target, day = place_of(folder), f"{since:%Y-%m-%d}" if since else ""
    place = spool or (target.local / ".spool" if target.local else None)
    with ExitStack() as stack:
        if place is not None and place.is_dir():
            _hold_off_compaction(place, stack)
        opened = _open(place / kind, stack) if place is not None else {}
        base = target / kind / f"model={model}"
        names = [name for name, *_ in base.files() if _wanted(name, day, opened)]
        yield Rows(tuple(base / name for name in names), tuple(opened.values()), model, day)


def _hold_off_compaction(place: Path, stack: ExitStack) -> None:
    with suppress(PermissionError, FileNotFoundError):  # who may only read finds no lock before the first compaction
        lock = stack.enter_context((place / COMPACTING).open("rb"))
        fcntl.flock(lock, fcntl.LOCK_SH)


def _open(folder: Path, stack: ExitStack) -> Mapping[str, IO[bytes]]:
    found = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            found[path.name.removesuffix(SUFFIX)] = stack.enter_context(path.open("rb"))
        except FileNotFoundError:
            continue  # converted since it was listed: its rows are in the files that are listed next
    return found


def _wanted(name: str, day: str, opened: Mapping[str, IO[bytes]]) -> bool:
    date, _, file = name.rpartition("/")
    journal = file.removesuffix(".parquet").rpartition("-")[0]
    return file.endswith(".parquet") and date.removeprefix("date=") >= day and journal not in opened


def joined(
    folder: str | Path,
    model: str,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    spool: Path | None = None,
) -> Iterator[pa.RecordBatch]:
    """The predictions of ``since`` ≤ time < ``until``, each once, with ``label`` or ``label_text`` of the newest label
    for it; both are missing where none came.

    Columns: those of the log's files, ``feature_…``, ``output_…``, then the labels'. Batches of different versions may
    have different ones. With more labels than fit into memory the predictions are read several times, and come in
    another order.
    """
    earliest = since - _SKEW if since else None
    with (
        reading(folder, "labels", model, earliest, spool) as labels,
        reading(folder, "predictions", model, since, spool) as predictions,
    ):
        passes = max(1, math.ceil(labels.count() / _AT_ONCE))
        for number in range(passes):
            newest = _newest(labels, number, passes)
            for batch in predictions.batches():
                part = _within(batch, since, until)
                part = _of_pass(part, number, passes)
                if part.num_rows:
                    yield _labelled(part, newest)


def orphans(folder: str | Path, model: str, *, spool: Path | None = None) -> int:
    """How many rows have a label and no prediction."""
    with (
        reading(folder, "labels", model, None, spool) as labels,
        reading(folder, "predictions", model, None, spool) as predictions,
    ):
        passes = max(1, math.ceil(labels.count() / _AT_ONCE))
        return sum(_orphans(labels, predictions, number, passes) for number in range(passes))


def _orphans(labels: Rows, predictions: Rows, number: int, passes: int) -> int:
    keys = _newest(labels, number, passes)["key"]
    seen = np.zeros(len(keys), dtype=bool)
    for batch in predictions.batches():
        found = pc.index_in(_keys(batch), value_set=keys).drop_null().to_numpy()
        seen[found] = True
    return int(len(keys) - seen.sum())


def _newest(labels: Rows, number: int, passes: int) -> pa.RecordBatch:
    """key, label, label_text: one row for each key, the one that came last."""
    parts = [_of_pass(batch, number, passes) for batch in labels.batches()]
    table = pa.Table.from_batches([part.select(SCHEMA.names) for part in parts], schema=SCHEMA)
    table = table.append_column("key", _keys(table)).sort_by([("order", "ascending")])
    return _last_of_each(table)


def _last_of_each(table: pa.Table) -> pa.RecordBatch:
    numbered = table.append_column("n", pa.array(np.arange(table.num_rows)))
    last = table.take(numbered.group_by("key").aggregate([("n", "max")])["n_max"])
    names = ["key", "label", "label_text"]
    return pa.RecordBatch.from_arrays(
        [pa.concat_arrays([pa.array([], last[n].type), *last[n].chunks]) for n in names], names
    )


def _keys(rows: Any) -> Any:
    """Request id and row as one text; rows after the first are the rare case."""
    return pc.binary_join_element_wise(rows["request_id"], rows["row"].cast(pa.string()), "\x1f")


def _within(batch: pa.RecordBatch, since: datetime | None, until: datetime | None) -> pa.RecordBatch:
    time = batch["time"]
    kind = FIXED.field("time").type
    for moment, compare in ((since, pc.greater_equal), (until, pc.less)):
        if moment is not None:
            at = pa.scalar(moment if moment.tzinfo else moment.replace(tzinfo=UTC), kind)
            batch = batch.filter(compare(time, at))
            time = batch["time"]
    return batch


def _of_pass(batch: pa.RecordBatch, number: int, passes: int) -> pa.RecordBatch:
    if passes == 1:
        return batch
    hashes = (zlib.crc32((request or "").encode()) % passes == number for request in batch["request_id"].to_pylist())
    return batch.filter(pa.array(hashes, pa.bool_()))


def _labelled(batch: pa.RecordBatch, newest: pa.RecordBatch) -> pa.RecordBatch:
    index = pc.index_in(_keys(batch), value_set=newest["key"])
    for name in ("label", "label_text"):
        batch = batch.append_column(name, newest[name].take(index))
    return batch
