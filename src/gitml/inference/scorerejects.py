"""Rows that do not fit a signature, told from those that do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from gitml.models.signature import InputError

ROW, REASON = "gitml_row", "gitml_reason"


def misfits(batch: pa.RecordBatch, encode: Callable[[pa.RecordBatch], Any]) -> dict[int, str]:
    """The rows of ``batch`` that ``encode`` raises InputError for, and what is wrong in each.

    Halved until single rows are left, so that the check is the one that all rows are read by. Raises InputError for
    what is wrong with the batch as a whole.
    """
    found: dict[int, str] = {}
    open_parts = [(0, batch.num_rows)]
    while open_parts:
        start, end = open_parts.pop()
        try:
            encode(batch.slice(start, end - start))
        except InputError as exc:
            if any(p.row < 0 for p in exc.problems):
                raise
            middle = (start + end) // 2
            if end - start == 1:
                found[start] = "; ".join(f"{p.field}: expected {p.expected}, got {p.got}" for p in exc.problems)
            else:
                open_parts += [(start, middle), (middle, end)]
    return found


def parted(batch: pa.RecordBatch, bad: dict[int, str], first: int) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """The rows that fit, and the others with their number in the file, from 0, and the reason."""
    numbers = sorted(bad)
    good = batch.take(pa.array([n for n in range(batch.num_rows) if n not in bad], pa.int64()))
    rest = batch.take(pa.array(numbers, pa.int64()))
    rest = rest.append_column(ROW, pa.array([first + n for n in numbers], pa.int64()))
    return good, rest.append_column(REASON, pa.array([bad[n] for n in numbers], pa.string()))
