"""What the package `shap` says of scikit-learn's trees. Run in an environment that has it; prints JSON.

`make test-shap` compares it with ours on the same fits; `shap_figures.json` keeps a small part for the everyday tests.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import sklearn
from sklearn import ensemble, tree

WIDTH = 6


def data() -> tuple[Any, Any]:
    """Rows with missing values and whole numbers, and what they are fitted to."""
    generator = np.random.Generator(np.random.PCG64(5))
    rows = generator.normal(size=(300, WIDTH))
    rows[:, 3] = generator.integers(0, 6, 300)
    truth = rows[:, 0] + rows[:, 1] * rows[:, 2] + 2 * (rows[:, 3] == 2) - (rows[:, 3] == 5)
    rows[:, 0] = np.where(generator.random(300) < 0.2, np.nan, rows[:, 0])
    return rows, truth


def fitted() -> Iterator[tuple[str, Any, Any]]:
    """Name, model, rows that it can answer."""
    rows, truth = data()
    full, two, three = np.nan_to_num(rows), (truth > 0).astype(int), np.digitize(truth, [-0.5, 0.7])
    boosted: dict[str, Any] = {
        "max_iter": 4,
        "max_leaf_nodes": 12,
        "min_samples_leaf": 5,
        "early_stopping": False,
        "random_state": 1,
    }
    few: dict[str, Any] = {"n_estimators": 3, "random_state": 1}
    for name, model, seen, wanted in (
        ("boosted classes", ensemble.HistGradientBoostingClassifier(**boosted), rows, two),
        ("boosted numbers", ensemble.HistGradientBoostingRegressor(**boosted), rows, truth),
        ("forest of classes", ensemble.RandomForestClassifier(max_depth=5, **few), rows, three),
        ("forest of numbers", ensemble.RandomForestRegressor(max_depth=5, **few), rows, truth),
        ("extra trees", ensemble.ExtraTreesClassifier(max_depth=6, **few), full, two),
        ("gradient classes", ensemble.GradientBoostingClassifier(**few), full, two),
        ("gradient numbers", ensemble.GradientBoostingRegressor(**few), full, truth),
        ("one tree", tree.DecisionTreeClassifier(max_depth=6, random_state=1), rows, three),
    ):
        yield name, model.fit(seen, wanted), seen[:25]


def main() -> None:
    import shap

    warnings.simplefilter("ignore")
    found = {}
    for name, model, rows in fitted():
        explainer = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
        values = np.asarray(explainer.shap_values(rows, check_additivity=False), float)
        found[name] = {
            "base": np.ravel(explainer.expected_value).tolist(),
            "values": values.reshape(25, WIDTH, -1).tolist(),
        }
    json.dump({"shap": shap.__version__, "scikit-learn": sklearn.__version__, "models": found}, sys.stdout)


if __name__ == "__main__":
    main()
