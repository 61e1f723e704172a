"""What a server leaves in the traffic: requests that failed, scopes of tokens, nothing private."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from gitml.errors import UsageError
from gitml.models.model import Predictor
from gitml.serving.app import create_app
from gitml.serving.auth import Access, hashed, read_tokens
from gitml.serving.limits import Limits
from gitml.serving.server import Listen, serving
from gitml.serving.state import ServerState
from gitml.traffic.predictionlog import LogOrigin
from gitml.traffic.reader import requests
from gitml.traffic.writing import writing
from serving_server import ROW, VERSIONS, Served, constant, deployment

Start = Callable[..., Served]


def test_requests_without_an_answer_are_rows_with_outcome_and_reason(start: Start) -> None:
    def unlucky(rows: Any) -> Any:
        if (rows[:, 1] == 13).any():
            raise RuntimeError("unlucky")
        return np.zeros(len(rows))

    server = start({VERSIONS[0]: constant(0, score=unlucky)}, limits=Limits(rows=3, body=2000))
    server.predict({"rows": [ROW]})
    server.predict({"rows": [{**ROW, "distance": 13}] * 2, "unit": "N1", "id": "mine"})
    server.predict({"rows": [{**ROW, "distance": "far"}]})
    server.predict({"rows": [ROW] * 4})
    server.client.post("/models/delay/predict", content=b" " * 3000)
    server.client.post("/models/delay/predict", content=b"{", headers={"gitml-unit": "N2"})
    server.client.post("/models/none/predict", json={"rows": [ROW]})
    found = [(e.outcome, e.reason, e.arm.name, e.asked, e.unit) for e in server.log.events]
    assert found == [
        ("ok", "", "champion", 0, None),
        ("failed", "model", "champion", 2, "N1"),
        ("invalid", "input", "champion", 1, None),
        ("refused", "rows", "", 0, None),
        ("refused", "large", "", 0, None),
        ("invalid", "json", "", 0, "N2"),
    ]
    assert server.log.events[1].request_id == "mine"
    assert all(e.arrived <= e.answered for e in server.log.events)


def test_arm_weight_and_epoch_follow_the_routing_and_self_chosen_versions_are_asked(start: Start) -> None:
    models = {VERSIONS[0]: constant(0, 0), VERSIONS[1]: constant(1, 1)}
    server = start(models, weight=30)
    for number in range(40):
        server.predict({"rows": [ROW], "unit": f"N{number}"})
    arms = {e.arm for e in server.log.events}
    assert {(a.name, a.version, a.weight) for a in arms} == {
        ("champion", VERSIONS[0], 70.0), ("canary", VERSIONS[1], 30.0),
    }  # fmt: skip
    inputs = [{"name": k, "shape": [1], "datatype": "BYTES" if isinstance(v, str) else "FP64", "data": [v]}
              for k, v in ROW.items() if k != "distance"]  # fmt: skip
    inputs.append({"name": "distance", "shape": [1], "datatype": "INT64", "data": [700]})
    asked = server.client.post(f"/v2/models/delay/versions/{VERSIONS[1]}/infer", json={"inputs": inputs})
    assert asked.status_code == 200, asked.text
    last = server.log.events[-1].arm
    assert (last.name, last.version, last.weight) == ("asked", VERSIONS[1], None)
    before = {a.epoch for a in arms}
    server.deploy(models, weight=31)
    server.predict({"rows": [ROW]})
    assert len(before) == 1
    assert server.log.events[-1].arm.epoch not in before


def test_private_columns_are_in_no_file_on_the_disk(tmp_path: Path) -> None:
    models = {VERSIONS[0]: constant(0, 0)}
    state = ServerState("production")
    state.swap(state.prepare("delay", deployment(models), models, private=frozenset({"carrier"})))
    with (
        writing(str(tmp_path), LogOrigin(environment="production")) as writers,
        serving(create_app(state, writers.log, taken=writers.taken), state, Listen(port=0, grace=2)) as running,
        httpx.Client(base_url=running.url, trust_env=False) as client,
    ):
        for carrier in ("SECRETWORD", "AA"):
            row = {**ROW, "carrier": carrier, "origin": "KNOWNWORD"}
            assert client.post("/models/delay/predict", json={"rows": [row]}).status_code == 200
        assert writers.log.flush()
        journals = list((tmp_path / ".spool/predictions").glob("*.journal"))
        assert b"KNOWNWORD" in b"".join(path.read_bytes() for path in journals)
        assert b"SECRETWORD" not in b"".join(path.read_bytes() for path in journals)
    (columns,) = {tuple(batch.schema.names) for batch in requests(tmp_path, "delay")}
    assert "feature_origin" in columns
    assert "feature_carrier" not in columns
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and b"SECRETWORD" in p.read_bytes()]


def test_tokens_are_for_what_their_scopes_say(tmp_path: Path, boosting: Predictor) -> None:
    tokens = {
        hashed("p" * 20): Access("desk"),
        hashed("l" * 20): Access("warehouse", frozenset({"labels"})),
        hashed("e" * 20): Access("shop", frozenset({"events"})),
    }
    models = {VERSIONS[0]: boosting}
    state = ServerState("production")
    state.swap(state.prepare("delay", deployment(models), models))
    calls = {
        "p": ("/models/delay/predict", {"rows": [ROW], "id": "a"}),
        "l": ("/models/delay/labels", {"labels": [{"request_id": "a", "label": 1}]}),
        "e": ("/events", {"events": [{"unit": "N1", "time": "2026-01-01T00:00:00Z", "name": "missed"}]}),
    }
    with (
        writing(str(tmp_path), LogOrigin()) as writers,
        serving(
            create_app(state, writers.log, tokens=tokens, taken=writers.taken), state, Listen(port=0, grace=2)
        ) as running,
        httpx.Client(base_url=running.url, trust_env=False) as client,
    ):
        for mine in "ple":
            for whose, (path, body) in calls.items():
                answer = client.post(path, json=body, headers={"Authorization": f"Bearer {mine * 20}"})
                assert answer.status_code == (200 if mine == whose else 403), (mine, path)
    ((row,),) = [batch.to_pylist() for batch in requests(tmp_path, "delay")]
    assert (row["caller"], row["label"], row["label_source"]) == ("desk", 1.0, "warehouse")


def test_a_token_without_scopes_is_for_predictions_alone(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"desk {'p' * 20}\nwarehouse {'l' * 20} labels,events # at night\n")
    scopes = {access.caller: set(access.scopes) for access in read_tokens(path).values()}
    assert scopes == {"desk": {"predict"}, "warehouse": {"labels", "events"}}
    path.write_text(f"desk {'p' * 20} admin\n")
    with pytest.raises(UsageError, match="line 1"):
        read_tokens(path)
