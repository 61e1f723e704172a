"""Are the trees of a loaded model trees? Compiled code walks their nodes without looking.

A child that points beyond the nodes reads foreign memory, one that points back never ends. No honest model has either.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gitml.errors import IntegrityError

_ANY = 1 << 31


def check(model: Any) -> None:
    """Raises IntegrityError if any tree in ``model`` has a node that leads nowhere, back, or to no feature."""
    for tree, features, categorical in _inside(model):
        try:
            sound = _sound(tree, features, categorical)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as exc:
            raise IntegrityError(
                f"a tree of the model has a form that is not known, so it cannot be checked: {exc}",
                "serve it with the release of scikit-learn that it was trained with",
            ) from exc
        if not sound:
            raise IntegrityError(
                "a tree of the model has nodes that lead nowhere: the file was made to harm", "train the model again"
            )


def _inside(model: Any) -> Iterator[tuple[Any, int, frozenset[int]]]:
    """Every tree that the model holds, however deep, with the number of features that its rows are sure to have, and
    those of them that its own estimator knows the categories of.

    That is what its own estimator checks rows for; one that says no number checks nothing. Gradient boosting asks the
    first of its trees alone, and hands the rows to all.
    """
    none = frozenset[int]()
    waiting, seen = [(model, 0, _ANY, none)], set[tuple[int, int, int, frozenset[int]]]()
    while waiting:
        found, features, most, known = waiting.pop()
        if isinstance(found, str | bytes | int | float | type(None)):
            continue
        # One tree can hang in two places, and only one of them may be sound.
        if (id(found), features, most, known) in seen:
            continue
        seen.add((id(found), features, most, known))
        if type(found).__name__ in ("Tree", "TreePredictor"):
            yield found, features, known
        elif isinstance(found, dict):
            waiting += [(v, features, most, known) for v in found.values()]
        elif isinstance(found, list | tuple | set):
            waiting += [(v, features, most, known) for v in found]
        elif isinstance(found, np.ndarray):
            inner = found.ravel().tolist() if found.dtype == object else []
            waiting += [(v, features, most, known) for v in inner]
        elif hasattr(found, "__dict__"):
            own = vars(found).get("n_features_in_", 0)
            own = min(int(own), most) if isinstance(own, int | np.integer) else 0
            below = own if type(found).__name__.startswith("GradientBoosting") else _ANY
            waiting += [(v, own, below, _categorical(found)) for v in vars(found).values()]


def _categorical(estimator: Any) -> frozenset[int]:
    """The features of which the rows' categories are looked up in a table that the estimator makes of these alone."""
    flags = getattr(vars(estimator).get("_bin_mapper"), "is_categorical_", None)
    if not isinstance(flags, np.ndarray) or flags.ndim != 1 or flags.dtype == object:
        return frozenset()
    return frozenset(map(int, np.flatnonzero(flags)))


def _sound(tree: Any, width: int, known: frozenset[int]) -> bool:
    if type(tree).__name__ == "TreePredictor":
        nodes = tree.nodes
        inner = nodes["is_leaf"] == 0
        children, features = (nodes["left"], nodes["right"]), nodes["feature_idx"]
        chosen = inner & (nodes["is_categorical"] != 0)
        if not known.issuperset(nodes["feature_idx"][chosen].tolist()):
            return False
        categorical, bits = nodes["bitset_idx"][chosen], tree.raw_left_cat_bitsets
        if categorical.size and (int(categorical.max()) >= len(bits) or bits.shape[1:] != (8,)):
            return False
    else:
        inner = tree.children_left != -1
        children, features = (tree.children_left, tree.children_right), tree.feature
        width = min(width, tree.n_features)
    count, places = len(inner), np.arange(len(inner))[inner]
    forward = all(bool(((c[inner] > places) & (c[inner] < count)).all()) for c in children)
    used = features[inner].astype(np.int64)
    return count > 0 and forward and bool(((used >= 0) & (used < width)).all())
