"""Do the arrays of support vectors, neighbours, clusters, and sparse matrices fit one another?

Compiled code reads and writes them on trust: a neighbour's label is a place in the answer's memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from gitml.errors import IntegrityError


def check(values: Iterable[Any]) -> None:
    """``values``: all that a model holds. Raises IntegrityError for arrays that would be read beyond their ends."""
    for value in values:
        try:
            sound = _sound(value)
        except (AttributeError, KeyError, TypeError, ValueError):
            sound = False
        if not sound:
            what = f"the arrays of a {type(value).__name__} in the model do not fit one another"
            raise IntegrityError(f"{what}: the file was made to harm", "train the model again")


def _sound(value: Any) -> bool:
    if type(value).__module__.startswith("scipy.sparse") and hasattr(value, "check_format"):
        value.check_format(full_check=True)
        return True
    own = getattr(value, "__dict__", {})
    if "_n_support" in own:
        return _fits(own, classes=value._impl in ("c_svc", "nu_svc"))  # noqa: SLF001
    if type(value).__name__.startswith("GradientBoosting") and "estimators_" in own:
        return _boosts(value)
    if "_fit_method" in own:
        return _near(own)
    return "cluster_centers_" not in own or own["cluster_centers_"].shape[1:] == (own["n_features_in_"],)


def _boosts(model: Any) -> bool:
    """The trees of gradient boosting add to an array that its first estimator makes, which is looked at each time."""
    wanted, start = model.n_trees_per_iteration_, model._raw_predict_init  # noqa: SLF001
    trees = model.estimators_

    def started(rows: Any) -> Any:
        made = start(rows)
        if made.shape != (len(rows), wanted):
            raise ValueError(f"the first estimator gives {made.shape[1:]} numbers a row, the trees {wanted}")
        return made

    model._raw_predict_init = started  # noqa: SLF001
    single = all(tree.tree_.value.shape == (tree.tree_.node_count, 1, 1) for tree in trees.ravel())
    return single and len(trees) > 0 and bool(trees.shape[1:] == (wanted,))


def _near(own: dict[str, Any]) -> bool:
    """Of neighbours: the rows to be near to, and the labels or numbers that they stand for, if any."""
    rows: tuple[int, ...] = own["_fit_X"].shape
    wide = rows[1:] == (own["n_features_in_"],)
    if not wide or "_y" not in own:
        return wide
    stand_for = own["_y"]
    if len(stand_for) != rows[0] or "classes_" not in own:
        return len(stand_for) == rows[0]
    classes = own["classes_"] if own["outputs_2d_"] else [own["classes_"]]
    labels = stand_for if own["outputs_2d_"] else stand_for.reshape(-1, 1)
    least, most = labels.min(axis=0), labels.max(axis=0)
    return (
        labels.dtype.kind == "i"
        and labels.shape[1:] == (len(classes),)
        and bool((least >= 0).all())
        and all(m < len(c) for m, c in zip(most, classes, strict=True))
    )


def _fits(own: dict[str, Any], *, classes: bool) -> bool:
    """Without classes both counts are that of all vectors."""
    counts, vectors = np.asarray(own["_n_support"]), own["support_vectors_"]
    groups, count = len(counts), vectors.shape[0]
    pairs = groups * (groups - 1) // 2
    return (
        groups > 1
        and bool((counts >= 0).all())
        and (int(counts.sum()) == count if classes else counts.tolist() == [count, count])
        and own["support_"].shape == (count,)
        and vectors.ndim == 2
        and own["_dual_coef_"].shape == (groups - 1, count)
        and own["_intercept_"].shape == (pairs,)
        and all(own[name].shape in ((0,), (pairs,)) for name in ("_probA", "_probB"))
    )
