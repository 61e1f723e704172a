"""What scoring data sets takes of a core: seconds for each row by the rows of a call, and of whole files, measured."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as parquet

from gitml.engines.base import Task, run_task
from gitml.inference.score import BATCH_ROWS
from gitml.inference.scorework import ScoreWork, column_types
from gitml.models.model import Predictor
from gitml.models.modelcost import seconds_per_row

SIZES = (1, 32, 256, 1024, 4096, BATCH_ROWS)
# Rows of a file are doubled until it takes so long; the next one has four times the rows.
_LONG, _MOST_ROWS = 0.4, 4_000_000


@dataclass(frozen=True)
class ScoringCost:
    """Of one process. ``per_row``: seconds for a row by the rows of a call, the model alone.

    A Parquet file takes ``fixed`` + ``row`` × its rows, in seconds, reading and writing included: drawn through two
    files. ``forecast`` and ``took``: a third file of ``rows``, by that and by the clock. ``memory``: MB at its end.
    """

    per_row: Mapping[int, float]
    fixed: float
    row: float
    rows: int
    forecast: float
    took: float
    memory: float

    @property
    def batch(self) -> int:
        """The fewest rows of a call that cost within a twentieth of the least for a row."""
        least = min(self.per_row.values())
        return min(size for size, seconds in self.per_row.items() if seconds <= 1.05 * least)


def measured_scoring(model: Predictor, columns: Mapping[str, list[Any]] | None) -> ScoringCost:
    """Time calls of the model, and files made of its sample rows over and over. ``columns``: those by name; None:
    rows are made from the signature."""
    sample = sample_table(model, columns)
    per_row = {size: seconds_per_row(model, size) for size in SIZES}
    with TemporaryDirectory(prefix="gitml-size-") as folder:
        rows = 1024
        took = _scored(model, sample, rows, Path(folder))
        while took < _LONG and rows < _MOST_ROWS:
            rows *= 2
            took = _scored(model, sample, rows, Path(folder))
        more = _scored(model, sample, 3 * rows, Path(folder))
        row = max(0.0, (more - took) / (2 * rows))
        fixed = max(0.0, took - row * rows)
        third = _scored(model, sample, 4 * rows, Path(folder))
    memory = psutil.Process().memory_info().rss / 1e6
    return ScoringCost(per_row, fixed, row, 4 * rows, fixed + 4 * row * rows, third, memory)


def sample_table(model: Predictor, columns: Mapping[str, list[Any]] | None) -> pa.Table:
    """Rows that the model answers, in the types that its signature takes."""
    types = column_types(model.signature)
    if columns is None or any(name not in columns for name in types):
        columns = model.signature.decode(model.some(32))
    return pa.table({name: pa.array(columns[name], type=kind, from_pandas=True) for name, kind in types.items()})


def _scored(model: Predictor, sample: pa.Table, rows: int, folder: Path) -> float:
    """Seconds to score a file of ``rows``."""
    times = -(-rows // sample.num_rows)
    parquet.write_table(pa.concat_tables([sample] * times).slice(0, rows).combine_chunks(), folder / "in.parquet")
    task = Task("in.parquet", str(folder / "in.parquet"), str(folder / "out.parquet"), "parquet", "parquet")
    began = time.perf_counter()
    run_task(task, ScoreWork(model, ()), BATCH_ROWS, lambda _: None)
    return time.perf_counter() - began
