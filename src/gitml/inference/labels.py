"""``gitml labels add`` and ``gitml events add``: tables into the folder of the traffic."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from gitml.engines.base import naming
from gitml.engines.places import place_of
from gitml.engines.tables import format_of, open_table
from gitml.errors import UsageError
from gitml.inference.known import refuse_unknown
from gitml.traffic.events import EventStore
from gitml.traffic.intake import MOST, events_from, labels_from
from gitml.traffic.labels import LabelStore

_WORDS = {name: pa.string() for name in ("request_id", "caller", "unit", "name", "id")}
T = TypeVar("T")


def add_labels(
    model: str, table: str, folder: str, spool: Path | None = None, *, models: Sequence[str] | None = None
) -> int:
    """Their number. All rows are looked at before the first is kept. Raises UsageError for a wrong one, and for a model
    that is not there. ``models``: see ``refuse_unknown``."""
    refuse_unknown(folder, model, models)
    _check(table, labels_from)
    with closing(LabelStore(folder, spool=spool)) as store:
        return _add(table, labels_from, lambda some: store.add(model, some, "file"))


def add_events(table: str, folder: str, spool: Path | None = None) -> int:
    """Their number, as for labels."""
    _check(table, events_from)
    with closing(EventStore(folder, spool=spool)) as store:
        return _add(table, events_from, lambda some: store.add(some, "file"))


def _check(table: str, read: Callable[[Iterator[pa.RecordBatch]], Iterator[list[T]]]) -> None:
    _add(table, read, lambda some: 0)


def _add(
    table: str, read: Callable[[Iterator[pa.RecordBatch]], Iterator[list[T]]], keep: Callable[[list[T]], int]
) -> int:
    place = place_of(table)
    kind = format_of(place.name)
    if kind is None:
        raise UsageError(f"{table} has no ending of a table", "rename it: .parquet, .csv, .csv.gz, .arrow, .arrows")
    with naming(place.name), open_table(place, kind, MOST, _WORDS) as batches:
        return sum(keep(some) for some in read(batches))
