"""Many small files of a day become one, so that a folder that is written for years can still be listed and read; days
that are too old are deleted.

A merged file lists what it replaces, so nothing has to happen at once: it is published whole, then its sources go.
Killed in between, or done by two hosts at a time, the same rows lie in two files, and readers take them once.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

from gitml import clock
from gitml.engines.places import StoragePlace, StoredFile
from gitml.traffic.files import MERGED, SUFFIX, Stretch, StretchFile, schema_with, stretches_in

COMPACTING = "compact.lock"
MANY, SMALL = 24, 32 << 20


def compact(
    target: StoragePlace,
    spool: Path,
    days: Collection[str] | None = None,
    *,
    now: Callable[[], float] = clock.timestamp,
    keep: timedelta | None = None,
) -> bool:
    """Merge where a day has ``MANY`` files smaller than ``SMALL`` bytes, and delete days older than ``keep``.

    Only ``days``, folders below ``target``, are looked at; by default all are. Processes that share ``spool``, the
    folder of the journals, take turns: False if another one was at it.
    """
    with _alone(spool.parent / COMPACTING) as alone:
        if not alone:
            return False
        if target.local is not None:
            _finish_format_1(target.local, spool)
        first = day_of(now() - keep.total_seconds()) if keep else ""
        for day, entries in (_days(target) if days is None else {day: _in_day(target, day) for day in days}).items():
            if day.rpartition("date=")[2] < first:
                _delete(target / day, [entry.name for entry in entries])
            else:
                _merge_day(target / day, entries)
        return True


def delete_before(target: StoragePlace, first: str) -> None:
    """Delete all files of days before ``first`` below ``target``."""
    for entry in target.files():
        day = entry.name.rpartition("/")[0].rpartition("date=")[2]
        if entry.name.count("date=") and day < first:
            _delete(target, [entry.name])


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def day_of(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"


def _days(target: StoragePlace) -> dict[str, list[StoredFile]]:
    """The files of each day, under their own names."""
    found: dict[str, list[StoredFile]] = {}
    for entry in target.files():
        day, _, name = entry.name.rpartition("/")
        if name.endswith(SUFFIX) and "date=" in day:
            found.setdefault(day, []).append(entry._replace(name=name))
    return found


def _in_day(target: StoragePlace, day: str) -> list[StoredFile]:
    return [entry for entry in (target / day).files() if entry.name.endswith(SUFFIX)]


def _delete(day: StoragePlace, names: Sequence[str]) -> None:
    for name in names:
        with suppress(FileNotFoundError):
            (day / name).delete()


def _merge_day(day: StoragePlace, entries: Sequence[StoredFile]) -> None:
    for half in day.local.glob(f".*{MERGED}*.tmp") if day.local else ():
        half.unlink(missing_ok=True)  # nobody else merges here: its maker was killed
    small = [entry.name for entry in entries if entry.size < SMALL]
    if len(small) < MANY:
        return
    for names in _alike(day, small):
        with suppress(FileNotFoundError):  # another host merges the same files: theirs is as good
            _merge(day, names)


def _alike(day: StoragePlace, names: Sequence[str]) -> list[list[str]]:
    """Files of equal columns: a stretch has the columns it was written with, wherever it lies."""
    groups: dict[bytes, list[str]] = {}
    for name in names:
        with suppress(FileNotFoundError):
            place = day / name
            with place.filesystem.open_input_file(place.path) as stream:
                schema = parquet.read_schema(stream).remove_metadata()
            groups.setdefault(bytes(schema.serialize()), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _merge(day: StoragePlace, names: Sequence[str]) -> None:
    stretches = []
    for stretch in stretches_in(day, names):
        if stretch.rows < 0:
            with StretchFile(day / stretch.file) as file:
                stretch = file.stretches[stretch.name]
        stretches.append(stretch)
    # Named after the newest, so that names still tell how far the folder goes, and the same for whoever merges these.
    digest = hashlib.sha256("\n".join(stretch.name for stretch in stretches).encode()).hexdigest()[:12]
    merged = day / f"{max(names)[:16]}{MERGED}{digest}-0{SUFFIX}"
    merged.write(lambda stream: _concatenate(stream, day, stretches))
    _delete(day, [name for name in names if name != merged.name])


def _concatenate(stream: Any, day: StoragePlace, stretches: Sequence[Stretch]) -> None:
    with StretchFile(day / stretches[0].file) as first:
        schema = schema_with(first.schema, stretches)
    last = {stretch.file: stretch.name for stretch in stretches}
    opened: dict[str, StretchFile] = {}
    with parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
        for stretch in stretches:
            file = opened.get(stretch.file) or opened.setdefault(stretch.file, StretchFile(day / stretch.file))
            for batch in file.rows(stretch.name):
                writer.write_table(pa.Table.from_batches([batch]).replace_schema_metadata(schema.metadata))
            if last[stretch.file] == stretch.name:
                opened.pop(stretch.file).close()


def _finish_format_1(target: Path, spool: Path) -> None:
    """Earlier releases deleted the sources first, and left a note for whoever comes after a kill."""
    for intent in spool.glob("compact-*.json"):
        told = json.loads(intent.read_bytes())
        day = target / told["day"]
        if (day / told["hidden"]).exists():
            for source in told["from"]:
                (day / source).unlink(missing_ok=True)
            os.replace(day / told["hidden"], day / told["to"])
        intent.unlink()
