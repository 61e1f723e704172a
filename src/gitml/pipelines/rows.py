"""What the footers of Parquet files say: rows, and how much of each column is missing."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def count_rows(path: Path) -> int | None:
    """Rows of a Parquet file, or of all in a folder; None for anything else, or without pyarrow installed."""
    footers = _footers(path)
    return sum(int(f.num_rows) for f in footers) if footers else None


def missing_shares(path: Path) -> dict[str, float] | None:
    """Column → share of its values (0 to 1) that are missing, over all files; columns without statistics are left out.

    None for anything else than Parquet, or without pyarrow installed.
    """
    footers = _footers(path)
    if not footers:
        return None
    totals: dict[str, tuple[int, int]] = {}
    unknown = set()
    for column, values, nulls in (found for footer in footers for found in _columns(footer)):
        if nulls is None:
            unknown.add(column)
        before = totals.get(column, (0, 0))
        totals[column] = (before[0] + values, before[1] + (nulls or 0))
    return {c: round(nulls / values, 6) for c, (values, nulls) in totals.items() if values and c not in unknown}


def _columns(footer: Any) -> Iterator[tuple[str, int, int | None]]:
    """Each column of each row group: its name, its values, how many of them are null if the file says so."""
    for group in range(footer.num_row_groups):
        for index in range(footer.num_columns):
            column = footer.row_group(group).column(index)
            statistics = column.statistics
            nulls = statistics.null_count if statistics is not None and statistics.has_null_count else None
            yield column.path_in_schema, column.num_values, nulls


def _footers(path: Path) -> list[Any]:
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not files or any(f.suffix != ".parquet" for f in files) or importlib.util.find_spec("pyarrow") is None:
        return []
    import pyarrow
    import pyarrow.parquet

    try:
        return [pyarrow.parquet.read_metadata(f) for f in files]
    except (OSError, pyarrow.ArrowException):
        return []
