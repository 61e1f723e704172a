"""Small files beside a version that become huge where they are read whole."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from gitml.errors import UsageError
from gitml.monitoring import fewrows
from gitml.monitoring.detectors.detector import MOST_ROWS
from gitml.monitoring.detectors.rowsample import read_sample


def packed(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    parquet.write_table(table, stream, compression="zstd")
    return stream.getvalue()


def test_a_sample_of_few_rows_is_read_as_it_is() -> None:
    table = pa.table({"x": np.arange(1_000) / 7, "word": [str(n % 9) for n in range(1_000)]})
    assert read_sample(packed(table)).equals(table)
    assert read_sample(packed(table.slice(0, 0))).equals(table.slice(0, 0))


def test_a_sample_of_millions_of_equal_rows_is_refused_before_they_are_read() -> None:
    raw = packed(pa.table({"x": np.zeros(5_000_000)}))
    assert len(raw) < 100_000
    with pytest.raises(UsageError, match="5,000,000 rows"):
        read_sample(raw)


def test_one_long_word_in_every_row_is_not_unfolded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words are kept once in the file, and once a row in memory."""
    monkeypatch.setattr(fewrows, "_LARGEST", 4 << 20)
    raw = packed(pa.table({"x": ["a" * 10_000] * MOST_ROWS}))
    assert len(raw) < 100_000
    with pytest.raises(UsageError, match="take more than"):
        read_sample(raw)
