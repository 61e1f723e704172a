"""A table of few rows that somebody else wrote: of a megabyte of Parquet may come gigabytes, so it is read in parts."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as parquet

from gitml.errors import UsageError

_LARGEST = 256 << 20
_AT_ONCE = 64


def read_few(source: Path | BinaryIO, most: int) -> pa.Table:
    """Raises UsageError for more than ``most`` rows or 256 MiB in memory, ArrowException or OSError for no Parquet."""
    with parquet.ParquetFile(source) as file:
        about = file.metadata
        size = sum(about.row_group(number).total_byte_size for number in range(about.num_row_groups))
        if about.num_rows > most or size > _LARGEST:
            raise UsageError(f"it has {about.num_rows:,} rows of {size:,} bytes, more than {most:,} or {_LARGEST:,}")
        batches: list[pa.RecordBatch] = []
        taken = 0
        for batch in file.iter_batches(_AT_ONCE):
            taken += batch.nbytes
            if taken > _LARGEST:
                raise UsageError(f"its rows take more than {_LARGEST:,} bytes")
            batches.append(batch)
        return pa.Table.from_batches(batches, file.schema_arrow).combine_chunks()
