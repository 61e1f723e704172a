"""The Open Inference Protocol v2, by hand and by a client that others wrote."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gitml.models.model import Predictor
from gitml.models.signature import parse
from serving_models import columns, fitted
from serving_server import ROW, VERSIONS, Served

Start = Callable[..., Served]
_TYPES = {"carrier": "BYTES", "distance": "INT64", "origin": "BYTES", "age": "FP64"}


@pytest.fixture
def server(start: Start, boosting: Predictor) -> Served:
    return start({VERSIONS[0]: boosting})


def tensors(rows: list[dict[str, Any]], width: int | None = None) -> list[dict[str, Any]]:
    shape = [len(rows)] if width is None else [len(rows), width]
    return [{"name": n, "shape": shape, "datatype": t, "data": [r[n] for r in rows]} for n, t in _TYPES.items()]


def infer(server: Served, body: Any, path: str = "/v2/models/delay/infer") -> Any:
    return server.client.post(path, json=body)


def test_tensors_by_column_get_the_same_answers_as_plain_json(server: Served) -> None:
    rows = [ROW, {**ROW, "age": None, "carrier": "ZZ"}]
    plain = server.predict({"rows": rows}).json()["outputs"]["p_late"]
    for width in (None, 1):
        answer = infer(server, {"id": "7", "inputs": tensors(rows, width)})
        assert answer.json() == {
            "model_name": "delay",
            "model_version": VERSIONS[0],
            "id": "7",
            "parameters": {"warnings": "carrier: 1 word that the model does not know"},
            "outputs": [{"name": "p_late", "shape": [2], "datatype": "FP64", "data": plain}],
        }
    path = f"/v2/models/delay/versions/{VERSIONS[0]}/infer"
    assert infer(server, {"inputs": tensors(rows)}, path).json()["outputs"][0]["data"] == plain


def test_a_nullable_column_that_is_not_sent_is_missing_in_each_row(server: Served) -> None:
    """The gate calls a new input compatible if it is nullable: callers who do not know it must be answered."""
    rows = [ROW, {**ROW, "distance": 90}]
    few = [{k: v for k, v in row.items() if k != "age"} for row in rows]
    wanted = server.predict({"rows": [{**row, "age": None} for row in rows]}).json()["outputs"]
    answer = infer(server, {"inputs": [t for t in tensors(rows) if t["name"] != "age"]})
    assert answer.json()["outputs"][0]["data"] == wanted["p_late"]
    assert server.predict({"columns": {k: [r[k] for r in few] for k in few[0]}}).json()["outputs"] == wanted
    for body in (tensors(rows)[:2], [t for t in tensors(rows) if t["name"] == "age"]):
        answer = infer(server, {"inputs": body})
        assert (answer.status_code, "origin" in answer.text) == (422, True)


def test_metadata_and_health_are_as_the_protocol_says(server: Served) -> None:
    client = server.client
    assert client.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert client.get("/v2/health/live").status_code == client.get("/v2/health/ready").status_code == 200
    assert client.get("/v2/models/delay/ready").status_code == 200
    assert client.get(f"/v2/models/delay/versions/{VERSIONS[0]}/ready").status_code == 200
    assert client.get("/v2/models/other/ready").status_code == 404
    found = client.get("/v2/models/delay").json()
    assert found["versions"] == [VERSIONS[0]]
    assert {i["name"]: i["datatype"] for i in found["inputs"]} == _TYPES
    assert found["outputs"] == [{"name": "p_late", "datatype": "FP64", "shape": [-1]}]


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [2]},
        {"shape": [1, 2]},
        {"shape": "x"},
        {"shape": [-1]},
        {"shape": []},
        {"datatype": "FLOAT"},
        {"data": 1},
        {"data": [[1], 2]},
        {"name": "other"},
        {"parameters": {"binary_data_size": 8}},
        {"shape": [1 << 39, 1 << 39]},
    ],
)
def test_broken_tensors_are_told_so(server: Served, change: dict[str, Any]) -> None:
    inputs = tensors([ROW])
    inputs[1] |= change
    answer = infer(server, {"inputs": inputs})
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]


def test_binary_tensors_go_both_ways(server: Served) -> None:
    ages = np.array([1.0, np.nan])
    parts = [b"\2\0\0\0AA\2\0\0\0UA", np.array([5, 6]).tobytes(), b"\3\0\0\0EWR\3\0\0\0JFK", ages.tobytes()]
    inputs = [
        {"name": n, "shape": [2], "datatype": t, "parameters": {"binary_data_size": len(part)}}
        for (n, t), part in zip(_TYPES.items(), parts, strict=True)
    ]
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = server.client.post("/v2/models/delay/infer", content=head + b"".join(parts), headers=headers)
    length = int(answer.headers["inference-header-content-length"])
    assert json.loads(answer.content[:length])["outputs"][0]["parameters"] == {"binary_data_size": 16}
    rows = [
        {"carrier": "AA", "distance": 5, "origin": "EWR", "age": 1.0},
        {"carrier": "UA", "distance": 6, "origin": "JFK", "age": None},
    ]
    assert np.frombuffer(answer.content[length:]).tolist() == server.predict({"rows": rows}).json()["outputs"]["p_late"]
    for wrong in ("0", "x", str(len(head) + 10_000), "-3"):
        bad = server.client.post(
            "/v2/models/delay/infer",
            content=head + b"".join(parts),
            headers={"Inference-Header-Content-Length": wrong},
        )
        assert bad.status_code == 400


_CLIENT = """
import json, sys
import numpy as np
import tritonclient.http as http
url, rows = sys.argv[1], json.loads(sys.argv[2])
client = http.InferenceServerClient(url)
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("delay")
version = client.get_model_metadata("delay")["versions"][0]
kinds = {"BYTES": np.object_, "INT64": np.int64, "FP64": np.float64}
found = []
for binary in (True, False):
    inputs = []
    for tensor in client.get_model_metadata("delay")["inputs"]:
        values = np.array([row[tensor["name"]] for row in rows], kinds[tensor["datatype"]]).reshape(-1, 1)
        entry = http.InferInput(tensor["name"], list(values.shape), tensor["datatype"])
        entry.set_data_from_numpy(values, binary_data=binary)
        inputs.append(entry)
    outputs = [http.InferRequestedOutput("p_late", binary_data=binary)]
    result = client.infer("delay", inputs, model_version=version, outputs=outputs)
    found.append(result.as_numpy("p_late").reshape(-1).tolist())
found.append(client.infer("delay", inputs).as_numpy("p_late").reshape(-1).tolist())
print(json.dumps(found))
"""


@pytest.mark.slow
def test_tritons_own_client_works_unchanged(server: Served, tmp_path: Path) -> None:
    uv = shutil.which("uv")
    assert uv, "make test installs uv"
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([uv, "venv", "-q", tmp_path / "venv"], check=True)
    subprocess.run([uv, "pip", "install", "-q", "--python", python, "tritonclient[http]"], check=True)
    table = columns(8).fillna({"age": 1.0})
    rows = table.to_dict("records")
    done = subprocess.run(
        [python, "-c", _CLIENT, f"127.0.0.1:{server.port}", json.dumps(rows)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    wanted = fitted("boosting").predict_proba(table)[:, 1].tolist()
    assert json.loads(done.stdout) == [wanted] * 3


def test_two_tensors_of_one_name_are_refused(server: Served) -> None:
    twice = [*tensors([ROW]), {"name": "distance", "shape": [1], "datatype": "INT64", "data": [1]}]
    answer = infer(server, {"inputs": twice})
    assert (answer.status_code, "two tensors are named distance" in answer.text) == (400, True)


@pytest.mark.parametrize(
    ("name", "datatype", "value"),
    [
        ("distance", "UINT8", 300),
        ("distance", "UINT8", -1),
        ("distance", "INT8", 1400),
        ("distance", "INT64", 1.5),
        ("distance", "UINT64", 2**64),
        ("age", "FP16", 1e6),
        ("age", "FP32", -1e39),
    ],
)
def test_a_value_that_its_datatype_does_not_hold_is_refused(
    server: Served, name: str, datatype: str, value: float
) -> None:
    changed = [{**t, "datatype": datatype, "data": [value]} if t["name"] == name else t for t in tensors([ROW])]
    answer = infer(server, {"inputs": changed})
    assert (answer.status_code, f"is not a value of {datatype}" in answer.text) == (400, True)


@pytest.mark.parametrize(("datatype", "value"), [("UINT8", 255), ("INT16", 1400), ("FP32", 12.0)])
def test_a_value_that_fits_is_answered_whatever_its_datatype(server: Served, datatype: str, value: float) -> None:
    changed = [{**t, "datatype": datatype, "data": [value]} if t["name"] == "distance" else t for t in tensors([ROW])]
    wanted = server.predict({"rows": [{**ROW, "distance": int(value)}]}).json()["outputs"]["p_late"]
    assert infer(server, {"inputs": changed}).json()["outputs"][0]["data"] == wanted


def test_an_answer_that_its_datatype_does_not_hold_is_an_error_of_the_model(start: Start) -> None:
    signature = parse({"inputs": [{"name": "x", "type": "int64"}], "outputs": [{"name": "n", "type": "uint8"}]})
    model = Predictor(signature, "onnx", "0" * 64, "arrays", lambda rows: rows)
    server = start({VERSIONS[0]: model})
    for binary in (False, True):
        said = []
        for value in (200, 300):
            tensor = {"name": "x", "shape": [1], "datatype": "INT64", "data": [value]}
            said.append(infer(server, {"inputs": [tensor], "parameters": {"binary_data_output": binary}}).status_code)
        assert said == [200, 500]


def test_unknown_words_are_warned_of_and_refused_in_strict_mode(server: Served) -> None:
    rows = [ROW, {**ROW, "carrier": "ZZ"}, {**ROW, "carrier": "YY", "origin": "?"}]
    said = ["carrier: 2 words that the model does not know", "origin: 1 word that the model does not know"]
    assert server.predict({"rows": rows}).json()["warnings"] == said
    assert "warnings" not in server.predict({"rows": [ROW]}).json()
    assert infer(server, {"inputs": tensors(rows)}).json()["parameters"] == {"warnings": "; ".join(said)}
    assert "parameters" not in infer(server, {"inputs": tensors([ROW])}).json()
    strict = {"gitml-strict": "true"}
    for path, body in (
        ("/models/delay/predict", {"rows": rows}),
        ("/v2/models/delay/infer", {"inputs": tensors(rows)}),
    ):
        refused = server.client.post(path, json=body, headers=strict)
        assert refused.status_code == 422
        assert [(p["input"], p["row"]) for p in refused.json()["problems"]] == [
            ("carrier", 1),
            ("carrier", 2),
            ("origin", 2),
        ]
        assert server.client.post(path, json=body, headers={"gitml-strict": "perhaps"}).status_code == 400
    assert server.client.post("/models/delay/predict", json={"rows": [ROW]}, headers=strict).status_code == 200
