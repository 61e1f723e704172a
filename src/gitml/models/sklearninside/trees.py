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
    for tree, features in _inside(model):
        try:
            sound = _sound(tree, features)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as exc:
            raise IntegrityError(
                f"a tree of the model has a form that is not known, so it cannot be checked: {exc}",
                "serve it with the release of scikit-learn that it was trained with",
            ) from exc
        if not sound:
            raise IntegrityError(
                "a tree of the model has nodes that lead nowhere: the file was made to harm", "train the model again"
            )


def _inside(model: Any) -> Iterator[tuple[Any, int]]:
    """Every tree that the model holds, however deep, with the number of features that its rows are sure to have.

    That is what its own estimator checks rows for; one that says no number checks nothing. Gradient boosting asks the
    first of its trees alone, and hands the rows to all.
    """
    waiting, seen = [(model, 0, _ANY)], set[tuple[int, int, int]]()
    while waiting:
        found, features, most = waiting.pop()
        if isinstance(found, str | bytes | int | float | type(None)):
            continue
        # One tree can hang in two places, and only one of them may be sound.
        if (id(found), features, most) in seen:
            continue
        seen.add((id(found), features, most))
        if type(found).__name__ in ("Tree", "TreePredictor"):
            yield found, features
        elif isinstance(found, dict):
            waiting += [(v, features, most) for v in found.values()]
        elif isinstance(found, list | tuple | set):
            waiting += [(v, features, most) for v in found]
        elif isinstance(found, np.ndarray):
            waiting += [(v, features, most) for v in found.ravel().tolist()] if found.dtype == object else []
        elif hasattr(found, "__dict__"):
            own = vars(found).get("n_features_in_", 0)
            own = min(int(own), most) if isinstance(own, int | np.integer) else 0
            below = own if type(found).__name__.startswith("GradientBoosting") else _ANY
            waiting += [(v, own, below) for v in vars(found).values()]


def _sound(tree: Any, width: int) -> bool:
    if type(tree).__name__ == "TreePredictor":
        nodes = tree.nodes
        inner = nodes["is_leaf"] == 0
        children, features = (nodes["left"], nodes["right"]), nodes["feature_idx"]
        categorical = nodes["bitset_idx"][inner & (nodes["is_categorical"] != 0)]
        bits = tree.raw_left_cat_bitsets
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
