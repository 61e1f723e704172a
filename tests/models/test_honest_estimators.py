"""scikit-learn's own estimators, saved by skops as they are: honest ones are served, and what is refused is known."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.feature_selection import SelectKBest, mutual_info_classif
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF, Matern, WhiteKernel
from sklearn.impute import IterativeImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, RepeatedStratifiedKFold, TunedThresholdClassifierCV
from sklearn.neighbors import KNeighborsClassifier, RadiusNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OrdinalEncoder, SplineTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.validation import check_array

from gitml.errors import IntegrityError
from gitml.models.loading import load
from gitml.models.sklearninside import trees
from gitml.models.sklearnsettings import settle
from serving_models import SIGNATURE, columns

NUMBERS = ["distance", "age"]


def rows() -> tuple[pd.DataFrame, Any]:
    table = columns(120, seed=3).fillna({"age": 1.0})
    return table[table["carrier"] != "ZZ"], (table["distance"] > 1500)[table["carrier"] != "ZZ"].astype(int)


def numeric(*steps: Any) -> Any:
    return make_pipeline(make_column_transformer((StandardScaler(), NUMBERS)), *steps)


def categories(kind: str) -> Any:
    """Boosted trees that know of categories, in the ways that scikit-learn has for it."""
    if kind == "ordinal":
        encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
        first = make_column_transformer((encoder, ["carrier", "origin"]), remainder="passthrough")
        return make_pipeline(first, HistGradientBoostingClassifier(max_iter=5, categorical_features=[0, 1]))
    return HistGradientBoostingClassifier(max_iter=5, categorical_features=["carrier", "origin"])


PAIR = [("a", LogisticRegression()), ("b", DecisionTreeClassifier(max_depth=2))]
HONEST: dict[str, Callable[[], Any]] = {
    "boosted with encoded categories": lambda: categories("ordinal"),
    "boosted with categories by name": lambda: categories("named"),
    "voting": lambda: numeric(VotingClassifier(PAIR, voting="soft")),
    "stacking": lambda: numeric(StackingClassifier(PAIR, cv=2)),
    "the best features": lambda: numeric(SelectKBest(k=1), LogisticRegression()),
    "features by information": lambda: numeric(SelectKBest(mutual_info_classif, k=1), LogisticRegression()),
    "a search": lambda: numeric(GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=KFold(2))),
    "a search, folds by default": lambda: numeric(GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]})),
    "Gaussian processes": lambda: numeric(GaussianProcessClassifier(1.0 * RBF() + Matern() + WhiteKernel())),
    "a network by sgd": lambda: numeric(MLPClassifier((4,), solver="sgd", max_iter=10)),
    "imputed in turns": lambda: numeric(IterativeImputer(max_iter=2), LogisticRegression()),
    "a search by a score": lambda: numeric(
        GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=RepeatedStratifiedKFold(n_splits=2), scoring="roc_auc")
    ),
    "a threshold that was tuned": lambda: numeric(TunedThresholdClassifierCV(LogisticRegression(), cv=2)),
    "neighbours by a tree": lambda: numeric(KNeighborsClassifier(7)),
    "neighbours by another tree": lambda: numeric(KNeighborsClassifier(7, algorithm="ball_tree", p=3)),
    "neighbours within": lambda: numeric(RadiusNeighborsClassifier(2.0, outlier_label=0)),
    "splines": lambda: numeric(SplineTransformer(), LogisticRegression()),
    "splines that go round": lambda: numeric(SplineTransformer(extrapolation="periodic"), LogisticRegression()),
    "categories by dtype": lambda: HistGradientBoostingClassifier(max_iter=5, categorical_features="from_dtype"),
    "columns by type": lambda: make_pipeline(
        make_column_transformer((StandardScaler(), make_column_selector(dtype_include=np.number))), LogisticRegression()
    ),
}


def saved(model: Any, folder: Path) -> tuple[Path, str]:
    path = folder / "model.skops"
    skops.io.dump(model, path)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", HONEST)
def test_an_honest_estimator_is_served_and_answers_as_it_did(name: str, tmp_path: Path) -> None:
    table, truth = rows()
    typed = table.astype({"carrier": "category", "origin": "category"}) if "categories by" in name else table
    model = HONEST[name]().fit(typed, truth)
    path, digest = saved(model, tmp_path)
    served = load(path, "skops", SIGNATURE, sha256=digest)
    assert np.allclose(np.ravel(served.predict(table.to_dict("list"))), model.predict_proba(typed)[:, 1], atol=1e-9)


@pytest.mark.parametrize(
    "value",
    [
        partial(open, "/etc/passwd"),
        partial(check_array, estimator=open),
        partial(check_array, print),
        partial(partial, open),
        np.load,
    ],
    ids=["open", "in a keyword", "in an argument", "in another", "another function"],
)
def test_a_function_with_something_that_acts_is_refused(value: Any) -> None:
    with pytest.raises(IntegrityError, match="more than data"):
        settle(make_pipeline(FunctionTransformer(value)))
    hidden = partial(check_array, dtype=[np.float64])
    settle(FunctionTransformer(hidden))
    hidden.more = open  # type: ignore[attr-defined]
    with pytest.raises(IntegrityError, match="more than data"):
        settle(FunctionTransformer(hidden))


def test_trees_that_split_by_categories_which_their_model_does_not_know_are_refused() -> None:
    """The table of known categories would be read beyond its end."""
    table, truth = rows()
    model = HistGradientBoostingClassifier(max_iter=5, categorical_features=["carrier", "origin"])
    model.fit(table.astype({"carrier": "category", "origin": "category"}), truth)
    nodes = [tree.nodes for stage in model._predictors for tree in stage]
    trees.check(model)
    forged = deepcopy(model)
    nodes = forged._predictors[0][0].nodes
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    nodes["is_categorical"][inner], nodes["feature_idx"][inner] = 1, 3
    nodes["bitset_idx"][inner] = 0
    forged._predictors[0][0].raw_left_cat_bitsets = np.zeros((1, 8), np.uint32)
    with pytest.raises(IntegrityError, match="lead nowhere"):
        trees.check(forged)
    forged._bin_mapper.is_categorical_ = np.zeros(4, np.uint8)
    nodes["feature_idx"][inner] = 0
    with pytest.raises(IntegrityError, match="lead nowhere"):
        trees.check(forged)
