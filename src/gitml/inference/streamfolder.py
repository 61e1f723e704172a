"""A folder that grows as the source of a stream: its finished files, each answered once, into a folder of answers.

A row is a message, and stands at (file, 0, row). A file of answers appears whole, and then the note that its input is
done, as for ``gitml score``: what is killed in between is answered again and takes the place of the same file.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa

from gitml.engines.base import naming
from gitml.engines.places import StoragePlace, StoredFile
from gitml.engines.tables import format_of, open_table, write_table
from gitml.errors import UsageError
from gitml.inference.scorefiles import REJECTED, Notes, Scored, targets
from gitml.inference.scorerejects import REASON, ROW
from gitml.inference.streamtable import SpooledTable, answered, rejected
from gitml.streaming.messages import Position, StreamAnswer, StreamMessage

_IDLE = 1.0


@dataclass(frozen=True)
class FolderColumns:
    """``key``: the column that is the unit, ``id`` that of request ids; '' for none. ``inputs``: what the versions take
    at the moment, which is not passed on. ``types``: of the columns of CSV files."""

    inputs: Callable[[], frozenset[str]]
    key: str = ""
    id: str = ""
    types: Mapping[str, pa.DataType] = field(default_factory=dict)


class FolderBroker:
    """The tables below ``source`` that stood still for ``settle`` seconds, oldest first, into ``notes.place``.

    One process at a time: whoever makes it holds ``notes``. ``say`` hears of files that are left out.
    """

    def __init__(
        self,
        source: StoragePlace,
        notes: Notes,
        columns: FolderColumns,
        *,
        say: Callable[[str], None],
        settle: float = 2.0,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._source, self._notes, self._columns = source, notes, columns
        self._say, self._settle, self._pause = say, settle, pause
        self._seen: dict[str, tuple[StoredFile, float]] = {}
        self._done: dict[str, StoredFile] = {}
        self._targets: dict[str, str] = {}
        self._waiting: deque[StoredFile] = deque()
        self._file: _OpenFile | None = None

    def receive(self, most: int, seconds: float) -> Sequence[StreamMessage]:
        if self._file is None:
            self._waiting = self._waiting or self._finished()
            if not self._waiting:
                self._pause(max(seconds, _IDLE))
                return ()
            entry = self._waiting.popleft()
            self._notes.clear(entry.name, self._targets[entry.name])
            self._file = _OpenFile(self._source, entry, self._columns, most)
        try:
            messages = self._file.following()
        except UsageError as exc:
            self._leave_out(self._file, exc.message)
            return ()
        if not messages:
            self._end(self._file)
        return messages

    def send(self, answers: Sequence[StreamAnswer]) -> bool:
        file = self._file
        if file is None:
            return True
        try:
            file.take(answers)
            return self._end(file) if file.is_read() else True
        except (UsageError, pa.ArrowException) as exc:
            # Arrow's: two versions answer one file with columns of one name and different types.
            self._leave_out(file, str(exc))
            return True

    def _end(self, file: _OpenFile) -> bool:
        if self._changed(file):
            return False
        self._keep(file)
        return True

    def _changed(self, file: _OpenFile) -> bool:
        """Then it is not finished yet after all, and will be looked at anew."""
        if (self._source / file.entry.name).entry() == file.now:
            return False
        self._say(f"{file.entry.name} changed while it was answered, and is left until it stands still")
        self._seen.pop(file.entry.name, None)
        self._close()
        return True

    def _keep(self, file: _OpenFile) -> None:
        target = self._targets[file.entry.name]
        if file.rejected.rows:
            write_table(self._notes.place / REJECTED / target, "parquet", *file.rejected.found())
        write_table(self._notes.place / target, "parquet", *file.answers.found())
        self._noted(Scored(*file.entry, target, file.answers.rows, {}, file.rejected.rows), file.entry)

    def _leave_out(self, file: _OpenFile, reason: str) -> None:
        """A file that is no table is a dead letter as a whole, and takes no other with it."""
        if self._changed(file):
            return
        entry = file.entry
        self._say(f"{entry.name} is left out: {reason}")
        target = self._targets[entry.name]
        row = pa.record_batch({ROW: pa.nulls(1, pa.int64()), REASON: [reason]})
        write_table(self._notes.place / REJECTED / target, "parquet", row.schema, iter([row]))
        with SpooledTable() as nothing:
            write_table(self._notes.place / target, "parquet", *nothing.found())
        self._noted(Scored(*entry, target, 0, {}, 1), entry)

    def _noted(self, note: Scored, entry: StoredFile) -> None:
        self._notes.add(note)
        self._done[entry.name] = entry
        self._close()

    def _finished(self) -> deque[StoredFile]:
        """In the order in which they were written. One that grows is another one at each look."""
        now, found = time.monotonic(), []
        for entry in self._source.files():
            if format_of(entry.name) is None or not self._has_target(entry.name):
                continue
            before, since = self._seen.get(entry.name, (None, now))
            if before != entry:
                before, since = entry, now
                self._seen[entry.name] = entry, now
            if now - since >= self._settle and not self._is_done(entry):
                found.append(entry)
        return deque(sorted(found, key=lambda one: (one.modified, one.name)))

    def _has_target(self, name: str) -> bool:
        """Two files that would become one: the first keeps its place, the other is told of once."""
        if name not in self._targets:
            target = targets([StoredFile(name, 0, 0)], "parquet")[name]
            other = next((n for n, t in self._targets.items() if t == target), None)
            if other is not None:
                self._say(f"{name} is left out: its answers would lie where those of {other} do; rename it")
            self._targets[name] = "" if other is not None else target
        return bool(self._targets[name])

    def _is_done(self, entry: StoredFile) -> bool:
        if entry.name not in self._done and self._notes.done(entry, self._targets[entry.name]):
            self._done[entry.name] = entry
        return self._done.get(entry.name) == entry

    def lag(self) -> int:
        """Files, as nobody knows of how many rows."""
        return len(self._waiting) + (self._file is not None)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def close(self) -> None:
        """A file that is not read to its end comes again."""
        self._close()


class _OpenFile:
    """A file on its way: the batch that was received last, and the answers so far."""

    def __init__(self, source: StoragePlace, entry: StoredFile, columns: FolderColumns, most: int) -> None:
        self.entry, self._columns, self._inputs = entry, columns, columns.inputs()
        # `files` names a file by its path below the folder, `entry` by its last part.
        self.now = entry._replace(name=entry.name.rpartition("/")[2])
        self._given: pa.RecordBatch | None = None
        self._first = 0
        self._next: pa.RecordBatch | None = None
        with ExitStack() as stack:
            self.answers, self.rejected = stack.enter_context(SpooledTable()), stack.enter_context(SpooledTable())
            self._batches = self._opened(stack, source / entry.name, most)
            self._open = stack.pop_all()

    def _opened(self, stack: ExitStack, place: StoragePlace, most: int) -> Iterator[pa.RecordBatch]:
        def read() -> Iterator[pa.RecordBatch]:
            kind = format_of(self.entry.name) or ""
            with naming(self.entry.name), open_table(place, kind, most, self._columns.types) as batches:
                yield from (batch for batch in batches if batch.num_rows)

        found = read()
        stack.callback(found.close)  # type: ignore[attr-defined]
        return found

    def following(self) -> Sequence[StreamMessage]:
        """The next rows as messages. Raises UsageError where the file is no table that can be answered."""
        self._given = self._next or next(self._batches, None)
        self._next = None
        if self._given is None:
            return ()
        if not self._first:
            self._check(self._given.schema.names)
        return [self._message(number, row) for number, row in enumerate(self._given.to_pylist(), self._first)]

    def _check(self, names: Sequence[str]) -> None:
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageError(f"the file has two columns {twice[0]}")
        for name in (self._columns.key, self._columns.id):
            if name and name not in names:
                raise UsageError(f"the file has no column {name}: it has {', '.join(names)}")

    def _message(self, number: int, row: Mapping[str, Any]) -> StreamMessage:
        key, own = (row.get(name) if name else None for name in (self._columns.key, self._columns.id))
        headers = {} if own is None else {"x-request-id": str(own).encode("utf-8", "replace")}
        position = Position(self.entry.name, 0, number)
        unit = None if key is None else str(key).encode("utf-8", "replace")
        # All columns: what the versions take may be another thing when they are asked.
        return StreamMessage(position, unit, orjson.dumps(row, default=str), headers)

    def take(self, answers: Sequence[StreamAnswer]) -> None:
        if self._given is None:
            return
        good, dead = ([one for one in answers if one.dead is is_dead] for is_dead in (False, True))
        if good:
            self.answers.add(answered(self._given, self._first, good, self._inputs))
        if dead:
            self.rejected.add(rejected(self._given, self._first, dead))
        self._first += self._given.num_rows
        self._given = None

    def is_read(self) -> bool:
        self._next = next(self._batches, None)
        return self._next is None

    def close(self) -> None:
        self._open.close()
