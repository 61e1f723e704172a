"""What Parquet files are like: rows, how much of each column is missing, how many ones a column of 0 and 1 has."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def count_rows(path: Path) -> int | None:
    """Rows of a Parquet file, or of all in a folder; None for anything else, or without pyarrow installed."""
    footers = footers_of(path)
    return sum(int(f.num_rows) for f in footers) if footers else None


def missing_shares(path: Path) -> dict[str, float] | None:
    """Column → share of its values (0 to 1) that are missing, over all files; columns without statistics are left out.

    None for anything else than Parquet, or without pyarrow installed.
    """
    footers = footers_of(path)
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


def shares_of_ones(path: Path) -> dict[str, float] | None:
    """Column → share of its values (0 to 1) that are 1 or true, for columns that hold nothing but 0 and 1, or bools.

    None as for `missing_shares`. Only columns that the footers say are like that are read.
    """
    footers = footers_of(path)
    if not footers:
        return None
    names = set.intersection(*(_binary(footer) for footer in footers))
    if not names:
        return {}
    import pyarrow
    import pyarrow.parquet

    totals = dict.fromkeys(sorted(names), (0, 0))
    try:
        for file in parquet_files(path):
            table = pyarrow.parquet.read_table(file, columns=sorted(names), partitioning=None)
            for name in totals:
                values = table.column(name).drop_null().to_numpy()
                ones, seen = totals[name]
                totals[name] = (ones + int(values.sum()), seen + len(values))
    except (OSError, pyarrow.ArrowException):
        return {}
    return {name: round(ones / seen, 6) for name, (ones, seen) in totals.items() if seen}


def _binary(footer: Any) -> set[str]:
    """Columns of truth values, and whole numbers whose statistics say that they are 0 or 1 in each row group."""
    found = set()
    for index in range(footer.num_columns):
        columns = [footer.row_group(group).column(index) for group in range(footer.num_row_groups)]
        kind = footer.schema.column(index).physical_type
        known = [c.statistics for c in columns if c.statistics is not None and c.statistics.has_min_max]
        narrow = len(known) == len(columns) and all(s.min in (0, 1) and s.max in (0, 1) for s in known)
        if columns and "." not in columns[0].path_in_schema and (kind == "BOOLEAN" or (kind[:3] == "INT" and narrow)):
            found.add(columns[0].path_in_schema)
    return found


def _columns(footer: Any) -> Iterator[tuple[str, int, int | None]]:
    """Each column of each row group: its name, its values, how many of them are null if the file says so."""
    for group in range(footer.num_row_groups):
        for index in range(footer.num_columns):
            column = footer.row_group(group).column(index)
            statistics = column.statistics
            nulls = statistics.null_count if statistics is not None and statistics.has_null_count else None
            yield column.path_in_schema, column.num_values, nulls


def footers_of(path: Path) -> list[Any]:
    """The metadata of each Parquet file; empty for anything else, or without pyarrow installed."""
    files = parquet_files(path)
    if not files or any(f.suffix != ".parquet" for f in files) or importlib.util.find_spec("pyarrow") is None:
        return []
    import pyarrow
    import pyarrow.parquet

    try:
        return [pyarrow.parquet.read_metadata(f) for f in files]
    except (OSError, pyarrow.ArrowException):
        return []


def parquet_files(path: Path) -> list[Path]:
    """The file itself, or all Parquet files below the folder, by name."""
    return sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
