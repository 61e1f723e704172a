"""Explanations of loaded models: by input of the signature, whatever the pipeline makes of it."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from gitml.errors import UsageError
from gitml.models.explaining import explainer, seed_of
from gitml.models.loading import load
from gitml.models.model import Predictor
from serving_models import SIGNATURE, columns, fitted, saved


def _loaded(pipeline: Any, folder: Path, signature: dict[str, Any] = SIGNATURE) -> Predictor:
    path = saved(pipeline, folder / "model.skops")
    return load(path, "skops", signature, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def _truth(table: Any) -> Any:
    return (table["distance"] / 3000 + (table["carrier"] == "AA") + table["age"].fillna(9) / 30 > 1).astype(int)


def _forest() -> Pipeline:
    table = columns(300).drop(columns="age").assign(age=1.0)
    words = OneHotEncoder(handle_unknown="ignore")
    columns_ = ColumnTransformer(
        [("words", words, ["carrier", "origin"]), ("numbers", StandardScaler(), ["distance", "age"])]
    )
    forest = RandomForestClassifier(n_estimators=8, max_depth=6, random_state=1)
    return Pipeline([("columns", columns_), ("forest", forest)]).fit(table, _truth(table))


def _explain(model: Predictor, row: dict[str, Any], output: str = "", budget: int = 1000) -> Any:
    encoded = model.signature.rows([row])[0]
    background = model.signature.columns(columns(60, seed=5).assign(age=2.0).to_dict("list"))
    return explainer(model).attribution(
        encoded, output, background=background, budget=budget, seed=seed_of("r", model.digest)
    )


def test_boosted_trees_add_up_to_the_log_odds_of_the_answer(tmp_path: Path) -> None:
    model = _loaded(fitted("boosting"), tmp_path)
    for row in columns(20, seed=9).to_dict("records"):
        found = _explain(model, row)
        assert found.method == "trees"
        assert found.scale == "log-odds"
        assert found.answer == pytest.approx(1 / (1 + np.exp(-found.total)), abs=1e-12)


def test_columns_that_one_input_became_count_for_it(tmp_path: Path) -> None:
    model = _loaded(_forest(), tmp_path)
    found = _explain(model, {"carrier": "AA", "origin": "JFK", "distance": 900, "age": 1.0})
    assert (found.method, found.scale) == ("trees", "answer")
    assert found.total == pytest.approx(found.answer, abs=1e-12)
    values = dict(zip([f.name for f in model.signature.inputs], found.values, strict=True))
    assert max(values, key=lambda name: abs(values[name])) == "carrier"
    assert values["age"] == 0.0


def test_the_first_of_two_classes_counts_the_other_way(tmp_path: Path) -> None:
    outputs = [{"name": "p_0", "type": "float64"}, {"name": "p_1", "type": "float64"}]
    model = _loaded(fitted("boosting"), tmp_path, {**SIGNATURE, "outputs": outputs})
    row = columns(1).to_dict("records")[0]
    first, second = (_explain(model, row, name) for name in ("p_0", "p_1"))
    assert first.values == tuple(-v for v in second.values)
    assert first.answer == pytest.approx(1 / (1 + np.exp(-first.total)), abs=1e-12)


def test_other_models_are_sampled_with_their_error(tmp_path: Path) -> None:
    words = ColumnTransformer([("words", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
                                ["carrier", "origin"])], remainder="passthrough")  # fmt: skip
    from sklearn.neighbors import KNeighborsClassifier

    table = columns(200).assign(age=1.0)
    model = _loaded(make_pipeline(words, StandardScaler(), KNeighborsClassifier()).fit(table, _truth(table)), tmp_path)
    row = {"carrier": "AA", "origin": "JFK", "distance": 900, "age": 1.0}
    found, again, better = _explain(model, row), _explain(model, row), _explain(model, row, budget=8000)
    assert found.method == "sampled"
    assert found == again
    assert found.total == pytest.approx(found.answer, abs=1e-12)
    assert max(better.errors) < max(found.errors) / 2
    with pytest.raises(UsageError, match="too few"):
        _explain(model, row, budget=10)


def test_an_output_that_is_not_there_and_labels_are_refused(tmp_path: Path) -> None:
    model = _loaded(fitted("boosting"), tmp_path)
    row = columns(1).to_dict("records")[0]
    with pytest.raises(UsageError, match="not a number that the model answers with"):
        _explain(model, row, "p_early")
    labels = {**SIGNATURE, "outputs": [{"name": "late", "type": "int64"}]}
    with pytest.raises(UsageError, match="labels alone"):
        _explain(_loaded(fitted("boosting"), tmp_path, labels), row)


def test_trees_that_would_not_add_up_are_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that keeps its trees otherwise must not give wrong explanations."""
    model = _loaded(fitted("boosting"), tmp_path)
    assert model.inside
    model.inside.fitted._baseline_prediction = model.inside.fitted._baseline_prediction + 1
    row = columns(1).assign(age=1.0).to_dict("records")[0]
    explaining = explainer(model)
    model.inside.fitted._baseline_prediction = model.inside.fitted._baseline_prediction - 1
    encoded = model.signature.rows([row])[0]
    background = model.signature.columns(columns(40).assign(age=1.0).to_dict("list"))
    found = explaining.attribution(encoded, background=background, budget=500, seed=1)
    assert found.method == "sampled"


def test_a_row_of_a_model_like_the_demos_takes_less_than_ten_milliseconds(tmp_path: Path) -> None:
    generator = np.random.Generator(np.random.PCG64(1))
    rows = generator.normal(size=(6000, 14))
    truth = rows[:, 0] + rows[:, 1] * rows[:, 2] + generator.normal(size=6000) > 0
    trees = HistGradientBoostingClassifier(
        max_iter=200, max_leaf_nodes=15, min_samples_leaf=200, learning_rate=0.05, early_stopping=False
    )
    signature = {
        "inputs": [{"name": f"x{n}", "type": "float64"} for n in range(14)],
        "outputs": [{"name": "p", "type": "float64"}],
    }
    explaining = explainer(_loaded(trees.fit(rows, truth), tmp_path, signature))
    taken = []
    for row in rows[:20]:
        start = time.process_time()
        explaining.attribution(row, background=rows[:1], budget=0, seed=1)
        taken.append(time.process_time() - start)
    assert sorted(taken)[10] < 0.010
