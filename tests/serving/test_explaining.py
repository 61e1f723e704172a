"""`POST /models/MODEL/explain`: one row, by the version that answers it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gitml.models.loading import load
from gitml.models.model import Predictor
from gitml.serving.auth import Access, hashed
from serving_models import SIGNATURE, columns, fitted, saved
from serving_server import VERSIONS, Served

ROW = {"carrier": "AA", "distance": 900, "origin": "JFK", "age": 3.5}
TOKEN = "0d5e2b7c918a4f63b1aa"


@pytest.fixture
def server(start: Callable[..., Served], boosting: Predictor) -> Served:
    return start({VERSIONS[0]: boosting})


def test_contributions_add_up_to_what_predict_answers(server: Served, boosting: Predictor) -> None:
    answer = server.client.post("/models/delay/explain", json={"rows": [ROW], "id": "r-1"})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["answer"] == server.predict({"rows": [ROW]}).json()["outputs"]["p_late"][0]
    total = told["base"] + sum(told["contributions"].values())
    assert 1 / (1 + np.exp(-total)) == pytest.approx(told["answer"], abs=1e-12)
    assert (told["id"], told["method"], told["variant"]) == ("r-1", "trees", "champion")
    assert list(told["contributions"]) == [f["name"] for f in SIGNATURE["inputs"]]


def test_what_cannot_be_explained_is_told(server: Served) -> None:
    post = server.client.post
    assert post("/models/delay/explain", json={"rows": [ROW, ROW]}).status_code == 422
    wrong = post("/models/delay/explain", json={"rows": [{**ROW, "distance": "far"}]})
    assert (wrong.status_code, wrong.json()["problems"][0]["input"]) == (422, "distance")
    assert post("/models/other/explain", json={"rows": [ROW]}).status_code == 404
    assert server.client.get("/models/delay/explain").status_code == 405


def test_explanations_leave_nothing_in_the_log(server: Served) -> None:
    server.client.post("/models/delay/explain", json={"rows": [ROW]})
    assert server.log.events == []


def test_a_token_must_be_for_it(start: Callable[..., Served], boosting: Predictor) -> None:
    head = {"authorization": f"Bearer {TOKEN}"}
    for scopes, code in ((frozenset({"predict"}), 403), (frozenset({"explain"}), 200)):
        server = start({VERSIONS[0]: boosting}, tokens={hashed(TOKEN): Access("desk", scopes)})
        assert server.client.post("/models/delay/explain", json={"rows": [ROW]}, headers=head).status_code == code


def test_a_model_without_trees_compares_with_its_sample_rows(start: Callable[..., Served], tmp_path: Path) -> None:
    path = saved(fitted("onehot"), tmp_path / "model.skops")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    samples = columns(40, seed=4).to_dict("list")
    bare, sampled = (load(path, "skops", SIGNATURE, sha256=sha256, samples=s) for s in (None, samples))
    refused = start({VERSIONS[0]: bare}).client.post("/models/delay/explain", json={"rows": [ROW]})
    assert (refused.status_code, "samples" in refused.text) == (422, True)
    told = start({VERSIONS[0]: sampled}).client.post("/models/delay/explain", json={"rows": [ROW]}).json()
    assert told["method"] == "sampled"
    assert told["base"] + sum(told["contributions"].values()) == pytest.approx(told["answer"], abs=1e-12)
    assert set(told["errors"]) == set(ROW)
