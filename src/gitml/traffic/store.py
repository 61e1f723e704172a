"""What callers send and must not get lost: kept on the disk before the call returns, made into files afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet

from gitml import clock
from gitml.errors import OutsideError
from gitml.traffic.journal import SUFFIX, frames
from gitml.traffic.spool import Closer, Spool

_ROLL_SECONDS, _ROLL_BYTES = 300.0, 16 << 20


class RowStore:
    """Rows of one ``kind`` below ``folder``, the same as the prediction log's; ``spool`` as there. Safe for many
    threads. Each row has an ``order`` that grows with every row that is kept."""

    def __init__(
        self, folder: str | Path, kind: str, *, spool: Path | None = None, keep: timedelta | None = None
    ) -> None:
        self._spool = Spool.open(folder, kind, spool, now=lambda: self._order / 1e9, keep=keep)
        self._lock = threading.Lock()
        self._order = newest_order(self._spool)
        self._rolled = time.monotonic()
        self._closer = Closer(self._spool, begin=lambda: _nothing, note=lambda exc: None)

    def keep(self, rows: int, batches: Callable[[int], Sequence[pa.RecordBatch]]) -> int:
        """Keep what ``batches`` makes for the first order that is free; ``rows``. Raises OutsideError when the disk
        does not take it."""
        with self._lock:
            # A clock that was set back must not let an old row win over its correction.
            order = max(int(clock.timestamp() * 1e9), self._order + 1)
            self._order = order + rows - 1
            try:
                for batch in batches(order):
                    self._spool.append(batch)
            except OSError as exc:
                raise OutsideError(f"the rows were not kept: {exc}", "make room, and send them again") from exc
            if time.monotonic() - self._rolled > _ROLL_SECONDS or self._spool.size > _ROLL_BYTES:
                self._rolled = time.monotonic()
                self._spool.hand_over()
                self._closer.wake()
        return rows

    def close(self, timeout: float = 30.0) -> None:
        """Close the journal into Parquet; where the folder does not take it, it is kept for the next server."""
        with self._lock:
            self._spool.hand_over()
        self._closer.end(timeout)


def _nothing() -> None: ...


def day_of(order: int) -> str:
    return f"{datetime.fromtimestamp(order / 1e9, UTC):%Y-%m-%d}"


def newest_order(spool: Spool) -> int:
    """The highest order given so far, in journals and in the files whose names say that they are the newest."""
    found = [0]
    for path in spool.folder.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError), path.open("rb") as file:
            found += [pc.max(batch["order"]).as_py() for batch in frames(file) if batch.num_rows]
    times = {name: _seconds(name) for name, *_ in spool.target.files()}
    newest = max(times.values(), default=0.0)
    for name in (name for name, at in times.items() if at >= newest - 2 * _ROLL_SECONDS):
        place = spool.target / name
        with suppress(FileNotFoundError), place.filesystem.open_input_file(place.path) as stream:
            batches = parquet.ParquetFile(stream).iter_batches(columns=["order"])
            found += [pc.max(batch["order"]).as_py() for batch in batches]
    return max(found)


def _seconds(name: str) -> float:
    try:
        moment = datetime.strptime(name.rpartition("/")[2][:16], "%Y%m%dT%H%M%SZ")
    except ValueError:
        return 0.0
    return moment.replace(tzinfo=UTC).timestamp()
