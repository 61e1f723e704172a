"""Ensembles: what the members answer, combined; what does not fit is refused when it is loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gitml.errors import IntegrityError, UsageError
from gitml.models.loading import load
from gitml.models.model import Predictor
from gitml.models.signature import parse
from gitml.spec.deployment import Pin
from serving_models import SIGNATURE, columns
from serving_server import ROW, VERSIONS, Served, constant


def member(model: str, digit: int, **more: Any) -> dict[str, Any]:
    return {"model": model, "version": VERSIONS[digit], "digest": str(digit) * 64, **more}


def loaded(
    tmp_path: Path, described: Mapping[str, Any], models: Mapping[str, Predictor], signature: Any = SIGNATURE
) -> Predictor:
    path = tmp_path / "model.ensemble.yaml"
    path.write_text(json.dumps(described))

    def members(name: str, pin: Pin) -> Predictor:
        assert models[name].digest == pin.digest
        return models[name]

    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return load(path, "ensemble", signature, sha256=sha256, members=members)


def ages(digit: int, factor: float) -> Predictor:
    return constant(0, digit, lambda rows: np.nan_to_num(rows[:, 3]) * factor)


ASKED = {"carrier": ["AA", "ZZ"], "distance": [1, 2], "origin": ["EWR", "JFK"], "age": [10.0, None]}


def test_mean_and_weighted_mean(tmp_path: Path) -> None:
    models = {"a": ages(1, 1.0), "b": ages(2, 4.0)}
    mean = {"ensemble": "mean", "members": [member("a", 1), member("b", 2)]}
    assert loaded(tmp_path, mean, models).predict(ASKED).tolist() == [25.0, 0.0]
    weighted = {"ensemble": "weighted", "members": [member("a", 1, weight=3), member("b", 2, weight=1)]}
    assert loaded(tmp_path, weighted, models).predict(ASKED).tolist() == [17.5, 0.0]


def test_a_vote_is_the_share_that_says_yes_or_the_most_frequent_label(tmp_path: Path) -> None:
    models = {"a": constant(0.6, 1), "b": constant(0.4, 2), "c": constant(0.3, 3)}
    vote = {"ensemble": "vote", "members": [member("a", 1), member("b", 2, threshold=0.35), member("c", 3)]}
    assert loaded(tmp_path, vote, models).predict(ASKED).tolist() == pytest.approx([2 / 3, 2 / 3])
    signature = {**SIGNATURE, "outputs": [{"name": "label", "type": "string"}]}

    def says(word: str, digit: int) -> Predictor:
        score: Callable[[Any], Any] = lambda rows: np.array([word] * len(rows), object)  # noqa: E731
        return Predictor(parse(signature), "test", str(digit) * 64, "arrays", score)

    labels = {"a": says("late", 1), "b": says("on time", 2), "c": says("on time", 3)}
    plain = {"ensemble": "vote", "members": [member("a", 1), member("b", 2), member("c", 3)]}
    assert loaded(tmp_path, plain, labels, signature).predict(ASKED).tolist() == ["on time", "on time"]
    with pytest.raises(UsageError, match="no mean"):
        loaded(tmp_path, {**plain, "ensemble": "mean"}, labels, signature)


def test_a_trained_combiner_sees_the_members_by_name(tmp_path: Path) -> None:
    numbers = {
        "inputs": [{"name": "b", "type": "float64"}, {"name": "a", "type": "float64"}],
        "outputs": [{"name": "y", "type": "float64"}],
    }
    combiner = Predictor(parse(numbers), "test", "3" * 64, "arrays", lambda rows: rows[:, 0] * 10 + rows[:, 1])
    models = {"a": ages(1, 1.0), "b": ages(2, 2.0), "top": combiner}
    stack = {"ensemble": "stack", "members": [member("a", 1), member("b", 2)], "combiner": member("top", 3)}
    assert loaded(tmp_path, stack, models).predict(ASKED).tolist() == [210.0, 0.0]
    wrong = {**stack, "members": [member("a", 1), member("b", 2, name="c")]}
    with pytest.raises(UsageError, match="the combiner takes b, a; the members give a, c"):
        loaded(tmp_path, wrong, models)


def test_members_see_their_own_columns_and_categories(tmp_path: Path, boosting: Predictor) -> None:
    """A member that knows other words in another order gives what it gives alone."""
    inputs = [
        {"name": "age", "type": "float64", "nullable": True},
        {"name": "carrier", "type": "string", "categories": ["ZZ", "UA", "AA"]},
    ]
    seen: list[Any] = []

    def score(rows: Any) -> Any:
        seen.append(rows.copy())
        return rows[:, 1]

    odd = Predictor(parse({**SIGNATURE, "inputs": inputs}), "test", "1" * 64, "arrays", score)
    signature = {**SIGNATURE, "inputs": [dict(f) for f in SIGNATURE["inputs"]]}
    signature["inputs"][0]["categories"] = ["AA", "DL", "UA", "ZZ"]
    pinned = {**member("delay", 2), "digest": boosting.digest}
    described = {"ensemble": "mean", "members": [member("odd", 1), pinned]}
    model = loaded(tmp_path, described, {"odd": odd, "delay": boosting}, signature)
    table = columns(50)
    rows = {k: [None if v != v else v for v in values] for k, values in table.to_dict("list").items()}
    seen.clear()
    found = model.predict(rows)
    codes = {"AA": 2.0, "DL": -1.0, "UA": 1.0, "ZZ": 0.0}
    wanted = (np.array([codes[c] for c in rows["carrier"]]) + boosting.predict(rows)) / 2
    assert np.allclose(found, wanted, rtol=0, atol=1e-12)
    assert seen[0].shape == (50, 2)


@pytest.mark.parametrize(
    ("described", "words"),
    [
        ({"ensemble": "mean", "members": [member("a", 1)]}, "members"),
        ({"ensemble": "median", "members": [member("a", 1), member("b", 2)]}, "median"),
        ({"ensemble": "mean", "members": [member("a", 1), member("a", 2)]}, "two members are called a"),
        ({"ensemble": "weighted", "members": [member("a", 1, weight=1), member("b", 2)]}, "weight"),
        ({"ensemble": "mean", "members": [member("a", 1, weight=1), member("b", 2, weight=1)]}, "weight"),
        ({"ensemble": "stack", "members": [member("a", 1), member("b", 2)]}, "combiner"),
        ({"ensemble": "mean", "members": [member("a", 1, threshold=1), member("b", 2)]}, "threshold"),
    ],
)
def test_what_is_wrong_in_the_file_is_said(tmp_path: Path, described: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        loaded(tmp_path, described, {"a": ages(1, 1), "b": ages(2, 1)})


def test_a_binary_file_is_no_ensemble(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"PK\x03\x04\0\0")
    with pytest.raises(IntegrityError):
        load(path, "ensemble", SIGNATURE, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def test_an_ensemble_is_served_like_any_model(tmp_path: Path, start: Callable[..., Served]) -> None:
    described = {"ensemble": "mean", "members": [member("a", 1), member("b", 2)]}
    model = loaded(tmp_path, described, {"a": ages(1, 1.0), "b": ages(2, 3.0)})
    server = start({VERSIONS[0]: model})
    assert server.predict({"rows": [ROW]}).json()["outputs"] == {"p_late": [7.0]}
