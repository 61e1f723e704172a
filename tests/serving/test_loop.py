"""From a request over HTTP, and what really happened later over HTTP, to rows that a monitor reads."""

from __future__ import annotations

from pathlib import Path

import httpx

from gitml.models.model import Predictor
from gitml.serving.app import create_app
from gitml.serving.server import Listen, serving
from gitml.serving.state import ServerState
from gitml.traffic.labels import LabelStore
from gitml.traffic.predictionlog import PredictionLog
from gitml.traffic.reader import requests
from gitml.traffic.writing import Taken
from serving_server import ROW, VERSIONS, deployment


def test_answers_and_labels_meet(tmp_path: Path, boosting: Predictor) -> None:
    state, log, labels = ServerState("production"), PredictionLog(tmp_path), LabelStore(tmp_path)
    models = {VERSIONS[0]: boosting}
    state.swap(state.prepare("delay", deployment(models), models))
    app = create_app(state, log, taken=Taken(labels))
    with (
        serving(app, state, Listen(port=0, grace=2)) as running,
        httpx.Client(base_url=running.url, trust_env=False) as client,
    ):
        paths = client.get("/openapi.json").json()["paths"]
        described = paths["/models/delay/labels"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert described["properties"]["labels"]["items"]["required"] == ["request_id", "label"]
        answered = client.post("/models/delay/predict", json={"rows": [ROW, ROW], "unit": "N1"}).json()
        body = {"labels": [{"request_id": answered["id"], "row": 1, "label": 1}]}
        told = client.post("/models/delay/labels", json=body)
        assert (told.status_code, told.json()) == (200, {"kept": 1})
        assert client.post("/models/delay/labels", json={"labels": [{"label": 1}]}).status_code == 422
        assert client.post("/models/other/labels", json=body).status_code == 404
    log.close()
    labels.close()
    rows = [row for batch in requests(tmp_path, "delay") for row in batch.to_pylist()]
    assert [(r["row"], r["unit"], r["version"], r["label"]) for r in rows] == [
        (0, "N1", VERSIONS[0], None),
        (1, "N1", VERSIONS[0], 1.0),
    ]
    assert [r["output_p_late"] for r in rows] == answered["outputs"]["p_late"]
    assert {f"feature_{name}" for name in ROW} <= set(rows[0])
