"""The faster ways through scikit-learn answer as its public way does, and where they are not known none is taken."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
from scipy.sparse import csr_matrix
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans, MeanShift
from sklearn.decomposition import NMF
from sklearn.ensemble import (
    BaggingClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
)
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.multioutput import ClassifierChain
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, NearestNeighbors, RadiusNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, SVR, NuSVC, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.tree._tree import Tree

from gitml.errors import IntegrityError
from gitml.internals import CHECKED, is_checked
from gitml.models.loading import load
from gitml.models.model import Predictor
from gitml.models.sklearninside import steadiness, supports, trees
from gitml.models.sklearninside.boosted import boosted
from serving_models import SIGNATURE, columns, fitted, mixed_pipelines, saved


@pytest.fixture
def another_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sklearn, "__version__", "1.999.0")


def loaded(name: str, folder: Path) -> Predictor:
    path = saved(fitted(name), folder / "model.skops")
    return load(path, "skops", SIGNATURE, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def test_the_release_that_is_installed_was_checked() -> None:
    assert is_checked("scikit-learn", sklearn.__version__), f"run this file, then add it to {CHECKED}"


@pytest.mark.parametrize("name", ["boosting", *mixed_pipelines()])
def test_both_ways_give_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fast, rows = loaded(name, tmp_path), columns(200).to_dict("list")
    monkeypatch.setattr(sklearn, "__version__", "1.999.0")
    public = loaded(name, tmp_path)
    assert public.how == "frame"
    assert np.allclose(fast.predict(rows), public.predict(rows), rtol=0, atol=1e-12)
    assert np.allclose(public.predict(rows), fitted(name).predict_proba(columns(200))[:, 1], rtol=0, atol=0)


def of_numbers(model: Any, folder: Path, kind: str = "float64") -> Predictor:
    """The model, saved and loaded, with four numbers as its inputs."""
    signature = {
        "inputs": [{"name": f"x{n}", "type": "float64"} for n in range(4)],
        "outputs": [{"name": "y", "type": kind}],
    }
    path = saved(model, folder / "numbers.skops")
    return load(path, "skops", signature, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.mark.parametrize("name", ["boosting", *mixed_pipelines()])
def test_models_that_go_over_their_arrays_once_are_steady(name: str, tmp_path: Path) -> None:
    assert loaded(name, tmp_path).steady


def test_calibrated_forests_are_steady(tmp_path: Path) -> None:
    rows = np.random.default_rng(7).normal(size=(60, 4))
    model = CalibratedClassifierCV(RandomForestClassifier(2), cv=2).fit(rows, rows[:, 0] > 0)
    assert of_numbers(
        make_pipeline(SimpleImputer(), StandardScaler(), model).fit(rows, rows[:, 0] > 0), tmp_path
    ).steady


@pytest.mark.parametrize(
    "step", [NMF(1, init="random", max_iter=2, tol=10), KNNImputer(), FunctionTransformer(np.square)]
)
def test_a_step_that_solves_or_searches_for_each_row_is_not_steady(step: Any, tmp_path: Path) -> None:
    """Its turns are a setting of the file, and it ends or not by what a request brings."""
    rows = np.random.default_rng(7).random((20, 4))
    model = make_pipeline(step, LinearRegression()).fit(rows, rows[:, 0])
    assert not of_numbers(model, tmp_path).steady
    assert not steadiness.is_steady([step])


def made(estimator: Any, classes: int) -> tuple[Any, Any]:
    random = np.random.default_rng(3)
    rows = random.normal(size=(300, 4))
    rows[random.random(rows.shape) < 0.1] = np.nan
    truth = random.integers(classes, size=300) if classes else np.nan_to_num(rows).sum(axis=1)
    return estimator.fit(rows, truth), rows


@pytest.mark.parametrize(
    ("estimator", "classes"),
    [
        (HistGradientBoostingClassifier(max_iter=20), 2),
        (HistGradientBoostingClassifier(max_iter=10), 4),
        (HistGradientBoostingRegressor(max_iter=20), 0),
        (HistGradientBoostingRegressor(max_iter=20, loss="poisson"), 0),
    ],
    ids=["two classes", "four classes", "numbers", "counts"],
)
def test_all_trees_at_once_give_the_same_to_the_last_bit(estimator: Any, classes: int) -> None:
    model, rows = made(estimator, classes) if getattr(estimator, "loss", "") != "poisson" else counted(estimator)
    public = model.predict_proba if classes else model.predict
    fast = boosted(model, public, probabilities=bool(classes))
    assert fast is not public
    for some in (rows[:1], rows[:200], rows):
        assert np.array_equal(fast(some), public(some))


def counted(estimator: Any) -> tuple[Any, Any]:
    random = np.random.default_rng(4)
    rows = random.normal(size=(300, 4))
    return estimator.fit(rows, random.poisson(2, 300)), rows


@pytest.mark.usefixtures("another_release")
def test_another_release_is_called_its_own_way() -> None:
    model, _ = made(HistGradientBoostingClassifier(max_iter=5), 2)
    assert boosted(model, model.predict_proba, probabilities=True) == model.predict_proba


def test_trees_that_cannot_be_read_are_refused() -> None:
    class TreePredictor:
        """As a release might have it that keeps nodes elsewhere."""

    with pytest.raises(IntegrityError, match="form that is not known"):
        trees.check([TreePredictor()])
    trees.check(made(RandomForestRegressor(n_estimators=3), 0)[0])


def far(tree: Any) -> Any:
    """The same tree, but its root asks for a column that no row has, and it says that rows are that wide."""
    made, state = Tree(1000, np.array([1], np.intp), 1), tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"]["feature"][0] = 900
    made.__setstate__(state)
    return made


def all_but_the_first() -> Any:
    rows = np.random.default_rng(5).normal(size=(80, 4))
    model = GradientBoostingRegressor(n_estimators=3).fit(rows, rows[:, 0])
    for tree in model.estimators_.ravel()[1:]:
        tree.tree_, tree.n_features_in_ = far(tree.tree_), 1000
    # The same trees once more, where nobody would ask them for so few columns.
    model.init_ = [*model.estimators_.ravel()]
    return [model.init_, model]


def without_a_number() -> Any:
    model, _ = made(DecisionTreeRegressor(max_depth=3), 0)
    model.tree_ = far(model.tree_)
    del model.n_features_in_
    pipeline = Pipeline([("tree", model)])
    vars(pipeline)["n_features_in_"] = 1000
    return pipeline


@pytest.mark.parametrize("model", [all_but_the_first, without_a_number])
def test_a_tree_that_reads_beyond_its_rows_is_refused(model: Callable[[], Any]) -> None:
    with pytest.raises(IntegrityError, match="lead nowhere"):
        trees.check(model())


def test_honest_ensembles_of_trees_pass() -> None:
    for estimator in (
        RandomForestRegressor(3),
        IsolationForest(n_estimators=3),
        BaggingClassifier(DecisionTreeClassifier(max_depth=2), 3, max_features=0.5),
        ClassifierChain(RandomForestClassifier(2)),
        StackingClassifier([("a", RandomForestClassifier(2))], DecisionTreeClassifier(max_depth=2), cv=2),
        GradientBoostingClassifier(n_estimators=2),
    ):
        random = np.random.default_rng(5)
        rows, truth = random.normal(size=(80, 4)), random.integers(2, size=80)
        truth = np.column_stack([truth, truth]) if isinstance(estimator, ClassifierChain) else truth
        trees.check(estimator.fit(rows, truth))


def machines() -> dict[str, Any]:
    random = np.random.default_rng(6)
    rows, truth = random.normal(size=(60, 3)), random.integers(3, size=60)
    return {
        "three classes": SVC().fit(rows, truth),
        "two classes": NuSVC().fit(rows, truth % 2),
        "numbers": SVR().fit(rows, rows[:, 0]),
        "outliers": OneClassSVM().fit(rows),
        "sparse": SVC(kernel="linear").fit(csr_matrix(rows), truth),
    }


def test_support_vectors_that_fit_pass() -> None:
    supports.check(machines().values())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_n_support", np.array([-20, 40, 30], np.int32)),
        ("_n_support", np.array([1 << 20, 1, 1], np.int32)),
        ("_dual_coef_", np.zeros((1, 2))),
        ("support_", np.zeros(2, np.int32)),
        ("_intercept_", np.zeros(1)),
        ("_probA", np.zeros(1)),
        ("support_vectors_", np.zeros(3)),
    ],
)
def test_support_vectors_that_are_read_beyond_their_ends_are_refused(name: str, value: Any) -> None:
    machine = machines()["three classes"]
    vars(machine)[name] = value
    with pytest.raises(IntegrityError, match="do not fit one another"):
        supports.check([machine])


def test_a_sparse_matrix_whose_indices_lead_beyond_it_is_refused() -> None:
    matrix = csr_matrix(np.eye(3))
    matrix.indices[1] = 1_000_000
    with pytest.raises(IntegrityError, match="do not fit one another"):
        supports.check([matrix])


def neighbours(kind: Any = KNeighborsClassifier, outputs: int = 1) -> Any:
    random = np.random.default_rng(8)
    truth = random.integers(3, size=(30, outputs))
    return kind(algorithm="brute").fit(random.random((30, 4)), truth[:, 0] if outputs == 1 else truth)


def test_neighbours_and_clusters_that_fit_pass() -> None:
    rows = np.random.default_rng(8).random((30, 4))
    supports.check([neighbours(), neighbours(outputs=2), neighbours(KNeighborsRegressor, 2), KMeans(2).fit(rows)])
    supports.check([NearestNeighbors().fit(rows), neighbours(RadiusNeighborsClassifier), MeanShift().fit(rows)])


@pytest.mark.parametrize(
    "change", [{"_y": 3}, {"_y": -1}, {"_y": [0]}, {"_fit_X": np.zeros((30, 3))}, {"_y": [0.5] * 30}]
)
def test_neighbours_that_stand_for_no_class_are_refused(change: dict[str, Any]) -> None:
    model = neighbours()
    for name, value in change.items():
        if isinstance(value, int):
            vars(model)[name][7] = value
        else:
            vars(model)[name] = np.array(value)
    with pytest.raises(IntegrityError, match="do not fit one another"):
        supports.check([model])


def test_clusters_of_another_width_than_the_rows_are_refused() -> None:
    model = KMeans(2).fit(np.random.default_rng(8).random((30, 4)))
    model.cluster_centers_ = np.zeros((2, 1))
    with pytest.raises(IntegrityError, match="do not fit one another"):
        supports.check([model])


def test_what_was_never_fitted_passes() -> None:
    """Stacks and chains keep what they made their estimators from."""
    supports.check([GradientBoostingClassifier(), KNeighborsClassifier(), KMeans(), SVC()])


@pytest.mark.parametrize("start", [None, "zero", LinearRegression()])
def test_boosting_of_gradients_answers_as_before(start: Any, tmp_path: Path) -> None:
    rows = np.random.default_rng(8).random((30, 4))
    model = GradientBoostingRegressor(n_estimators=3, init=start).fit(rows, rows[:, 0])
    assert np.array_equal(of_numbers(model, tmp_path).answers(rows)[:, 0], model.predict(rows))


def test_more_trees_than_outputs_are_refused() -> None:
    rows = np.random.default_rng(8).random((30, 4))
    model = GradientBoostingRegressor(n_estimators=3).fit(rows, rows[:, 0])
    model.estimators_ = np.repeat(model.estimators_, 2, axis=1)
    with pytest.raises(IntegrityError, match="do not fit one another"):
        supports.check([model])


def test_trees_do_not_add_beyond_what_the_first_estimator_gives() -> None:
    rows = np.random.default_rng(8).random((30, 4))
    model = GradientBoostingClassifier(n_estimators=2).fit(rows, np.arange(30) % 3)
    model.init_.class_prior_ = np.ones(2) / 2
    supports.check([model])
    with pytest.raises(ValueError, match="the first estimator"):
        model.predict_proba(rows)
