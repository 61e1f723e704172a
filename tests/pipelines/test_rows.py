"""What is told of tables: rows, missing values, how columns of 0 and 1 are balanced."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gitml.pipelines.rows import count_rows, missing_shares, shares_of_ones

COLUMNS = {
    "late": pa.array([1, 0, 0, None], pa.int64()),
    "weekend": pa.array([True, True, False, True]),
    "never": pa.array([0, 0, 0, 0], pa.int8()),
    "counts": pa.array([0, 1, 2, 0], pa.int64()),
    "share": pa.array([0.0, 1.0, 0.0, 1.0]),
    "text": pa.array(["0", "1", "0", "1"]),
    "nested": pa.array([[0], [1], [1], []]),
    "empty": pa.array([None, None, None, None], pa.int64()),
}


def test_of_columns_that_hold_only_0_and_1(tmp_path: Path) -> None:
    pq.write_table(pa.table(COLUMNS), tmp_path / "a.parquet", row_group_size=2)
    found = shares_of_ones(tmp_path / "a.parquet")
    assert found == {"late": pytest.approx(1 / 3, abs=1e-6), "weekend": 0.75, "never": 0.0}
    assert count_rows(tmp_path / "a.parquet") == 4
    assert (missing_shares(tmp_path / "a.parquet") or {})["late"] == 0.25


def test_over_all_files_of_a_folder(tmp_path: Path) -> None:
    pq.write_table(pa.table({"late": [1, 1], "other": [0, 1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"late": [0, 0], "other": [0, 7]}), tmp_path / "b.parquet")
    assert shares_of_ones(tmp_path) == {"late": 0.5}


def test_nothing_of_what_is_no_parquet(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("late\n1\n")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    for name in ("a.csv", "broken.parquet", "gone.parquet"):
        assert shares_of_ones(tmp_path / name) is None
