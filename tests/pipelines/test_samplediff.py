from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.pipelines.samplediff import apart, compare
from gitml.pipelines.samples import compare_samples

numbers = st.floats(allow_infinity=False, allow_nan=False, width=32)


@pytest.mark.parametrize(
    ("old", "new", "gap"),
    [
        (1, 1.0, 0.0),
        (0.5, 0.75, 0.25),
        (math.nan, math.nan, 0.0),
        (math.inf, math.inf, 0.0),
        ([0.1, 0.9], [0.1, 0.8], pytest.approx(0.1)),
        ("AA", "AA", 0.0),
        ("AA", "DL", math.inf),
        (None, None, 0.0),
        (None, 0.0, math.inf),
        ([1.0], [1.0, 2.0], math.inf),
        ([], [], 0.0),
    ],
)
def test_apart(old: Any, new: Any, gap: float) -> None:
    assert apart(old, new) == gap
    assert apart(new, old) == gap


@pytest.mark.parametrize("value", [0.0, math.inf])
def test_nan_agrees_with_no_number(value: float) -> None:
    found = compare({"p": [math.nan]}, {"p": [value]}, 1e9, ["p"])
    assert found["difference"] == {"what": "cell", "column": "p", "row": 0, "old": "nan", "new": repr(value)}
    assert found["largest"] is None


@given(st.lists(st.tuples(numbers, numbers), min_size=1), st.floats(0, 1e3))
def test_agrees_exactly_when_every_pair_does(pairs: list[tuple[float, float]], tolerance: float) -> None:
    old, new = ([float(p[side]) for p in pairs] for side in (0, 1))
    found = compare({"p": old}, {"p": new}, tolerance, ["p"])
    assert (found["difference"] is None) == all(abs(a - b) <= tolerance for a, b in pairs)
    assert found["largest"] == max(abs(a - b) for a, b in pairs)


def test_rows_of_other_inputs_come_first() -> None:
    found = compare({"a": [0.1], "x": [1]}, {"a": [0.2], "x": [2]}, 0.0, ["a"])
    assert found["difference"]["column"] == "x"
    assert found["largest"] == pytest.approx(0.1)


def test_what_cannot_be_compared() -> None:
    assert compare({"a": []}, {"a": []}, 0.0, [])["error"] == "the samples hold no row"
    assert compare({"a": [1]}, {"b": [1]}, 0.0, [])["difference"] == {"what": "columns", "column": "a"}
    assert compare({"a": [1]}, {"a": [1]}, 0.0, ["p"])["difference"] == {"what": "columns", "column": "p"}
    assert compare({"a": [1]}, {"a": [1, 2]}, 0.0, [])["difference"]["what"] == "rows"


def test_with_another_python(tmp_path: Path) -> None:
    old, new, bad = (tmp_path / f"{name}.parquet" for name in ("old", "new", "bad"))
    pyarrow.parquet.write_table(pyarrow.table({"id": ["a", "b"], "p": [0.1, 0.2]}), old)
    pyarrow.parquet.write_table(pyarrow.table({"id": ["a", "b"], "p": [0.1, 0.25]}), new)
    bad.write_bytes(b"no table")
    # A file that would be imported if the script's folder or the current one were searched.
    (tmp_path / "json.py").write_text("raise SystemExit('hijacked')")
    python = Path(sys.executable)
    assert compare_samples(python, old, new, 0.1, ["p"]).difference is None
    found = compare_samples(python, old, new, 1e-6, ["p"])
    assert found.difference == "p in row 1: recorded 0.2, found 0.25"
    assert (found.largest, found.rows) == (pytest.approx(0.05), 2)
    assert "not readable as Parquet" in str(compare_samples(python, old, bad, 0.1, []).error)
    assert json.loads(json.dumps(found.difference))
    assert compare_samples(tmp_path / "no-python", old, new, 0.1, []).error
