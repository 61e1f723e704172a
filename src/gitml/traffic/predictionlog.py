"""The prediction log: what was asked and what became of it, kept without ever holding up an answer.

``put`` gathers columns in memory, within bounds. A thread makes Arrow batches of them and appends these to a journal
on the local disk every ``window`` seconds; it waits for nothing else. Another one makes Parquet files of journals that
are old or large, merges small files, and tells how far the rows are complete. What fits nowhere is dropped and counted.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from gitml import clock
from gitml.engines.places import place_of
from gitml.traffic.compaction import day_of
from gitml.traffic.exchange import Encoded, Exchange
from gitml.traffic.gathering import Gathered, Gathering, Others
from gitml.traffic.housekeeping import keep_house
from gitml.traffic.marks import HOLD, HostMarks
from gitml.traffic.spool import Clock, Closer, Spool, spool_of
from gitml.traffic.tabling import merged, warm_up

__all__ = ["Encoded", "Exchange", "LogLimits", "LogStats", "NoLog", "PredictionLog", "Sink"]


class Sink(Protocol):
    """What a server needs of a log."""

    def put(self, event: Exchange) -> bool: ...
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
class LogLimits:
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

    def put(self, event: Exchange) -> bool:
        return True

    def stats(self) -> LogStats:
        return LogStats()

    def close(self, timeout: float = 10.0) -> None: ...


@dataclass(frozen=True)
class LogOrigin:
    """Who writes: ``host`` is in each row, this machine's name by default. Days older than ``keep`` are deleted."""

    host: str = ""
    environment: str = ""
    keep: timedelta | None = None
    now: Clock = clock.timestamp


class PredictionLog:
    """Writes to ``folder``, a path or URL; ``spool`` is the local folder of its journals, by default
    ``folder/.spool``. An object store needs one. ``seen`` is called with rows that are kept.

    Raises UsageError or OutsideError when the folder cannot be used.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        spool: Path | None = None,
        limits: LogLimits | None = None,
        origin: LogOrigin | None = None,
        seen: Callable[[pa.RecordBatch], object] = lambda batch: None,
    ) -> None:
        self._seen = seen
        self._limits = limits or LogLimits()
        origin = origin or LogOrigin()
        self._now, self._keep, self._kept_house = origin.now, origin.keep, ""
        self._spool = Spool.open(folder, "predictions", spool, origin.now, keep=origin.keep)
        self._target = place_of(folder)
        place = spool_of(self._target, spool) or self._spool.folder
        host = origin.host or socket.gethostname().partition(".")[0] or "host"
        self._marks = HostMarks(self._target, place, host, origin.environment, origin.now)
        self._gathering, self._parts = Gathering(), deque[Gathered | Others]()
        self._lock = threading.Lock()
        self._rows = self._bytes = self._kept = self._dropped = self._told = 0
        self._errors: dict[str, str] = {}
        self._waiting: list[pa.RecordBatch] = []
        self._rolled = time.monotonic()
        self._reached = self._now()
        self._ended = False
        warm_up()
        self._over, self._wake = threading.Event(), threading.Event()
        self._closer = Closer(self._spool, begin=self._begin, note=lambda exc: self._note("tidy", exc))
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._thread.start()

    def put(self, event: Exchange) -> bool:
        """Take the event, or drop and count it where there is no room. Never waits for the disk, never raises."""
        rows = event.rows
        with self._lock:
            full = self._rows + rows > self._limits.rows or self._bytes + event.size > self._limits.bytes
            if full or self._over.is_set():
                self._dropped += rows
                return False
            self._rows += rows
            self._bytes += event.size
            self._gathering.add(event)
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
        until = time.monotonic() + timeout
        self._over.set()
        self._wake.set()
        self._thread.join(timeout)
        if self._closer.end(max(0.0, until - time.monotonic())):
            self._marks.close()

    def _run(self) -> None:
        while not self._over.is_set():
            self._wake.wait(self._limits.window)
            self._wake.clear()
            self._guarded(self._round)
        self._guarded(self._last_round)

    def _round(self) -> None:
        # Before what waits is taken: what arrived that long ago is in it.
        before = self._now() - HOLD
        self._write()
        if self._is_due():
            self._spool.hand_over()
            self._reached = max(self._reached, before)
            self._closer.wake()

    def _last_round(self) -> None:
        try:
            self._write()
            self._ended = True
        finally:
            self._spool.hand_over()

    def _begin(self) -> Callable[[], None]:
        """What may be said once all journals that are handed over by now are files."""
        ended, reached, dropped = self._ended, self._reached, self._dropped
        fresh, self._told = dropped - self._told, dropped

        def published() -> None:
            self._marks.tell(self._now() if ended else reached, fresh, ended=ended)
            today = day_of(self._now())
            if today != self._kept_house:
                keep_house(self._target, self._now(), self._keep)
                self._kept_house = today

        return published

    def _guarded(self, step: Callable[[], object]) -> None:
        try:
            step()
        except Exception as exc:  # the thread's boundary: whatever fails, the next window tries again
            self._note("write", exc)
        else:
            self._note("write", None)

    def _note(self, step: str, exc: Exception | None) -> None:
        with self._lock:
            if exc is None:
                self._errors.pop(step, None)
            else:
                self._errors[step] = f"{type(exc).__name__}: {exc}"[:500]

    def _write(self) -> None:
        """All that waits now, on the disk at least once in a window, however much comes in meanwhile."""
        with self._lock:
            gathered, self._gathering = self._gathering, Gathering()
        self._parts += gathered.parts
        while self._parts or self._waiting:
            began = time.monotonic()
            while self._parts and time.monotonic() < began + self._limits.window / 2:
                self._convert(self._parts.popleft())
                # Answers come first: each part takes a bit of the interpreter, then it is theirs.
                time.sleep(0.0005)
            self._append()

    def _convert(self, part: Gathered | Others) -> None:
        for table in part.tables(self._marks.host):
            if isinstance(table.batch, Exception):
                self._refuse(table.rows, table.size, table.batch)
            else:
                self._waiting.append(table.batch)
                self._settle(0, table.size - table.batch.nbytes)

    def _append(self) -> None:
        self._waiting = merged(self._waiting)
        while self._waiting:
            self._refuse_over_spool()
            batch = self._waiting[0]
            self._spool.append(batch)
            del self._waiting[0]
            self._settle(batch.num_rows, batch.nbytes)
            self._seen(batch)

    def _settle(self, rows: int, size: int) -> None:
        """``rows`` are kept, or dropped if negative; ``size`` bytes of memory are free again."""
        with self._lock:
            self._kept += max(rows, 0)
            self._dropped += max(-rows, 0)
            self._rows -= abs(rows)
            self._bytes -= size

    def _refuse(self, rows: int, size: int, reason: Exception) -> None:
        self._settle(-rows, size)
        with self._lock:
            self._errors["event"] = f"an event is no row of a table: {reason}"[:500]

    def _refuse_over_spool(self) -> None:
        if self._spool.waiting > self._limits.spool_bytes:
            raise OSError(f"the spool holds {self._spool.waiting} bytes that its store did not take")

    def _is_due(self) -> bool:
        age = time.monotonic() - self._rolled
        if self._spool.size < self._limits.roll_bytes and age < self._limits.roll_seconds:
            return False
        self._rolled = time.monotonic()
        return True
