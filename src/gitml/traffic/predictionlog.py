"""The prediction log: what was asked and answered, kept without ever holding up an answer.

``put`` appends to a bounded queue in memory. A thread of its own turns what waits into Arrow batches, appends them to
a journal on the local disk every ``window`` seconds, and closes the journal into Parquet files
``predictions/model=M/date=D/`` when it is old or large. What fits nowhere is dropped and counted.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from gitml.traffic.eventcolumns import Encoded, Event, batches_of, merged, warm_up
from gitml.traffic.spool import Spool

__all__ = ["Encoded", "Event", "Limits", "LogStats", "NoLog", "PredictionLog", "Sink"]
_CHUNK, _LARGEST_CHUNK = 256, 1024


class Sink(Protocol):
    """What a server needs of a log."""

    def put(self, event: Event) -> bool: ...
    def stats(self) -> LogStats: ...
    def close(self, timeout: float = 10.0) -> None: ...


@dataclass(frozen=True)
class LogStats:
    """Rows since the start. ``pending`` wait in memory; ``error`` says why rows could not be kept,
    empty while all is well."""

    kept: int = 0
    dropped: int = 0
    pending: int = 0
    files: int = 0
    error: str = ""


@dataclass(frozen=True)
class Limits:
    """``window``: seconds after which a row is safe from a kill. ``roll_seconds`` and ``roll_bytes`` close a journal
    into Parquet. ``rows`` and ``bytes`` bound what waits in memory, ``spool_bytes`` what waits on the local disk for an
    object store that is away."""

    window: float = 1.0
    roll_seconds: float = 300.0
    roll_bytes: int = 64 << 20
    rows: int = 100_000
    bytes: int = 256 << 20
    spool_bytes: int = 2 << 30


class NoLog:
    """Keeps nothing."""

    def put(self, event: Event) -> bool:
        return True

    def stats(self) -> LogStats:
        return LogStats()

    def close(self, timeout: float = 10.0) -> None: ...


class PredictionLog:
    """Writes to ``folder``, a path or URL; ``spool`` is the local folder of its journals, by default
    ``folder/.spool``. An object store needs one. Raises UsageError or OutsideError when the folder cannot be used.
    """

    def __init__(self, folder: str | Path, *, spool: Path | None = None, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._spool = Spool.open(folder, "predictions", spool)
        self._queue: deque[Event] = deque()
        self._lock = threading.Lock()
        self._rows = self._bytes = self._kept = self._dropped = 0
        self._errors: dict[str, str] = {}
        self._waiting: list[pa.RecordBatch] = []
        self._rolled = time.monotonic()
        warm_up()
        self._over, self._wake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._thread.start()

    def put(self, event: Event) -> bool:
        """Take the event, or drop and count it where there is no room. Never waits for the disk, never raises."""
        rows = event.rows
        with self._lock:
            full = self._rows + rows > self._limits.rows or self._bytes + event.size > self._limits.bytes
            if full or self._over.is_set():
                self._dropped += rows
                return False
            self._rows += rows
            self._bytes += event.size
            self._queue.append(event)
        return True

    def stats(self) -> LogStats:
        with self._lock:
            reasons = "; ".join(self._errors.values())
            return LogStats(self._kept, self._dropped, self._rows, self._spool.files, reasons)

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until nothing waits in memory; False if that takes longer."""
        end = time.monotonic() + timeout
        while self.stats().pending:
            if time.monotonic() > end:
                return False
            self._wake.set()
            time.sleep(0.005)
        return True

    def close(self, timeout: float = 10.0) -> None:
        """Write what waits, close the journal into Parquet, and end. What takes longer stays in the journal."""
        self._over.set()
        self._wake.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        self._guarded(self._spool.tidy)
        while not self._over.is_set():
            self._wake.wait(self._limits.window)
            self._wake.clear()
            self._guarded(self._write)
            if self._is_due():
                self._guarded(self._spool.tidy)
        self._guarded(self._write)
        self._guarded(self._spool.tidy)
        self._guarded(self._spool.close)

    def _guarded(self, step: Callable[[], object]) -> None:
        name = step.__name__
        try:
            step()
        except Exception as exc:  # the thread's boundary: whatever fails, the next window tries again
            with self._lock:
                self._errors[name] = f"{type(exc).__name__}: {exc}"[:500]
        else:
            with self._lock:
                self._errors.pop(name, None)

    def _write(self) -> None:
        """All that waits now, on the disk at least once in a window, however much comes in meanwhile."""
        left = len(self._queue)
        while left > 0 or self._waiting:
            began = time.monotonic()
            while left > 0 and time.monotonic() < began + self._limits.window / 2:
                events = self._take(left)
                left -= len(events)
                self._convert(events)
                # Answers come first: each chunk takes about a millisecond of the interpreter, then it is theirs.
                time.sleep(0.0005)
            self._append()

    def _convert(self, events: list[Event]) -> None:
        for some, batch in batches_of(events):
            if isinstance(batch, Exception):
                self._refuse(some, batch)
            else:
                self._waiting.append(batch)
                self._settle(0, sum(e.size for e in some) - batch.nbytes)

    def _append(self) -> None:
        self._waiting = merged(self._waiting)
        while self._waiting:
            self._refuse_over_spool()
            batch = self._waiting[0]
            self._spool.append(batch)
            del self._waiting[0]
            self._settle(batch.num_rows, batch.nbytes)

    def _take(self, left: int) -> list[Event]:
        """A chunk, larger where much waits: each costs a turn of the interpreter that answers want too."""
        return [self._queue.popleft() for _ in range(min(left, max(_CHUNK, left // 16), _LARGEST_CHUNK))]

    def _settle(self, rows: int, size: int) -> None:
        """``rows`` are kept, or dropped if negative; ``size`` bytes of memory are free again."""
        with self._lock:
            self._kept += max(rows, 0)
            self._dropped += max(-rows, 0)
            self._rows -= abs(rows)
            self._bytes -= size

    def _refuse(self, events: list[Event], reason: Exception) -> None:
        self._settle(-sum(e.rows for e in events), sum(e.size for e in events))
        with self._lock:
            self._errors["event"] = f"an event is no row of a table: {reason}"[:500]

    def _refuse_over_spool(self) -> None:
        if self._spool.bytes > self._limits.spool_bytes:
            raise OSError(f"the spool holds {self._spool.bytes} bytes that its store did not take")

    def _is_due(self) -> bool:
        age = time.monotonic() - self._rolled
        if self._spool.size < self._limits.roll_bytes and age < self._limits.roll_seconds:
            return False
        self._rolled = time.monotonic()
        return True
