"""What comes beside a bought model: what cannot be used is refused by name, before anything else happens."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from gitml.errors import UsageError
from gitml.spec.application import Model
from gitml.spec.load import parse_application
from gitml.training.delivery import MOST_ROWS, DeliveredFiles, Delivery

SIGNATURE = {
    "inputs": [{"name": "x", "type": "float64"}, {"name": "port", "type": "string", "nullable": True}],
    "outputs": [{"name": "p", "type": "float64"}],
}
PLACES = {"signature": "a/signature.json", "samples": "a/samples.parquet"}


def model(**places: str) -> Model:
    fields = {"origin": "external", "artifact": "a/m.onnx", "metrics": "a/metrics.json", **places}
    spec = {"application": "bought", "models": {"m": {**fields, "better": {"auc": "higher"}}}}
    return parse_application(json.dumps(spec).encode()).models["m"]


def read(
    folder: Path, places: dict[str, str], *, raw: bytes = b"", signed: bool = True, **columns: object
) -> DeliveredFiles:
    samples, signature = folder / "rows.parquet", folder / "signature.json"
    signature.write_text(json.dumps(SIGNATURE))
    if columns:
        pyarrow.parquet.write_table(pa.table(columns), samples)
    elif raw:
        samples.write_bytes(raw)
    delivery = Delivery(folder / "m.onnx", "Acme", signature=signature if signed else None, samples=samples)
    return DeliveredFiles.read(model(**places), delivery)


def test_samples_with_all_inputs_and_answers_are_taken_as_they_are(tmp_path: Path) -> None:
    told = read(tmp_path, PLACES, x=[1.0, 2.0], port=["JFK", None], p=[0.1, 0.2], note=["more", "columns"])
    assert told.samples == {"a/samples.parquet": (tmp_path / "rows.parquet").read_bytes()}
    assert set(told.texts) == {"a/signature.json"}


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"x": [1.0], "port": ["JFK"]}, "has no column 'p'"),
        ({"x": [1.0], "p": [1.0]}, "has no column 'port'"),
        ({"x": pa.array([], "float64"), "port": pa.array([], "string"), "p": pa.array([], "float64")}, "holds no row"),
        ({"x": [1.0, 2.0], "port": ["JFK"] * 2, "p": [2.0, None]}, "no answer for p in row 1"),
        ({"x": [1.0], "port": ["JFK"], "p": [float("nan")]}, "no answer for p in row 0"),
        ({"x": [1.0, None], "port": ["JFK"] * 2, "p": [2.0, 4.0]}, "x in row 1: expected"),
        ({"x": ["one"], "port": ["JFK"], "p": [2.0]}, "x in row 0: expected"),
        ({"x": [1.0] * (MOST_ROWS + 1), "port": ["JFK"] * (MOST_ROWS + 1), "p": [2.0] * (MOST_ROWS + 1)}, "more than"),
    ],
)
def test_samples_that_settle_nothing_are_refused(tmp_path: Path, columns: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(tmp_path, PLACES, **columns)
    assert said in refused.value.message
    assert refused.value.hint


def test_samples_in_another_format_without_signature_or_place(tmp_path: Path) -> None:
    for raw in (b"x,port,p\n1,JFK,2\n", b"PAR1" + b"\0" * 40, b"PAR1"):
        with pytest.raises(UsageError, match="is not Parquet") as refused:
            read(tmp_path, PLACES, raw=raw)
        assert "to_parquet" in refused.value.hint
    with pytest.raises(UsageError, match="cannot be checked"):
        read(tmp_path, PLACES, signed=False, x=[1.0], port=["JFK"], p=[2.0])
    with pytest.raises(UsageError, match="no place for its samples") as refused:
        read(tmp_path, {"signature": "a/signature.json"}, x=[1.0], port=["JFK"], p=[2.0])
    assert "samples: artifacts" in refused.value.hint
    with pytest.raises(UsageError, match="cannot be read"):
        DeliveredFiles.read(
            model(**PLACES), Delivery(tmp_path / "m.onnx", "Acme", samples=tmp_path / "missing.parquet")
        )
