"""scikit-learn's forests with their nodes in arrays, which several processes can share.

A fitted ``Tree`` is a compiled object that copies what it is given, so each process has one of its own. Its nodes mean
what those of histogram boosting mean: a row goes left where its value is at most the threshold, and one that is missing
where the node says. The compiled walk of histogram boosting takes them as an array. So each tree gives way to one that
keeps its nodes in that form, and the estimators around it stay. Rows come in float32, as the estimator makes them, and
float64 holds these exactly: every row ends in the same leaf, and results are the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gitml.models.sharedarrays import Keep, as_they_are
from gitml.models.sklearninside import is_known
from gitml.models.sklearnsettings import everything

_LEAF = -1
_ENDS = ("Classifier", "Regressor")
_ONE = frozenset(f"{kind}{end}" for kind in ("DecisionTree", "ExtraTree") for end in _ENDS)
# These hand rows to the estimators that they hold, and ask nothing else of a tree.
_MANY = frozenset(
    f"{kind}{end}"
    for kind in ("RandomForest", "ExtraTrees", "Bagging", "AdaBoost", "Voting", "Stacking")
    for end in _ENDS
)
_NO_BITS, _NO_MAP = np.zeros((0, 8), np.uint32), np.zeros(1, np.uint32)


@dataclass(frozen=True)
class ArrayTree:
    """In the place of a ``Tree``. ``nodes``: in the form of histogram boosting, where ``value`` of a leaf is its place
    in ``answers``, of shape (leaves, outputs, classes)."""

    nodes: NDArray[Any]
    answers: NDArray[np.float64]

    def predict(self, rows: Any) -> Any:
        """As ``Tree.predict``: dense rows in float32, shape (rows, features)."""
        from sklearn.ensemble._hist_gradient_boosting._predictor import _predict_from_raw_data

        places = np.empty(len(rows))
        _predict_from_raw_data(self.nodes, rows.astype(np.float64), _NO_BITS, _NO_BITS, _NO_MAP, 1, places)
        found = self.answers.take(places.astype(np.intp), axis=0)
        return found[:, 0] if self.answers.shape[1] == 1 else found


def share_trees(model: Any, keep: Keep) -> None:
    """Put the trees of ``model``, which is given dense rows, into arrays that ``keep`` keeps.

    The nodes must have been looked at (``trees.check``). A model of another kind or release stays as it is, and so does
    one whose arrays ``keep`` does not share, or that would answer anything else.
    """
    if keep is as_they_are or not is_known():
        return
    # Compiled code of gradient boosting takes a `Tree` for granted, and one tree can hang in two places.
    if any(type(value).__name__.startswith("GradientBoosting") for value in everything(model)):
        return
    try:
        holders = list({id(one): one for one in _holders(model)}.values())
        made = [_as_arrays(holder.tree_) for holder in holders]
        kept = keep([array for one in made for array in (one.nodes, one.answers)])
        if all(before.nodes is after for before, after in zip(made, kept[::2], strict=True)):
            return
        ready = [ArrayTree(*pair) for pair in zip(kept[::2], kept[1::2], strict=True)]
        is_equal = all(_equal(holder.tree_, one) for holder, one in zip(holders, ready, strict=True))
    # A model that another release has fitted may be otherwise inside.
    except (AttributeError, ImportError, IndexError, KeyError, RecursionError, TypeError, ValueError):
        return
    for holder, one in zip(holders, ready, strict=True) if is_equal else ():
        holder.tree_ = one


def _holders(model: Any) -> Iterator[Any]:
    """The estimators that have a tree of their own, in an order that is the model's."""
    name = type(model).__name__
    if name in _ONE:
        yield model
    elif name in _MANY:
        for one in model.estimators_:
            yield from _holders(one)
    elif name == "CalibratedClassifierCV":
        for calibrated in model.calibrated_classifiers_:
            yield from _holders(calibrated.estimator)


def _as_arrays(tree: Any) -> ArrayTree:
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE

    is_leaf = tree.children_left == _LEAF
    nodes = np.zeros(tree.node_count, PREDICTOR_RECORD_DTYPE)
    inner = {"left": tree.children_left, "right": tree.children_right, "feature_idx": tree.feature}
    inner |= {"num_threshold": tree.threshold, "missing_go_to_left": tree.missing_go_to_left}
    for name, values in inner.items():
        nodes[name][~is_leaf] = values[~is_leaf]
    nodes["is_leaf"] = is_leaf
    nodes["value"][is_leaf] = np.arange(np.count_nonzero(is_leaf))
    return ArrayTree(nodes, np.ascontiguousarray(tree.value[is_leaf]))


def _equal(tree: Any, made: ArrayTree) -> bool:
    """On rows at the thresholds, around them, and with missing values."""
    drawn = np.random.default_rng(0)
    at: NDArray[np.float32] = drawn.choice(tree.threshold, size=(64, tree.n_features)).astype(np.float32)
    around = at * drawn.normal(1, 0.1, size=at.shape).astype(np.float32)
    missing = np.where(drawn.random(at.shape) < 0.2, np.float32(np.nan), around)
    return all(np.array_equal(tree.predict(rows), made.predict(rows)) for rows in (at, around, missing))
