"""A sample of rows for methods that need rows: of the training window as a file, and of live traffic."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from gitml.errors import UsageError
from gitml.monitoring.detectors.detector import MOST_ROWS, DetectorRows
from gitml.monitoring.fewrows import read_few
from gitml.monitoring.reference import MOMENT, Part, read_part
from gitml.sketches.moments import hours_of, moments_of
from gitml.sketches.units import hashes_of
from gitml.sketches.words import encoded

Whole = NDArray[np.int64]
Cluster = Literal["hour", "day", "unit", ""]

HOUR, UNIT = "gitml hour", "gitml unit"
_MIX = (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53))


def sampled(batches: Iterable[tuple[pa.RecordBatch, Whole]], most: int = MOST_ROWS) -> pa.Table | None:
    """At most ``most`` rows, each as likely as any other. Numbers of rows decide, so that equal rows give an equal
    sample; None if there is no batch."""
    tables: list[pa.Table] = []
    orders: list[NDArray[np.uint64]] = []
    for batch, numbers in batches:
        tables.append(pa.Table.from_batches([batch]))
        orders.append(_spread(numbers))
        if sum(map(len, orders)) > 4 * most:
            tables, orders = _least(tables, orders, most)
    return _least(tables, orders, most)[0][0] if tables else None


def _least(
    tables: list[pa.Table], orders: list[NDArray[np.uint64]], most: int
) -> tuple[list[pa.Table], list[NDArray[np.uint64]]]:
    order = np.concatenate(orders)
    places = np.argsort(order, kind="stable")[:most]
    table = pa.concat_tables(tables, promote_options="permissive").take(pa.array(places)).combine_chunks()
    return [table], [order[places]]


def _spread(numbers: Whole) -> NDArray[np.uint64]:
    """The finaliser of MurmurHash3: neighbours end up far apart."""
    mixed = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    for factor in _MIX:
        mixed = (mixed ^ (mixed >> np.uint64(33))) * factor
    return mixed ^ (mixed >> np.uint64(33))


def sample_of(part: Part, most: int = MOST_ROWS) -> pa.Table:
    """Of a reference's rows, with the hour of each and a hash of its unit where they are known.

    Raises UsageError for a column that the rows do not have.
    """

    def numbered() -> Iterator[tuple[pa.RecordBatch, Whole]]:
        first = 0
        for batch in read_part(part)():
            yield chosen(batch, {c: c for c in part.columns}, part.time and MOMENT, part.unit), _counted(first, batch)
            first += batch.num_rows

    found = sampled(numbered(), most)
    if found is None or not found.num_rows:
        raise UsageError("the reference has no rows", "see what the training window holds")
    return found


def _counted(first: int, batch: pa.RecordBatch) -> Whole:
    return np.arange(first, first + batch.num_rows)


def chosen(batch: pa.RecordBatch, names: dict[str, str], time: str, unit: str) -> pa.RecordBatch:
    """Columns by their own names; ``names``: that in the batch → own. One that is not there is missing."""
    found: dict[str, Any] = {
        own: batch[there] if there in batch.schema.names else pa.nulls(batch.num_rows) for there, own in names.items()
    }
    if time:
        found[HOUR] = pa.array(hours_of(moments_of(batch[time])))
    if unit:
        there = unit in batch.schema.names
        found[UNIT] = pa.array(_hashed(batch[unit]) if there else np.full(batch.num_rows, -1))
    return pa.record_batch(found)


def _hashed(column: Any) -> Whole:
    words, index = encoded(column)
    return np.append(hashes_of(words).view(np.int64), -1)[index]


def sample_bytes(table: pa.Table) -> bytes:
    raw = io.BytesIO()
    parquet.write_table(table, raw, compression="zstd")
    return raw.getvalue()


def read_sample(raw: bytes) -> pa.Table:
    """Raises UsageError for bytes that are no table, or a larger one than a sample is."""
    try:
        return read_few(io.BytesIO(raw), MOST_ROWS)
    except pa.ArrowException as exc:
        raise UsageError(f"the sample of the reference is no Parquet file: {exc}", "write it anew") from exc


def rows_for(table: pa.Table, columns: Sequence[str], cluster: Cluster) -> DetectorRows:
    """As detectors take them. Raises UsageError for a sample that lacks a column."""
    lacking = [name for name in columns if name not in table.column_names]
    if lacking:
        raise UsageError(f"the sample of the reference has no column {lacking[0]}", "write it anew: gitml reference")
    key = UNIT if cluster == "unit" else HOUR
    clusters = table[key].to_numpy() if cluster and key in table.column_names else None
    if clusters is not None and cluster == "day":
        clusters = clusters // 24
    return DetectorRows(table.select([*columns]), clusters)
