"""scikit-learn's fitted trees as arrays, with what makes the model's answer of their sum.

Only on releases of ``gitml.internals``. Whoever uses it holds the sum against the model's own answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gitml.attribution.leaves import CATEGORIES, Flags, Floats, SplitTree
from gitml.models.sklearninside import is_known

Scale = Literal["answer", "log-odds", "log", "score"]


@dataclass(frozen=True)
class SummedTrees:
    """``prepare``: rows as the estimator takes them, to rows as its trees do; ``order``: the estimator's column of each
    of theirs. ``finish``: sums of shape (rows, outputs), to what the estimator answers."""

    trees: tuple[SplitTree, ...]
    offset: Floats
    prepare: Callable[[Any], Floats]
    order: tuple[int, ...]
    scale: Scale
    finish: Callable[[Floats], Any]


def summed_trees(model: Any) -> SummedTrees | None:
    """The trees of ``model``; None if it has none, or of a kind or release that is not known."""
    name = type(model).__name__
    read = next((read for start, read in _KINDS.items() if name.removesuffix(_end(name)) == start), None)
    if read is None or not is_known():
        return None
    try:
        return read(model)
    # A model that another release has fitted may be otherwise inside.
    except (AttributeError, ImportError, IndexError, KeyError, TypeError, ValueError):
        return None


def _end(name: str) -> str:
    return next((end for end in ("Classifier", "Regressor") if name.endswith(end)), "")


def _histograms(model: Any) -> SummedTrees:
    per_iteration = model.n_trees_per_iteration_
    trees = [
        _of_histogram(tree, output, per_iteration, model)
        for iteration in model._predictors  # noqa: SLF001
        for output, tree in enumerate(iteration)
    ]
    offset = np.asarray(model._baseline_prediction, np.float64).reshape(-1)  # noqa: SLF001
    order, prepare = tuple(range(model.n_features_in_)), _as_floats
    if getattr(model, "_preprocessor", None) is not None:
        flags = np.asarray(model.is_categorical_, bool)
        # Its preprocessor puts categories first, as codes; ``is_categorical_`` is in the order of the caller.
        order = tuple(int(n) for n in (*np.flatnonzero(flags), *np.flatnonzero(~flags)))
        prepare = lambda rows: np.asarray(model._preprocessor.transform(rows), np.float64)  # noqa: E731, SLF001
    scale, finish = _link(model, per_iteration)
    return SummedTrees(tuple(trees), offset, prepare, order, scale, finish)


def _link(model: Any, outputs: int) -> tuple[Scale, Callable[[Floats], Any]]:
    loss = model._loss  # noqa: SLF001
    if hasattr(model, "classes_"):
        return ("log-odds" if outputs == 1 else "score"), lambda raw: loss.predict_proba(np.ascontiguousarray(raw))
    name = type(loss.link).__name__
    if name not in ("IdentityLink", "LogLink"):
        raise ValueError(name)
    return ("log" if name == "LogLink" else "answer"), lambda raw: loss.link.inverse(raw)


def _of_histogram(predictor: Any, output: int, outputs: int, model: Any) -> SplitTree:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"] != 0
    left = np.where(leaf, -1, nodes["left"].astype(np.int64))
    values = np.zeros((len(nodes), outputs))
    values[:, output] = nodes["value"]
    known = _known_categories(model)
    sets, missing = {}, nodes["missing_go_to_left"] != 0
    for node in np.flatnonzero(~leaf & (nodes["is_categorical"] != 0)):
        here = _bits(predictor.raw_left_cat_bitsets[nodes["bitset_idx"][node]])
        if missing[node]:  # what was never seen goes where missing values go
            here = here | ~known[int(nodes["feature_idx"][node])]
        sets[int(node)] = here
    return SplitTree(
        left, np.where(leaf, -1, nodes["right"].astype(np.int64)), nodes["feature_idx"].astype(np.int64),
        nodes["num_threshold"].astype(np.float64), missing, nodes["count"].astype(np.float64), values, sets,
    )  # fmt: skip


def _known_categories(model: Any) -> dict[int, Flags]:
    if model.is_categorical_ is None:
        return {}
    bitsets, places = model._bin_mapper.make_known_categories_bitsets()  # noqa: SLF001
    flags = model._is_categorical_remapped  # noqa: SLF001
    return {int(f): _bits(bitsets[places[f]]) for f in np.flatnonzero(flags)}


def _bits(words: Any) -> Flags:
    """Eight words of 32 bits as flags of 256 categories, and one for all others: never set."""
    bits = (np.asarray(words, np.uint32)[:, None] >> np.arange(32, dtype=np.uint32)) & 1
    return np.append(bits.reshape(CATEGORIES).astype(bool), False)


def _forest(model: Any) -> SummedTrees:
    trees = model.estimators_
    return _mean(model, [tree.tree_ for tree in trees])


def _one(model: Any) -> SummedTrees:
    return _mean(model, [model.tree_])


def _mean(model: Any, trees: list[Any]) -> SummedTrees:
    if model.n_outputs_ != 1:
        raise ValueError("several targets")
    chances = hasattr(model, "classes_")
    made = tuple(_of_tree(tree, 1.0 / len(trees), chances=chances) for tree in trees)
    width = made[0].values.shape[1]
    return SummedTrees(made, np.zeros(width), _as_singles, tuple(range(model.n_features_in_)), "answer", _same)


def _boosting(model: Any) -> SummedTrees:
    start = model._raw_predict_init(np.zeros((2, model.n_features_in_), np.float32))  # noqa: SLF001
    if type(model.init_).__name__ not in ("DummyClassifier", "DummyRegressor", "str"):
        raise ValueError("what it starts from is a model of its own")
    outputs = model.estimators_.shape[1]
    made = []
    for stage in model.estimators_:
        for output, tree in enumerate(stage):
            whole = _of_tree(tree.tree_, model.learning_rate, chances=False)
            values = np.zeros((len(whole.left), outputs))
            values[:, output] = whole.values[:, 0]
            made.append(SplitTree(**{**vars(whole), "values": values}))
    loss, is_classifier = model._loss, hasattr(model, "classes_")  # noqa: SLF001
    scale: Scale = ("log-odds" if outputs == 1 else "score") if is_classifier else "answer"
    finish = (lambda raw: loss.predict_proba(np.ascontiguousarray(raw))) if is_classifier else _same
    order = tuple(range(model.n_features_in_))
    return SummedTrees(tuple(made), np.asarray(start[0], float).reshape(-1), _as_singles, order, scale, finish)


def _of_tree(tree: Any, factor: float, *, chances: bool) -> SplitTree:
    values = np.asarray(tree.value, np.float64)[:, 0, :]
    if chances:
        values = values / values.sum(axis=1, keepdims=True)
    return SplitTree(
        np.asarray(tree.children_left, np.int64), np.asarray(tree.children_right, np.int64),
        np.asarray(tree.feature, np.int64), np.asarray(tree.threshold, np.float64),
        np.asarray(tree.missing_go_to_left, bool), np.asarray(tree.weighted_n_node_samples, np.float64),
        values * factor, {},
    )  # fmt: skip


def _as_floats(rows: Any) -> Floats:
    return np.asarray(rows, np.float64)


def _as_singles(rows: Any) -> Floats:
    """scikit-learn's trees compare numbers of 32 bits with thresholds of 64."""
    return np.asarray(rows, np.float32).astype(np.float64)


def _same(raw: Floats) -> Floats:
    return raw


_KINDS: dict[str, Callable[[Any], SummedTrees]] = {
    "HistGradientBoosting": _histograms,
    "RandomForest": _forest,
    "ExtraTrees": _forest,
    "DecisionTree": _one,
    "ExtraTree": _one,
    "GradientBoosting": _boosting,
}
