"""Shapley values of trees: the definition itself, and the package that everybody knows."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from math import factorial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from attribution.shap_figures import WIDTH, data, fitted
from gitml.attribution.leaves import SplitTree
from gitml.attribution.treeshap import tree_shap
from gitml.models.sklearninside.treearrays import summed_trees

HERE = Path(__file__).parent
SHAP = HERE.parents[1] / "constraints" / "shap.txt"


def _expected(tree: SplitTree, node: int, row: Any, known: frozenset[int]) -> Any:
    """What the tree answers where only some features are known."""
    if tree.left[node] < 0:
        return tree.values[node]
    sides = int(tree.left[node]), int(tree.right[node])
    value = row[tree.feature[node]]
    if tree.feature[node] not in known:
        parts = [tree.cover[side] * _expected(tree, side, row, known) for side in sides]
        return sum(parts) / tree.cover[node]
    if np.isnan(value) or (node in tree.sets and value < 0):
        goes_left = bool(tree.missing_left[node])
    elif node in tree.sets:
        goes_left = bool(tree.sets[node][min(int(value), 256)])
    else:
        goes_left = bool(value <= tree.threshold[node])
    return _expected(tree, sides[0] if goes_left else sides[1], row, known)


def _by_definition(trees: Sequence[SplitTree], row: Any) -> Any:
    features = range(WIDTH)
    worth = {
        frozenset(some): sum(_expected(tree, 0, row, frozenset(some)) for tree in trees)
        for size in range(WIDTH + 1)
        for some in itertools.combinations(features, size)
    }
    weight = [factorial(n) * factorial(WIDTH - n - 1) / factorial(WIDTH) for n in range(WIDTH)]
    return np.array([sum(weight[len(s)] * (worth[s | {i}] - worth[s]) for s in worth if i not in s) for i in features])


def _with_categories() -> Iterator[tuple[str, Any, Any]]:
    rows, truth = data()
    strange = rows[:25].copy()
    strange[0, 3], strange[1, 3] = np.nan, 200.0
    settings: dict[str, Any] = {
        "max_iter": 6, "min_samples_leaf": 5, "early_stopping": False, "random_state": 1, "categorical_features": [3],
    }  # fmt: skip
    yield "classes", HistGradientBoostingClassifier(**settings).fit(rows, np.digitize(truth, [-0.5, 0.7])), strange
    yield "numbers", HistGradientBoostingRegressor(**settings).fit(rows, truth), strange
    counts = HistGradientBoostingRegressor(**settings, loss="poisson").fit(rows, np.exp(truth))
    yield "counts", counts, strange


CASES = [*_with_categories(), *fitted()]


@pytest.mark.parametrize(("name", "model", "rows"), CASES, ids=[name for name, *_ in CASES])
def test_values_are_those_of_the_definition_and_add_up_to_the_answer(name: str, model: Any, rows: Any) -> None:
    summed = summed_trees(model)
    assert summed
    shap = tree_shap(summed.trees, WIDTH, summed.offset)
    taken = summed.prepare(rows)
    values = shap.values(taken)
    own = model.predict_proba(rows) if hasattr(model, "classes_") else model.predict(rows)
    told = np.asarray(summed.finish(shap.base + values.sum(axis=1))).reshape(own.shape)
    np.testing.assert_allclose(told, own, rtol=1e-12, atol=1e-12)
    for place in (0, 1):
        np.testing.assert_allclose(values[place], _by_definition(summed.trees, taken[place]), atol=1e-12)


def test_values_are_those_of_the_package_shap() -> None:
    """Its figures stand in a file, with the trees: other releases of scikit-learn may fit others."""
    kept = json.loads((HERE / "shap_figures.json").read_text())
    for name, model in kept["models"].items():
        trees = [SplitTree(*(np.array(part) for part in tree), {}) for tree in model["trees"]]
        rows = np.array(model["rows"], float)
        found = tree_shap(trees, WIDTH, np.array(model["offset"])).values(rows)
        np.testing.assert_allclose(found, np.array(model["values"]), atol=1e-9, err_msg=name)


def test_a_leaf_that_no_training_row_reached_and_a_tree_without_splits() -> None:
    lone = SplitTree(*(np.array([v]) for v in (-1, -1, -1, 0.0, False, 5.0)), np.array([[3.0]]), {})
    columns: tuple[Any, ...] = ([1, -1, -1], [2, -1, -1], [0, 0, 0], [0.5, 0, 0], [False] * 3, [4.0, 4.0, 0.0])
    empty = SplitTree(*(np.array(c) for c in columns), np.array([[0.0], [2.0], [6.0]]), {})
    shap = tree_shap([lone, empty], 2, np.array([1.0]))
    assert shap.base.tolist() == [6.0]
    assert shap.values(np.array([[0.0, 0.0], [1.0, 0.0]]))[:, :, 0].tolist() == [[0.0, 0.0], [4.0, 0.0]]


def test_models_that_are_not_known_have_no_trees() -> None:
    from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
    from sklearn.linear_model import LinearRegression

    rows, truth = np.nan_to_num(data()[0]), data()[1]
    started = GradientBoostingRegressor(n_estimators=2, init=LinearRegression()).fit(rows, truth)
    several = RandomForestRegressor(n_estimators=2).fit(rows, np.stack([truth, truth], axis=1))
    assert [summed_trees(m) for m in (started, several, LinearRegression().fit(rows, truth))] == [None] * 3


@pytest.mark.shap
@pytest.mark.nightly
def test_the_package_itself_says_the_same_today(tmp_path: Path) -> None:
    python = str(tmp_path / "env" / "bin" / "python")
    subprocess.run(["uv", "venv", "-q", "-p", sys.executable, str(tmp_path / "env")], check=True)
    subprocess.run(["uv", "pip", "install", "-q", "-p", python, "-r", str(SHAP)], check=True)
    told = subprocess.run(
        [python, str(HERE / "shap_figures.py")],
        check=True,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    theirs = json.loads(told.stdout)["models"]
    for name, model, rows in fitted():
        summed = summed_trees(model)
        assert summed
        ours = tree_shap(summed.trees, WIDTH, summed.offset).values(summed.prepare(rows))
        np.testing.assert_allclose(ours, np.array(theirs[name]["values"]), atol=1e-9, err_msg=name)
