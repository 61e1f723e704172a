"""Which rows lie in which file.

The rows of one journal, model, day and set of columns are a *stretch*; its name follows from the journal, and what is
in it never changes. A file that a server writes holds one stretch and has its name; a merged file holds many, and its
footer lists them. So the same stretch may lie in two files for a while, and a reader takes it once.

The footer also says from when on a stretch counts: a reader that cuts at an earlier moment leaves it out, whether or
not it is merged by then. That moment lies ahead when writing begins, so that whoever reads at it finds the file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Self

import pyarrow as pa
import pyarrow.parquet as parquet

from gitml import clock
from gitml.engines.places import StoragePlace

MERGED = "-merged"
SUFFIX = ".parquet"
# Kept sketches lie below this folder.
SKETCHES = "sketches"
# Notes of batches that are logged.
BATCHES = "batches"
FORMAT = 2
ROWS = 65_536
# Seconds from the beginning of a write to the moment from which the file counts; clocks of hosts may differ by less.
SETTLE = 60.0
_KEY = b"gitml.traffic"


class Stretch(NamedTuple):
    """``rows`` from row ``first`` of ``file`` on; ``published``: microseconds since 1970, 0 for files of format 1."""

    name: str
    file: str
    first: int
    rows: int
    published: int


def footer(stretches: Iterable[Stretch]) -> dict[bytes, bytes]:
    """Metadata of a file that holds these stretches, in their order."""
    told = {"format": FORMAT, "stretches": [[s.name, s.rows, s.published] for s in stretches]}
    return {_KEY: json.dumps(told, separators=(",", ":")).encode()}


def stretches_of(place: StoragePlace, metadata: Any) -> list[Stretch]:
    """What a Parquet file's metadata says; a file of format 1 is one stretch."""
    raw = (metadata.metadata or {}).get(_KEY)
    stem = place.name.removesuffix(SUFFIX)
    told = json.loads(raw)["stretches"] if raw else [[stem, metadata.num_rows, 0]]
    found, first = [], 0
    for name, rows, published in told:
        rows = metadata.num_rows if rows is None else rows
        found.append(Stretch(name, place.name, first, rows, published))
        first += rows
    return found


def read_stretches(place: StoragePlace) -> list[Stretch]:
    with place.filesystem.open_input_file(place.path) as stream:
        return stretches_of(place, parquet.read_metadata(stream))


def stretches_in(folder: StoragePlace, names: Iterable[str]) -> list[Stretch]:
    """Each stretch of a day's files once, by name. Only merged files are opened: ``rows`` of others are -1."""
    found: dict[str, Stretch] = {}
    listed = sorted(name for name in names if name.endswith(SUFFIX))
    for name in (name for name in listed if MERGED in name):
        for stretch in read_stretches(folder / name):
            found.setdefault(stretch.name, stretch)
    for name in (name for name in listed if MERGED not in name):
        stem = name.removesuffix(SUFFIX)
        found.setdefault(stem, Stretch(stem, name, 0, -1, -1))
    return [found[name] for name in sorted(found)]


def publish(place: StoragePlace, fill: Callable[[Any, int], None], now: Callable[[], float] = clock.timestamp) -> None:
    """Write a file; ``fill`` gets the stream and the moment from which it counts, in microseconds."""
    settle = SETTLE
    while True:
        published = now() + settle
        place.write(lambda stream, at=published: fill(stream, int(at * 1e6)))  # type: ignore[misc]
        if now() <= published:
            return
        # A reader at that moment has looked already, and did not find it: it must count later.
        settle *= 2


def schema_with(schema: pa.Schema, stretches: Iterable[Stretch]) -> pa.Schema:
    return schema.remove_metadata().with_metadata(footer(stretches))


class StretchFile:
    """A file that is read once, stretch by stretch in its order. ``columns``: all, or those of these that it has."""

    def __init__(self, place: StoragePlace, columns: Sequence[str] | None = None) -> None:
        self._stream = place.filesystem.open_input_file(place.path)
        file = parquet.ParquetFile(self._stream)
        self.schema = file.schema_arrow.remove_metadata()
        self.stretches = {stretch.name: stretch for stretch in stretches_of(place, file.metadata)}
        # A column that two formats name differently is read as a whole file: `upgraded` finds its way.
        wanted = None if columns is None or "arrived" not in self.schema.names else [*columns]
        names = None if wanted is None else [name for name in self.schema.names if name in wanted]
        self._batches = file.iter_batches(ROWS, columns=names)
        self._rest: pa.RecordBatch | None = None
        self._at = 0

    def rows(self, name: str) -> Iterator[pa.RecordBatch]:
        """The rows of a stretch in batches of ``ROWS``, whatever file it lies in."""
        stretch = self.stretches[name]
        while self._at < stretch.first:
            self._next(stretch.first - self._at)
        left, held, count = stretch.rows, [], 0
        while left:
            batch = self._next(min(left, ROWS - count))
            held.append(batch)
            count += batch.num_rows
            left -= batch.num_rows
            if count == ROWS or not left:
                yield held[0] if len(held) == 1 else pa.concat_batches(held)
                held, count = [], 0

    def _next(self, most: int) -> pa.RecordBatch:
        while self._rest is None or not self._rest.num_rows:
            self._rest = next(self._batches)
        part = self._rest.slice(0, most)
        self._rest = self._rest.slice(most)
        self._at += part.num_rows
        return part

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
