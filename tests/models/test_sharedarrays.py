"""Arrays of models in files that several processes map: equal answers, one copy, and nothing believed unseen."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save as save_tensors
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostRegressor,
    BaggingClassifier,
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingRegressor,
)
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeRegressor

from gitml.models.loading import load
from gitml.models.model import Predictor
from gitml.models.sharedarrays import SharedArrays
from gitml.models.sklearninside.forests import ArrayTree, share_trees
from gitml.models.sklearnsettings import everything
from serving_models import saved

WIDE = 24
SIGNATURE = {
    "inputs": [{"name": f"x{n}", "type": "float64"} for n in range(WIDE)],
    "outputs": [{"name": "y", "type": "float64"}],
}
ROWS = np.random.default_rng(1).normal(size=(60, WIDE))
LEAST = 50_000  # bytes
HIDDEN = 300


def neighbours(folder: Path) -> tuple[Path, str]:
    drawn = np.random.default_rng(0)
    count = LEAST // 8 // WIDE + 1000
    fitted = KNeighborsRegressor(3, algorithm="kd_tree").fit(drawn.normal(size=(count, WIDE)), drawn.normal(size=count))
    return saved(fitted, folder / "model.skops"), "skops"


def boosting(folder: Path) -> tuple[Path, str]:
    drawn = np.random.default_rng(0)
    given = drawn.normal(size=(1500, WIDE))
    fitted = HistGradientBoostingRegressor(max_iter=2, max_leaf_nodes=500, min_samples_leaf=2, early_stopping=False)
    return saved(fitted.fit(given, drawn.normal(size=1500)), folder / "model.skops"), "skops"


def forest(folder: Path) -> tuple[Path, str]:
    drawn = np.random.default_rng(0)
    fitted = RandomForestRegressor(3, random_state=0).fit(drawn.normal(size=(500, WIDE)), drawn.normal(size=500))
    return saved(fitted, folder / "model.skops"), "skops"


def perceptron(folder: Path) -> tuple[Path, str]:
    fitted = MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", max_iter=2000, random_state=0).fit(
        ROWS[:3], ROWS[:3, 0]
    )
    drawn = np.random.default_rng(0)
    size = LEAST // 8 // WIDE + 10
    fitted.coefs_ = [drawn.normal(size=(WIDE, size)), drawn.normal(size=(size, 1)) / size]
    fitted.intercepts_ = [np.zeros(size), np.zeros(1)]
    fitted.hidden_layer_sizes = (size,)
    return saved(fitted, folder / "model.skops"), "skops"


def weights() -> dict[str, Any]:
    drawn = np.random.default_rng(0)
    first = drawn.normal(size=(HIDDEN, WIDE)).astype(np.float32)
    return {"a": first, "b": (drawn.normal(size=(100, HIDDEN)) / HIDDEN).astype(np.float32), "c": first[:100, :1].T}


def network(folder: Path) -> tuple[Path, str]:
    features = ", ".join(f'{{"kind": "number", "column": "x{n}"}}' for n in range(WIDE))
    layers = (
        '{"kind": "linear", "weight": "a"}, {"kind": "relu"}, {"kind": "linear", "weight": "b"}, '
        '{"kind": "linear", "weight": "c"}'
    )
    described = f'{{"network": 1, "features": [{features}], "layers": [{layers}]}}'
    ready = {name: np.ascontiguousarray(w) for name, w in weights().items()}
    path = folder / "model.safetensors"
    path.write_bytes(save_tensors(ready, {"network": described}))
    return path, "safetensors"


def graph(folder: Path) -> tuple[Path, str]:
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["m"]),
        helper.make_node("Relu", ["m"], ["n"]),
        helper.make_node("MatMul", ["n", "b"], ["o"]),
        helper.make_node("MatMul", ["o", "c"], ["y"]),
    ]
    given, out = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, size]) for name, size in (("x", WIDE), ("y", 1))
    )
    ready = [numpy_helper.from_array(np.ascontiguousarray(w.T), name) for name, w in weights().items()]
    made = helper.make_graph(nodes, "g", [given], [out], ready)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return folder / "model.onnx", "onnx"


def loaded(path: Path, kind: str, shared: SharedArrays | None) -> Predictor:
    return load(path, kind, SIGNATURE, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), shared=shared)


@pytest.mark.parametrize(
    "make", [boosting, neighbours, forest, perceptron, network, graph], ids=lambda make: make.__name__
)
def test_two_processes_answer_from_one_file_as_one_alone_does(make: Any, tmp_path: Path) -> None:
    path, kind = make(tmp_path)
    folder = tmp_path / "arrays"
    first, second = (loaded(path, kind, SharedArrays(folder, LEAST)) for _ in range(2))
    alone = loaded(path, kind, None)
    np.testing.assert_allclose(first.predict(ROWS), alone.predict(ROWS), rtol=1e-6, atol=1e-6)
    assert np.array_equal(first.predict(ROWS), second.predict(ROWS))
    files = list(folder.iterdir())
    assert len(files) == (2 if make is boosting else 1), "boosted trees lie there once more, under one root"
    assert all(file.stat().st_size >= LEAST for file in files)
    if Path("/proc/self/maps").exists():
        assert Path("/proc/self/maps").read_text().count(str(files[0])) == 2, "mapped, and not read"
    SharedArrays(folder, LEAST).only({"another"})
    assert not list(folder.iterdir())
    assert np.array_equal(first.predict(ROWS), second.predict(ROWS)), "who maps it keeps it"


def test_a_file_that_holds_anything_else_is_not_believed(tmp_path: Path) -> None:
    shared, folder = SharedArrays(tmp_path, LEAST), tmp_path
    array = np.arange(LEAST // 8 + 10, dtype=np.float64)
    small = np.arange(3)
    kept, same = shared.keep("d")([array, small])
    assert same is small
    kept[0] = 5.0
    assert shared.keep("d")([array])[0][0] == 0.0, "what a process writes is its own"
    (folder / "d.0").write_bytes(array[::-1].tobytes())
    assert shared.keep("d")([array])[0] is array
    (folder / "d.0").write_bytes(b"cut off")
    assert shared.keep("d")([array])[0] is array
    (folder / "d.0").write_bytes(b"")
    assert shared.keep("d")([array])[0] is array
    nowhere = SharedArrays(folder / "d.0" / "below a file")
    assert nowhere.keep("d")([array])[0] is array
    nowhere.only({"d"})
    fortran = np.asfortranarray(array[:-10].reshape(-1, 2))
    (again,) = shared.keep("e")([fortran])
    assert again.flags.f_contiguous
    assert np.array_equal(again, fortran)


GIVEN = np.where(np.random.default_rng(2).random((90, 4)) < 0.1, np.nan, np.random.default_rng(3).normal(size=(90, 4)))
CLASSES, NUMBERS = np.arange(90) % 3, np.nansum(GIVEN, axis=1)
WHOLE = np.nan_to_num(GIVEN)


def hidden_trees(model: Any) -> set[str]:
    return {type(v.tree_).__name__ for v in everything(model) if hasattr(v, "tree_")}


@pytest.mark.parametrize(
    ("model", "given", "truth"),
    [
        (RandomForestClassifier(3, random_state=0), GIVEN, CLASSES),
        (RandomForestClassifier(2, random_state=0), GIVEN, np.stack([CLASSES, CLASSES % 2], axis=1)),
        (ExtraTreesRegressor(2, random_state=0), GIVEN, np.stack([NUMBERS, -NUMBERS], axis=1)),
        (DecisionTreeClassifier(random_state=0), GIVEN, CLASSES),
        (ExtraTreeRegressor(random_state=0), WHOLE, NUMBERS),
        (BaggingClassifier(n_estimators=2, max_features=2, random_state=0), GIVEN, CLASSES),
        (AdaBoostRegressor(DecisionTreeRegressor(), n_estimators=2, random_state=0), WHOLE, NUMBERS),
        (VotingRegressor([("f", RandomForestRegressor(2, random_state=0))]), WHOLE, NUMBERS),
        (CalibratedClassifierCV(RandomForestClassifier(2, random_state=0), cv=2), GIVEN, CLASSES),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "fit") else "",
)
def test_forests_whose_nodes_lie_in_files_answer_to_the_same_bit(
    model: Any, given: Any, truth: Any, tmp_path: Path
) -> None:
    model.fit(given, truth)
    asked = [getattr(model, name) for name in ("predict", "predict_proba") if hasattr(model, name)]
    rows = np.concatenate([given, given + 1e-9])
    before = [np.hstack(ask(rows)) for ask in asked]
    share_trees(model, SharedArrays(tmp_path, 1).keep("d"))
    assert hidden_trees(model) == {ArrayTree.__name__}
    assert [file.name for file in tmp_path.iterdir()] == ["d.0"]
    for was, ask in zip(before, asked, strict=True):
        np.testing.assert_array_equal(np.hstack(ask(rows)), was)


def test_trees_stay_where_they_are_if_nothing_is_shared_or_compiled_code_wants_them(tmp_path: Path) -> None:
    single = DecisionTreeClassifier().fit(WHOLE, CLASSES)
    share_trees(single, SharedArrays(tmp_path / "a").keep("d"))
    mixed = VotingRegressor([("b", GradientBoostingRegressor(n_estimators=2)), ("t", ExtraTreeRegressor())])
    share_trees(mixed.fit(WHOLE, NUMBERS), SharedArrays(tmp_path / "a", 1).keep("d"))
    assert hidden_trees(single) == hidden_trees(mixed) == {"Tree"}
