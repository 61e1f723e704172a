"""Journals on the local disk that become Parquet files ``<kind>/model=M/date=D/<journal>-<n>.parquet``.

Exactly once: a journal is closed before it is converted, its files have names that follow from it, and it is deleted
when all of them are there. Whoever finds a journal without an owner converts it, and skips the files that exist.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as parquet

from gitml import clock
from gitml.engines.places import Place, place_of
from gitml.errors import OutsideError, UsageError
from gitml.traffic.compaction import COMPACTING, compact
from gitml.traffic.journal import SUFFIX, Journal, frames, take_over
from gitml.traffic.partitions import Part, as_schema, numbered


class Spool:
    """The journals of one ``kind`` of rows. Not for several threads at once."""

    def __init__(self, target: Place, folder: Path, now: Callable[[], float]) -> None:
        self.target, self.folder, self._now = target, folder, now
        self.files = self.bytes = 0
        self._journal: Journal | None = None

    @classmethod
    def open(
        cls, folder: str | Path, kind: str, spool: Path | None = None, now: Callable[[], float] = clock.timestamp
    ) -> Spool:
        """``now`` is what journals are named after, in seconds since 1970.

        Raises UsageError for an object store without ``spool``, OutsideError when that cannot be written.
        """
        target = place_of(folder)
        place = spool or (target.local / ".spool" if target.local else None)
        if place is None:
            raise UsageError(f"{folder} is no local folder: its log needs one to gather in", "name a spool folder")
        try:
            (place / kind).mkdir(parents=True, exist_ok=True)
            (place / COMPACTING).touch()
        except OSError as exc:
            raise OutsideError(f"{place} cannot be written: {exc.strerror}", "name a folder that can") from exc
        return cls(target / kind, place / kind, now)

    @property
    def size(self) -> int:
        """Bytes of the open journal."""
        return self._journal.size if self._journal else 0

    def append(self, batch: pa.RecordBatch) -> None:
        """Raises OSError when the disk does not take it; then nothing of it is there."""
        if self._journal is None:
            self._journal = Journal(self.folder / f"{_new_name(self._now())}{SUFFIX}")
        before = self._journal.size
        self._journal.append(batch)
        self.bytes += self._journal.size - before

    def roll(self) -> None:
        """Close the open journal into Parquet. Raises what the target raises; the journal is kept then."""
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.close()
            self._convert(journal.path)

    def tidy(self) -> None:
        """Convert the open journal and those whose processes are gone; remove what half-made files they left."""
        self.roll()
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            self._convert(path)
        for path in self.folder.glob(f".*{SUFFIX}.new"):
            _remove_orphan(path)
        self.bytes = sum(_size(path) for path in self.folder.glob(f"*{SUFFIX}"))
        compact(self.target, self.folder)

    def close(self) -> None:
        """Leave the open journal, if rolling failed, to whoever comes next."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _convert(self, path: Path) -> None:
        file = take_over(path)
        if file is None:
            return
        with file:
            size = _size(path)
            for part, schema in _parts(file):
                self._write(path.name.removesuffix(SUFFIX), part, schema, file)
            path.unlink()
            self.bytes -= size

    def _write(self, journal: str, part: Part, schema: pa.Schema, file: IO[bytes]) -> None:
        place = self.target / f"model={part.model}" / f"date={part.date}" / f"{journal}-{part.number}.parquet"
        if not place.exists():
            _remove_halves(place)
            place.write(lambda stream: _fill(stream, part, schema, file))
            self.files += 1


def _new_name(now: float) -> str:
    return f"{datetime.fromtimestamp(max(now, 0), UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:12]}"


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _remove_halves(place: Place) -> None:
    """What a process left that was killed while it wrote this file; who holds the journal is the only one to."""
    for path in place.local.parent.glob(f".{place.name}.*.tmp") if place.local else ():
        path.unlink(missing_ok=True)


def _remove_orphan(path: Path) -> None:
    file = take_over(path)
    if file is not None:
        with file, suppress(FileNotFoundError):
            path.unlink()


def _parts(file: IO[bytes]) -> list[tuple[Part, pa.Schema]]:
    file.seek(0)
    return list({part: schema for part, _, schema in numbered(frames(file))}.items())


def _fill(stream: Any, part: Part, schema: pa.Schema, file: IO[bytes]) -> None:
    file.seek(0)
    with parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
        for found, batch, _ in numbered(frames(file)):
            if found == part:
                writer.write_table(as_schema(batch, schema))
