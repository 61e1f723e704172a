"""The sandbox's SQLite file: short transactions, one writer, on disk before anything is answered."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from gitml_sandbox.clock import iso, utc_now
from gitml_sandbox.errors import OutsideError

BUSY_SECONDS = 30.0


class Store:
    """One database file with the tables of ``ddl``, safe for threads and for a second process: the command line beside
    the server.

    ``wake`` is set after each commit that added rows to ``events``. In SQL ``forge_now()`` is the time of ``clock``.
    """

    def __init__(
        self, path: Path, ddl: str, wake: threading.Event | None = None, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self.path, self._clock = path, clock
        self.wake = wake or threading.Event()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        # Whoever forgets to close lets go of the files all the same.
        weakref.finalize(self, _close, self._idle)
        self._guard = threading.Lock()
        self._writer = threading.RLock()
        self._writing = False
        self._last_event = 0
        self._prepare(ddl)

    def _prepare(self, ddl: str) -> None:
        digest = hashlib.sha256(ddl.encode()).hexdigest()
        with self.write() as tx:
            tx.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
            row = tx.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
            if row is not None and row["value"] != digest:
                raise OutsideError(
                    f"{self.path} was made by another version of gitml",
                    "use that version, or start afresh with: gitml sandbox down --delete",
                )
            for statement in _statements(ddl):
                tx.execute(statement)
            tx.execute("INSERT OR IGNORE INTO meta VALUES ('schema', ?)", (digest,))

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A consistent snapshot. Writing in it is an error."""
        connection = self._take()
        try:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            yield connection
        finally:
            self._give(connection)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: on disk when the block ends, undone when it raises. Does not nest."""
        with self._writer:
            if self._writing:
                raise RuntimeError("a write inside a write of the same thread: pass tx down instead")
            self._writing = True
            connection = self._take()
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                newest = _newest_event(connection)
                connection.execute("COMMIT")
            finally:
                self._writing = False
                self._give(connection)
            if newest > self._last_event:
                self._last_event = newest
                self.wake.set()

    def close(self) -> None:
        """Close what is idle; a transaction still running keeps its own connection until it ends."""
        with self._guard:
            self._closed = True
            _close(self._idle)

    def _take(self) -> sqlite3.Connection:
        with self._guard:
            if self._idle:
                return self._idle.pop()
        return _connect(self.path, self._clock)

    def _give(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        connection.execute("PRAGMA query_only = OFF")
        with self._guard:
            self._idle.append(connection)
            if self._closed:
                _close(self._idle)


def _close(idle: list[sqlite3.Connection]) -> None:
    while idle:
        idle.pop().close()


def _connect(path: Path, clock: Callable[[], datetime]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.create_function("forge_now", 0, lambda: iso(clock()))
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _statements(ddl: str) -> Iterator[str]:
    """Single statements: executescript would commit the transaction that we are in."""
    part = ""
    for line in ddl.splitlines(keepends=True):
        part += line
        if sqlite3.complete_statement(part):
            yield part
            part = ""


def _newest_event(tx: sqlite3.Connection) -> int:
    known = tx.execute("SELECT 1 FROM sqlite_master WHERE name = 'events'").fetchone()
    row = tx.execute("SELECT max(id) AS newest FROM events").fetchone() if known else None
    return int(row["newest"] or 0) if row else 0
