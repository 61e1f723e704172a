"""Each estimator and transformer that scikit-learn lists is served as saved by skops, and answers as it did."""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.cluster import BisectingKMeans
from sklearn.experimental import (  # noqa: F401
    enable_halving_search_cv,
    enable_iterative_imputer,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.utils import all_estimators

from gitml.errors import IntegrityError
from gitml.models.loading import load

pytestmark = [pytest.mark.nightly, pytest.mark.filterwarnings("ignore")]
RANDOM = np.random.default_rng(0)
ROWS = pd.DataFrame({"a": RANDOM.random(80) + 0.1, "b": RANDOM.random(80) + 0.1})
LABELS = (ROWS.a + ROWS.b > 1.2).astype(int).to_numpy()
NUMBERS = (2 * ROWS.a + ROWS.b + 0.1).to_numpy()
INPUTS = [{"name": name, "type": "float64"} for name in ROWS]
# What takes other rows than a table of numbers, or other targets; what cannot answer one row (SparsePCA), answer rows
# that it was not fitted on (TSNE), or be saved by skops (Birch).
OTHER = {
    "classifier": set(),
    "regressor": {"IsotonicRegression"},
    "transformer": {
        *("ColumnTransformer", "FeatureUnion", "IsotonicRegression", "LabelBinarizer", "LabelEncoder"),
        *("MultiLabelBinarizer", "DictVectorizer", "FeatureHasher", "HashingVectorizer", "CountVectorizer"),
        *("TfidfTransformer", "TfidfVectorizer", "PatchExtractor", "KNeighborsTransformer"),
        *(
            "RadiusNeighborsTransformer",
            "SparseCoder",
            "KernelCenterer",
            "CCA",
            "PLSCanonical",
            "PLSSVD",
            "PLSRegression",
        ),
        *("GaussianRandomProjection", "SparseRandomProjection", "MissingIndicator", "StackingRegressor"),
        *("PLSRegression", "VotingRegressor", "SparsePCA", "MiniBatchSparsePCA", "TSNE", "Birch", "BisectingKMeans"),
    },
}
ONE_COMPONENT = {"CCA", "PLSCanonical", "PLSRegression"}


def made(cls: Any, estimator: Any) -> Any:
    given = {"estimator": estimator, "estimators": [("one", estimator)], "base_estimator": estimator}
    wanted = inspect.signature(cls).parameters
    needed = {name: given[name] for name, p in wanted.items() if name in given and p.default is inspect.Parameter.empty}
    if cls.__name__ == "SelfTrainingClassifier":
        needed["estimator"] = estimator
    if "max_iter" in wanted and cls.__name__.startswith("HistGradient"):
        needed["max_iter"] = 5
    if "n_components" in wanted and cls.__name__ in ONE_COMPONENT:
        needed["n_components"] = 1
    return cls(**needed)


def target_of(name: str, values: Any) -> Any:
    several = name.startswith("MultiTask") or "MultiOutput" in name or "Chain" in name
    return np.column_stack([values, values[::-1]]) if several else values


def wanted_of(model: Any) -> tuple[Any, list[dict[str, str]]]:
    """What the model itself says, by column, and what its outputs are."""
    chances = getattr(model, "predict_proba", None)
    found = chances(ROWS) if chances else model.predict(ROWS)
    if isinstance(found, list):
        found = np.column_stack([one[:, 1] for one in found])
    elif chances and len(getattr(model, "classes_", ())) == 2 and not isinstance(model.classes_[0], np.ndarray):
        found = found[:, 1]
    wide = np.reshape(np.asarray(found, float), (len(ROWS), -1))
    is_label = not chances and hasattr(model, "classes_")
    kind = "int64" if is_label else "float64"
    return wide, [{"name": f"o{n}", "type": kind} for n in range(wide.shape[1])]


def check(model: Any, folder: Path) -> None:
    wide, outputs = wanted_of(model)
    path = folder / "model.skops"
    skops.io.dump(model, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    asked = ROWS.to_dict("list")
    served = load(path, "skops", {"inputs": INPUTS, "outputs": outputs}, sha256=digest, samples=asked)
    assert np.allclose(np.reshape(np.asarray(served.predict(asked), float), wide.shape), wide)


def listed(kind: str) -> list[Any]:
    return [cls for name, cls in all_estimators(type_filter=kind) if name not in OTHER[kind]]


@pytest.mark.parametrize("cls", listed("classifier"))
def test_classifiers(cls: Any, tmp_path: Path) -> None:
    check(made(cls, LogisticRegression()).fit(ROWS, target_of(cls.__name__, LABELS)), tmp_path)


@pytest.mark.parametrize("cls", listed("regressor"))
def test_regressors(cls: Any, tmp_path: Path) -> None:
    check(made(cls, Ridge()).fit(ROWS, target_of(cls.__name__, NUMBERS)), tmp_path)


@pytest.mark.parametrize("cls", listed("transformer"))
def test_transformers_before_a_regression(cls: Any, tmp_path: Path) -> None:
    check(make_pipeline(made(cls, LogisticRegression()), LogisticRegression()).fit(ROWS, LABELS), tmp_path)


def test_a_part_of_scikit_learn_that_is_not_known_is_refused_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="_BisectingTree") as refused:
        check(make_pipeline(BisectingKMeans(), LogisticRegression()).fit(ROWS, LABELS), tmp_path)
    assert "export the model to ONNX" in refused.value.hint
