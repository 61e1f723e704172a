"""The JSON files that describe a model: what is served, or why it is not, before anything is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gitml.models.fields import TYPES
from gitml.project.check import check
from gitml.spec import describing
from gitml.spec.describing import problems_in


def signature(kind: Any, **more: Any) -> bytes:
    columns = [{"name": "a", "type": "float64"}, {"name": "b", "type": kind, **more}]
    return json.dumps({"inputs": columns, "outputs": [{"name": "y", "type": "float64"}], "own": 1}).encode()


def test_the_types_are_those_that_are_served() -> None:
    assert set(describing._TYPES) == set(TYPES)
    for kind in TYPES:
        assert problems_in("signature", signature(kind, nullable=True), "s.json") == []
    assert problems_in("signature", signature("string", categories=["x"]), "s.json") == []


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("datetime64[ns]", "month, weekday, hour as numbers"),
        ("timestamp", "month, weekday, hour"),
        ("category", "write `string`, with the words under `categories`"),
        ("object", "write `string`"),
        ("float", "write `float64`"),
        ("complex128", "the types are int8"),
    ],
)
def test_a_type_that_is_not_served_says_what_to_do(kind: str, hint: str) -> None:
    (found,) = problems_in("signature", signature(kind), "s.json")
    assert found.key == "inputs[1].type"
    assert found.message == f"'{kind}' is not a type that is served"
    assert hint in found.hint


@pytest.mark.parametrize(
    ("role", "data", "key"),
    [
        ("signature", {"inputs": [], "outputs": [{"name": "y", "type": "bool"}]}, "inputs"),
        ("signature", {"inputs": [{"type": "bool"}], "outputs": [{"name": "y", "type": "bool"}]}, "inputs[0]"),
        ("slices", [{"column": "c", "value": "x", "rows": "many"}], "[0].rows"),
        ("slices", {"column": "c"}, ""),
        ("replicates", {"rows_digest": "d", "seed": 1, "replicates": {"auc": ["x"]}}, "replicates.auc[0]"),
        ("replicates", {"rows_digest": "d", "replicates": {}}, ""),
    ],
)
def test_what_is_wrong_is_named(role: str, data: Any, key: str) -> None:
    found = problems_in(role, json.dumps(data).encode(), "f.json")
    assert found
    assert found[0].key.startswith(key)


def test_a_key_stands_once() -> None:
    (found,) = problems_in("signature", b'{"inputs": [], "inputs": [], "outputs": []}', "f.json")
    assert "the key 'inputs' stands twice" in found.message


def test_what_trainings_write_is_right() -> None:
    slices = [
        {"column": "c", "value": None, "rows": 3, "metrics": {}},
        {"column": "c", "value": 2, "rows": 9, "metrics": {"auc": {"value": 0.5, "low": None, "high": None}, "n": 1}},
    ]
    assert problems_in("slices", json.dumps(slices).encode(), "s") == []
    replicates = {"rows_digest": "d", "seed": 1, "replicates": {"auc": [0.5, 1, None]}}
    assert problems_in("replicates", json.dumps(replicates).encode(), "s") == []


def test_check_reads_them_in_the_work_tree(tmp_path: Path) -> None:
    lines = "application: a\nmodels:\n  m:\n    origin: external\n    artifact: m.onnx\n    metrics: m.json\n"
    (tmp_path / "gitml.yaml").write_text(lines + "    signature: s.json\n    slices: t.json\n")
    (tmp_path / "s.json").write_bytes(signature("datetime64[ns]"))
    (tmp_path / "t.json").write_text("{")
    said = [str(problem) for problem in check(tmp_path).problems]
    assert "s.json: inputs[1].type: 'datetime64[ns]' is not a type that is served" in said
    assert any(line.startswith("t.json: is not JSON") for line in said)
