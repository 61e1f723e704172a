"""gitml: the sketch of the live rows, streamed, against a reference as it is stored."""

from __future__ import annotations

import pyarrow.parquet as parquet
from measured import measured

from gitml.monitoring.drift.looks import comparable
from gitml.monitoring.drift.scan import scan_windows
from gitml.monitoring.promise import Promise
from gitml.sketches.gather import RowCounter
from gitml.sketches.reference import read_reference, reference_bytes, reference_of, rows_of


def prepare(path: str) -> object:
    return reference_bytes(reference_of(rows_of(path), parquet.read_schema(path).names))


def compare(kept: object, path: str) -> list[str]:
    reference = read_reference(bytes(kept))  # type: ignore[call-overload]
    sketch = RowCounter(reference.layout).of(rows_of(path)())
    effects = scan_windows(*comparable(reference, {1: sketch}), Promise(52, len(reference.layout.columns)))
    return [*{effect.column for effect in effects if effect.drifted}]


measured("gitml", prepare, compare)
