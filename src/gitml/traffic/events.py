"""Business events: what happened to a unit, when, and how much. KPIs are made of them.

An event with an ``id`` counts once for each source, however often it is sent. The file that it lies in is that of the
day on which it happened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from gitml.traffic.exchange import DATE, FORMAT, MODEL, MOMENT
from gitml.traffic.store import RowStore

SCHEMA = pa.schema(
    [
        ("unit", pa.string()),
        ("time", MOMENT),
        ("name", pa.string()),
        ("value", pa.float64()),
        ("id", pa.string()),
        ("source", pa.string()),
        ("arrived", MOMENT),
        ("order", pa.int64()),
    ]
)


class BusinessEvent(NamedTuple):
    """``time`` is when it happened, in UTC; ``id`` is the sender's own, empty for none."""

    unit: str
    time: datetime
    name: str
    value: float = 1.0
    id: str = ""


class EventStore(RowStore):
    """Business events below ``folder``, the same as the prediction log's. Safe for many threads."""

    def __init__(self, folder: str | Path, *, spool: Path | None = None, keep: timedelta | None = None) -> None:
        super().__init__(folder, "events", spool=spool, keep=keep)

    def add(self, events: Sequence[BusinessEvent], source: str = "") -> int:
        """Keep the events; their number. Raises OutsideError when the disk does not take them: then send all again,
        with ids."""
        if not events:
            return 0
        return self.keep(len(events), lambda order: list(_batches(events, order, source)))


def _batches(events: Sequence[BusinessEvent], order: int, source: str) -> Iterator[pa.RecordBatch]:
    days: dict[str, list[tuple[int, BusinessEvent]]] = {}
    for number, event in enumerate(events):
        days.setdefault(f"{event.time.astimezone(UTC):%Y-%m-%d}", []).append((order + number, event))
    for day, found in days.items():
        columns = {
            "unit": [event.unit for _, event in found],
            "time": [event.time for _, event in found],
            "name": [event.name for _, event in found],
            "value": [event.value for _, event in found],
            "id": [event.id or None for _, event in found],
            "source": [source or None] * len(found),
            "arrived": [order // 1000] * len(found),
            "order": [number for number, _ in found],
        }
        arrays = [pa.array(columns[field.name], field.type) for field in SCHEMA]
        metadata = {MODEL: b"", DATE: day.encode(), FORMAT: b"2"}
        yield pa.record_batch(arrays, schema=SCHEMA.with_metadata(metadata))
