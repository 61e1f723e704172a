"""Profiles of tables in Parquet: strange values, hostile names, many columns, many rows."""

from __future__ import annotations

import datetime
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gitml.pipelines import profiles
from gitml.pipelines.profiles import profile
from gitml.stats.profile import MOST_COLUMNS, Categories, Numbers, Profile, Untold

ROWS = 40


def of(tmp_path: Path, columns: dict[str, Any], private: tuple[str, ...] = (), group: int = 15) -> Profile:
    pq.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=group)
    found = profile(tmp_path / "a.parquet", private)
    assert found is not None
    return found


def test_each_kind_of_column_is_told_or_why_it_is_not(tmp_path: Path) -> None:
    odd = [math.nan, math.inf, -math.inf, None] * 5 + [1.5] * 20
    columns = {
        "odd": odd,
        "whole": list(range(ROWS)),
        "holes": pa.array([None if n % 2 else n for n in range(ROWS)], pa.int16()),
        "price": pa.array([Decimal("1.25")] * ROWS, pa.decimal128(5, 2)),
        "truth": [True, False] * 20,
        "word": ["a", None] * 20,
        "coded": pa.array(["x"] * ROWS).dictionary_encode(),
        "codes": pa.array([7] * ROWS).dictionary_encode(),
        "large": pa.array(["y"] * ROWS, pa.large_string()),
        "minus": [-0.0] * ROWS,
        "never": pa.array([None] * ROWS, pa.float64()),
        "nothing": pa.array([None] * ROWS),
        "time": [datetime.datetime(2026, 1, 1)] * ROWS,
        "list": [[1]] * ROWS,
        "bytes": [b"x"] * ROWS,
        "text": [f"row {n}" for n in range(ROWS)],
    }
    found = of(tmp_path, columns)
    told = found.columns
    assert found.rows == ROWS
    assert list(told) == list(columns)
    why = {name: column.why for name, column in told.items() if isinstance(column, Untold)}
    assert why == {
        "never": "empty",
        "nothing": "empty",
        "time": "time",
        "list": "nested",
        "bytes": "binary",
        "text": "text",
    }
    assert isinstance(told["odd"], Numbers)
    assert (told["odd"].missing, told["odd"].mean, told["odd"].whole) == (0.5, 1.5, False)
    assert isinstance(told["holes"], Numbers)
    assert (told["holes"].missing, told["holes"].whole) == (0.5, True)
    assert isinstance(told["truth"], Categories)
    assert dict(told["truth"].shares) == {"false": 0.5, "true": 0.5}
    assert isinstance(told["word"], Categories)
    assert (told["word"].missing, dict(told["word"].shares)) == (0.5, {"a": 1.0})
    assert isinstance(told["minus"], Numbers)
    assert told["minus"].edges[0] == 0.0
    assert "row 3" not in found.model_dump_json()


def test_a_folder_is_one_table_of_the_columns_that_all_files_have(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1] * 30, "b": ["x"] * 30, "only": [1] * 30, "m": [1] * 30}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"b": ["y"] * 10, "a": [2.5] * 10, "m": ["1"] * 10}), tmp_path / "2.parquet")
    found = profile(tmp_path)
    assert found is not None
    assert list(found.columns) == ["a", "b", "m"]
    assert found.columns["m"] == Untold(why="mixed")
    a, b = found.columns["a"], found.columns["b"]
    assert isinstance(a, Numbers)
    assert a.mean == 1.375
    assert isinstance(b, Categories)
    assert (dict(b.shares), b.rest) == ({"x": 0.75}, 0.25)


def test_nothing_is_told_of_columns_that_are_private(tmp_path: Path) -> None:
    found = of(tmp_path, {"salary": list(range(ROWS)), "team": ["a"] * ROWS}, private=("salary", "team", "gone"))
    assert found.columns == {"salary": Untold(why="private"), "team": Untold(why="private")}


def test_there_is_no_profile_of_what_is_small_no_table_or_of_many_tables(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("late\n1\n")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    pq.write_table(pa.table({"a": [1] * 19}), tmp_path / "small.parquet")
    (tmp_path / "both").mkdir()
    pq.write_table(pa.table({"a": [1] * 50}), tmp_path / "both/1.parquet")
    pq.write_table(pa.table({"b": [1] * 50}), tmp_path / "both/2.parquet")
    for name in ("a.csv", "broken.parquet", "gone.parquet", "small.parquet", "both"):
        assert profile(tmp_path / name) is None


def test_a_file_whose_pages_are_damaged_has_none(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": list(range(5000))}), tmp_path / "a.parquet")
    raw = bytearray((tmp_path / "a.parquet").read_bytes())
    raw[4:400] = b"\xff" * 396
    (tmp_path / "a.parquet").write_bytes(raw)
    assert profile(tmp_path / "a.parquet") is None


def test_text_that_is_no_utf8_is_told_as_text(tmp_path: Path) -> None:
    bad = pa.Array.from_buffers(pa.string(), 1, [*pa.array(["A"]).buffers()[:2], pa.py_buffer(b"\xff")])
    found = of(tmp_path, {"word": pa.concat_arrays([bad] * ROWS), "n": [1] * ROWS})
    assert found.columns["word"] == Untold(why="text")


def test_hostile_names_and_values_stay_small_and_many_columns_stay_bounded(tmp_path: Path) -> None:
    long = "x" * 201
    columns: dict[str, Any] = {"": [1] * ROWS, long: [1] * ROWS, "<b>@olga|`\x00": ["<img src=x>"] * ROWS}
    columns |= {f"c{n}": [f"v{m % 2}" for m in range(ROWS)] for n in range(400)}
    found = of(tmp_path, columns)
    assert len(found.columns) == MOST_COLUMNS
    assert found.left_out == 403 - MOST_COLUMNS
    assert "" not in found.columns
    assert long not in found.columns
    assert found.columns["<b>@olga|`\x00"].missing == 0
    assert len(found.model_dump_json()) < 20_000
    assert Profile.model_validate_json(found.model_dump_json()) == found


def test_a_name_with_a_point_is_not_taken_for_a_part_of_a_nested_column(tmp_path: Path) -> None:
    columns = {"a.b": [1.5] * ROWS, "a": [{"b": 2.5}] * ROWS, "c.list.element": ["x"] * ROWS, "c": [["y"]] * ROWS}
    told = of(tmp_path, columns).columns
    assert isinstance(told["a.b"], Numbers)
    assert told["a.b"].mean == 1.5
    assert isinstance(told["c.list.element"], Categories)
    assert told["a"] == told["c"] == Untold(why="nested")


def test_two_columns_of_one_name_are_told_by_nobody(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1] * ROWS), pa.array(["a"] * ROWS), pa.array([2] * ROWS)], ["a", "a", "b"])
    pq.write_table(table, tmp_path / "a.parquet")
    found = profile(tmp_path / "a.parquet")
    assert found is not None
    assert list(found.columns) == ["b"]


def test_of_many_rows_a_sample_is_looked_at_that_is_the_same_in_every_run_and_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = 60_000
    columns = {"x": [float(n % 997) for n in range(rows)], "half": [n % 2 for n in range(rows)]}
    whole = of(tmp_path, columns, group=25_000)
    monkeypatch.setattr(profiles, "MOST_ROWS", 6000)
    once, again = of(tmp_path, columns, group=25_000), of(tmp_path, columns, group=25_000)
    assert once.model_dump_json() == again.model_dump_json()
    assert (whole.rows, once.rows) == (rows, 6000)
    for name in columns:
        exact, sampled = whole.columns[name], once.columns[name]
        assert isinstance(exact, Numbers)
        assert isinstance(sampled, Numbers)
        assert sampled.mean == pytest.approx(exact.mean, rel=0.02)
    half = once.columns["half"]
    assert isinstance(half, Numbers)
    assert half.shares == pytest.approx((0.0, 0.5, 0.5, 0.0), abs=0.01)
