"""How many rows a table has."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def count_rows(path: Path) -> int | None:
    """Rows of a Parquet file, or of all in a folder; None for anything else, or without pyarrow installed."""
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not files or any(f.suffix != ".parquet" for f in files) or importlib.util.find_spec("pyarrow") is None:
        return None
    import pyarrow
    import pyarrow.parquet

    try:
        return sum(int(pyarrow.parquet.read_metadata(f).num_rows) for f in files)
    except (OSError, pyarrow.ArrowException):
        return None
