"""Which rows can share a Parquet file: those of one model and day whose columns agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa

from gitml.traffic.exchange import DATE, MODEL, upgraded


class Partition(NamedTuple):
    """Where rows belong: their model, '' for none, their day, and which of the day's sets of columns they have."""

    model: str
    date: str
    number: int

    @property
    def folder(self) -> str:
        return f"model={self.model}/date={self.date}" if self.model else f"date={self.date}"


def numbered(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[Partition, pa.RecordBatch, pa.Schema]]:
    """Each batch with its partition and the partition's columns so far.

    Rows of one day whose columns agree, or differ only in being there or all missing, share a partition.
    """
    known: dict[tuple[str, str], list[pa.Schema]] = {}
    for batch in map(upgraded, batches):
        metadata = batch.schema.metadata or {}
        key = metadata[MODEL].decode(), metadata[DATE].decode()
        schemas = known.setdefault(key, [])
        bare = batch.schema.remove_metadata()
        number = next((n for n, s in enumerate(schemas) if fits(s, bare)), len(schemas))
        schemas[number : number + 1] = [pa.unify_schemas([schemas[number], bare]) if number < len(schemas) else bare]
        yield Partition(*key, number), batch, schemas[number]


def fits(known: pa.Schema, new: pa.Schema) -> bool:
    """Whether one file can hold both: no column has two types."""
    try:
        pa.unify_schemas([known, new])
    except pa.ArrowException:
        return False
    return True


def as_schema(batch: pa.RecordBatch, schema: pa.Schema) -> pa.Table:
    """The batch with these columns, in their order; what it lacks is missing."""
    columns = [
        batch.column(f.name).cast(f.type) if f.name in batch.schema.names else pa.nulls(batch.num_rows, f.type)
        for f in schema
    ]
    return pa.table(columns, schema=schema)
