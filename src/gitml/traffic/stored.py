"""The rows of one kind, day by day and always in one order: from files, merged or not, and from journals."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO

import pyarrow as pa

from gitml.engines.places import StoragePlace, place_of
from gitml.traffic.files import ROWS, SUFFIX, Stretch, StretchFile, read_stretches, stretches_in
from gitml.traffic.journal import SUFFIX as JOURNAL
from gitml.traffic.journal import frames
from gitml.traffic.partitions import Partition, as_schema, numbered
from gitml.traffic.spool import spool_of

_TRIES = 4


@dataclass(frozen=True)
class StoredRows:
    """``base`` is the folder above the days. With ``at`` (microseconds) only what was published by then counts.

    What is there when a day, or a journal, is first looked at is what every later reading of it gives.
    """

    base: StoragePlace
    model: str
    journals: Mapping[str, tuple[IO[bytes], int]]  # and how many bytes of it there were
    at: int | None = None
    _seen: dict[str, dict[str, Stretch]] = field(default_factory=dict)

    def days(self, first: str = "", last: str = "9999") -> list[str]:
        """Days from ``first`` to ``last`` that have rows, or had some that were deleted."""
        found = {name.removeprefix("date=") for name in self.base.folders() if name[:5] == "date="}
        found |= {partition.date for journal in self.journals for partition in self._partitions(journal)}
        return sorted(day for day in found if first <= day <= last)

    def known(self, day: str) -> list[Stretch]:
        """The stretches of a day's files that count, each once, by name."""
        found: dict[str, Stretch] = {}
        for left in range(_TRIES, 0, -1):
            try:
                for name in self._names(day):
                    found |= {stretch.name: stretch for stretch in read_stretches(self._folder(day) / name)}
                break
            except OSError:  # somebody merged it meanwhile
                if left == 1:
                    raise
        return [found[name] for name in sorted(found) if self.at is None or found[name].published <= self.at]

    def count(self, days: Sequence[str]) -> int:
        """The number of rows, from what the files say of themselves; those that count later are among them."""
        found: dict[str, int] = {}
        for day in days:
            folder = self._folder(day)
            for name in self._names(day):
                found |= {stretch.name: stretch.rows for stretch in read_stretches(folder / name)}
            found |= {name: sum(b.num_rows for b in self._of_journal(name, p)) for name, p in self._journaled(day)}
        return sum(found.values())

    def rows(self, day: str, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """All rows of a day in one order, in batches that are the same whatever was merged meanwhile."""
        if day not in self._seen:
            self._seen[day] = self._listed(day)
        listed = self._seen[day]
        journaled = dict(self._journaled(day))
        opened: dict[str, StretchFile] = {}
        try:
            for name in sorted({*listed, *journaled}):
                if name in journaled:
                    yield from _sized(self._of_journal(name, journaled[name]))
                else:
                    yield from self._of_files(day, name, listed, opened, columns)
        finally:
            for file in opened.values():
                file.close()

    def _of_files(
        self,
        day: str,
        name: str,
        listed: dict[str, Stretch],
        opened: dict[str, StretchFile],
        columns: Sequence[str] | None,
    ) -> Iterator[pa.RecordBatch]:
        done = 0
        for left in range(_TRIES, 0, -1):
            stretch = listed[name]
            try:
                file = opened.get(stretch.file) or StretchFile(self._folder(day) / stretch.file, columns)
                opened[stretch.file] = file
                if self.at is None or file.stretches[name].published <= self.at:
                    for number, batch in enumerate(file.rows(name)):
                        if number >= done:
                            yield batch
                            done += 1
                if name == list(file.stretches)[-1]:
                    opened.pop(stretch.file).close()
                return
            except OSError:
                # Somebody merged the file meanwhile: its rows are in another one now.
                if left == 1:
                    raise
                for file in opened.values():
                    file.close()
                opened.clear()
                now = self._listed(day)
                listed |= {known: now[known] for known in listed if known in now}

    def _folder(self, day: str) -> StoragePlace:
        return self.base / f"date={day}"

    def _names(self, day: str) -> list[str]:
        return [name for name, *_ in self._folder(day).files() if name.endswith(SUFFIX)]

    def _listed(self, day: str) -> dict[str, Stretch]:
        for left in range(_TRIES, 0, -1):
            try:
                return {stretch.name: stretch for stretch in stretches_in(self._folder(day), self._names(day))}
            except OSError:
                if left == 1:
                    raise
        return {}

    def _numbered(self, name: str) -> Iterator[tuple[Partition, pa.RecordBatch, pa.Schema]]:
        journal, size = self.journals[name]
        journal.seek(0)
        return numbered(frames(journal, size))

    def _partitions(self, name: str) -> set[Partition]:
        return {partition for partition, _, _ in self._numbered(name) if partition.model == self.model}

    def _journaled(self, day: str) -> list[tuple[str, Partition]]:
        return [
            (f"{name}-{partition.number}", partition)
            for name in self.journals
            for partition in self._partitions(name)
            if partition.date == day
        ]

    def _of_journal(self, name: str, partition: Partition) -> Iterator[pa.RecordBatch]:
        """With the columns that its file will have."""
        journal = name.rpartition("-")[0]
        schema = [schema for found, _, schema in self._numbered(journal) if found == partition][-1]
        for found, batch, _ in self._numbered(journal):
            if found == partition:
                yield from as_schema(batch, schema).to_batches()


def _sized(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(b.num_rows for b in held) >= ROWS:
            whole = pa.concat_batches(held)
            yield from (whole.slice(n, ROWS) for n in range(0, whole.num_rows - ROWS + 1, ROWS))
            rest = whole.slice(whole.num_rows - whole.num_rows % ROWS)
            held = [rest] if rest.num_rows else []
    if held:
        yield pa.concat_batches(held)


@contextmanager
def storing(
    folder: str | Path, kind: str, model: str, at: datetime | None = None, spool: Path | None = None
) -> Iterator[StoredRows]:
    """Every row once, also while a server closes its journal: what becomes a file meanwhile is read as the journal."""
    target = place_of(folder)
    base = target / kind / f"model={model}" if model else target / kind
    place = spool_of(target, spool)
    with ExitStack() as stack:
        opened = _open(place / kind, stack) if place is not None and at is None else {}
        yield StoredRows(base, model, opened, None if at is None else int(at.timestamp() * 1e6))


def _open(folder: Path, stack: ExitStack) -> Mapping[str, tuple[IO[bytes], int]]:
    found = {}
    for path in sorted(folder.glob(f"*{JOURNAL}")):
        try:
            journal = stack.enter_context(path.open("rb"))
            found[path.name.removesuffix(JOURNAL)] = journal, os.fstat(journal.fileno()).st_size
        except FileNotFoundError:
            continue  # converted since it was listed: its rows are in the files that are listed next
    return found
