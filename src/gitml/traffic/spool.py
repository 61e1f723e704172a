"""Journals on the local disk that become Parquet files ``<kind>/model=M/date=D/<journal>-<n>.parquet``.

Exactly once: a journal is closed before it is converted, its files have names that follow from it, and it is deleted
when all of them are there. Whoever finds a journal without an owner converts it, and skips the files that exist. So
files reach an object store once too, and a store that is away gets them later.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as parquet

from gitml import clock
from gitml.engines.places import StoragePlace, place_of
from gitml.errors import OutsideError, UsageError
from gitml.traffic.compaction import COMPACTING, compact, day_of
from gitml.traffic.files import Stretch, publish, schema_with
from gitml.traffic.journal import SUFFIX, Journal, frames, take_over
from gitml.traffic.partitions import Partition, as_schema, numbered

Clock = Callable[[], float]
_FRESH = 60.0  # seconds


class Spool:
    """The journals of one ``kind`` of rows. One thread appends and hands over, another one tidies."""

    def __init__(self, target: StoragePlace, folder: Path, now: Clock, keep: timedelta | None = None) -> None:
        self.target, self.folder, self._now, self._keep = target, folder, now, keep
        self.files = self._closed = 0
        self._journal: Journal | None = None
        self._lock = threading.Lock()
        self._looked, self._written = "", set[str]()

    @classmethod
    def open(
        cls,
        folder: str | Path,
        kind: str,
        spool: Path | None = None,
        now: Clock = clock.timestamp,
        *,
        keep: timedelta | None = None,
    ) -> Spool:
        """``now`` is what journals are named after, in seconds since 1970; days older than ``keep`` are deleted.

        Raises UsageError for an object store without ``spool``, OutsideError when that cannot be written.
        """
        target = place_of(folder)
        place = spool_of(target, spool)
        if place is None:
            raise UsageError(f"{folder} is no local folder: its log needs one to gather in", "name a spool folder")
        try:
            (place / kind).mkdir(parents=True, exist_ok=True)
            (place / COMPACTING).touch()
        except OSError as exc:
            raise OutsideError(f"{place} cannot be written: {exc.strerror}", "name a folder that can") from exc
        return cls(target / kind, place / kind, now, keep)

    @property
    def size(self) -> int:
        """Bytes of the open journal."""
        journal = self._journal
        return journal.size if journal else 0

    @property
    def waiting(self) -> int:
        """Bytes of all journals that wait."""
        return self._closed + self.size

    def append(self, batch: pa.RecordBatch) -> None:
        """Raises OSError when the disk does not take it; then nothing of it is there."""
        if self._journal is None:
            self._journal = Journal(self.folder / f"{_new_name(self._now())}{SUFFIX}")
        self._journal.append(batch)

    def hand_over(self) -> None:
        """Close the open journal: the next ``tidy``, here or in another process, makes files of it."""
        journal, self._journal = self._journal, None
        if journal is not None:
            with self._lock:
                self._closed += journal.size
            journal.close()

    def tidy(self) -> None:
        """Convert journals that nobody writes to any more, remove what killed processes left half-made, and merge
        small files. Raises what the target raises; the journals are kept then."""
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            self._convert(path)
        for path in self.folder.glob(f".*{SUFFIX}.new"):
            _remove_orphan(path)
        with self._lock:
            sizes = {path: _size(path) for path in self.folder.glob(f"*{SUFFIX}")}
            mine = self._journal
            self._closed = sum(size for path, size in sizes.items() if mine is None or path != mine.path)
        self._compact()

    def _compact(self) -> None:
        """A day changes when something is written to it. All days are looked at once a day, and at the start: for what
        others left behind, and for days that have become too old."""
        today = day_of(self._now())
        days = None if today != self._looked else sorted(self._written)
        if compact(self.target, self.folder, days, now=self._now, keep=self._keep):
            self._looked = today
            self._written.clear()

    def _convert(self, path: Path) -> None:
        file = take_over(path)
        if file is None:
            return
        with file:
            for partition, schema in _partitions(file):
                self._write(path.name.removesuffix(SUFFIX), partition, schema, file)
            path.unlink()

    def _write(self, journal: str, partition: Partition, schema: pa.Schema, file: IO[bytes]) -> None:
        stretch = f"{journal}-{partition.number}"
        place = self.target / partition.folder / f"{stretch}.parquet"
        self._written.add(partition.folder)
        if place.exists():
            return
        _remove_halves(place)

        def fill(stream: Any, published: int) -> None:
            told = [Stretch(stretch, place.name, 0, _rows(file, partition), published)]
            _fill(stream, partition, schema_with(schema, told), file)

        publish(place, fill, self._now)
        self.files += 1


class Closer:
    """A thread that tidies spools while others append to them, so that no append waits for a file.

    ``begin`` is called before each time, and what it returns after it went well. ``note`` hears of errors, and of None
    when all is well again.
    """

    def __init__(
        self, spool: Spool, *, begin: Callable[[], Callable[[], None]], note: Callable[[Exception | None], None]
    ) -> None:
        self._spool, self._begin, self._note = spool, begin, note
        self._wake, self._over = threading.Event(), threading.Event()
        self._wake.set()
        self._thread = threading.Thread(target=self._run, name="traffic-files", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def end(self, timeout: float) -> bool:
        """Tidy once more, and end; False if that takes longer than ``timeout`` seconds."""
        self._over.set()
        self._wake.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            # In this order: who ends it between the two is not overheard.
            self._wake.clear()
            last = self._over.is_set()
            try:
                done = self._begin()
                self._spool.tidy()
                done()
                self._note(None)
            except Exception as exc:  # the thread's boundary: whatever fails, the next time comes
                self._note(exc)
            if last:
                return


def spool_of(target: StoragePlace, spool: Path | None) -> Path | None:
    """The folder of the journals of what is written to ``target``."""
    return spool or (target.local / ".spool" if target.local else None)


def _new_name(now: float) -> str:
    return f"{datetime.fromtimestamp(max(now, 0), UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:12]}"


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _remove_halves(place: StoragePlace) -> None:
    """What a process left that was killed while it wrote this file; who holds the journal is the only one to."""
    for path in place.local.parent.glob(f".{place.name}.*.tmp") if place.local else ():
        path.unlink(missing_ok=True)


def _remove_orphan(path: Path) -> None:
    # A fresh one may belong to somebody who is about to lock it.
    with suppress(FileNotFoundError):
        if clock.machine() - path.stat().st_mtime < _FRESH:
            return
    file = take_over(path)
    if file is not None:
        with file, suppress(FileNotFoundError):
            path.unlink()


def _partitions(file: IO[bytes]) -> list[tuple[Partition, pa.Schema]]:
    file.seek(0)
    return list({partition: schema for partition, _, schema in numbered(frames(file))}.items())


def _rows(file: IO[bytes], partition: Partition) -> int:
    file.seek(0)
    return sum(batch.num_rows for found, batch, _ in numbered(frames(file)) if found == partition)


def _fill(stream: Any, partition: Partition, schema: pa.Schema, file: IO[bytes]) -> None:
    file.seek(0)
    with parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
        for found, batch, _ in numbered(frames(file)):
            if found == partition:
                writer.write_table(as_schema(batch, schema))
