"""``gitml labels add``: labels out of a table into the prediction log's folder."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from gitml.engines.base import naming
from gitml.engines.places import place_of
from gitml.engines.tables import format_of, open_table
from gitml.errors import UsageError
from gitml.traffic.labels import MOST, LabelStore, from_table


def add_labels(model: str, table: str, folder: str, spool: Path | None = None) -> int:
    """Their number. All rows are looked at before the first is kept. Raises UsageError for a wrong one."""
    place = place_of(table)
    kind = format_of(place.name)
    if kind is None:
        raise UsageError(f"{table} has no ending of a table", "rename it: .parquet, .csv, .csv.gz, .arrow, .arrows")
    types = {"request_id": pa.string()}
    with naming(place.name), open_table(place, kind, MOST, types) as batches:
        for _ in from_table(batches):
            pass
    store = LabelStore(folder, spool=spool)
    try:
        with open_table(place, kind, MOST, types) as batches:
            return sum(store.add(model, some) for some in from_table(batches))
    finally:
        store.close()
