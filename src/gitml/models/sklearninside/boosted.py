"""scikit-learn's histogram gradient boosting, all trees in one call.

The model itself calls its trees one by one from Python, which takes longer than the trees: 200 trees, 1 row, 1 ms. Here
they hang under one root: a column is added that holds the number of a tree, and splits on it lead to that tree. Each
row is repeated once per tree, scikit-learn's own compiled code walks the one large tree, and the leaves are added up in
the model's order, so that results are the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gitml.models.sharedarrays import Keep, as_they_are
from gitml.models.sklearninside import is_known

# Above this many rows the model's own way costs less than the copies of rows.
MOST_ROWS = 256


def boosted(
    model: Any, slow: Callable[[Any], Any], *, probabilities: bool, keep: Keep = as_they_are
) -> Callable[[Any], Any]:
    """A faster ``slow`` for few rows; ``slow`` itself for other models, and where the results are not equal."""
    if not type(model).__name__.startswith("HistGradientBoosting") or not is_known():
        return slow
    try:
        fast = _fast(model, slow, keep, probabilities=probabilities)
        return fast if fast and _equal(fast, slow, model.n_features_in_) else slow
    # A model that another release has fitted may be otherwise inside.
    except (AttributeError, ImportError, IndexError, KeyError, TypeError, ValueError):
        return slow


def _fast(model: Any, slow: Callable[[Any], Any], keep: Keep, *, probabilities: bool) -> Callable[[Any], Any] | None:
    from sklearn.ensemble._hist_gradient_boosting._predictor import _predict_from_raw_data

    trees = [tree for iteration in model._predictors for tree in iteration]  # noqa: SLF001
    if model.is_categorical_ is not None or not trees:
        return None
    width, per_iteration, count = model.n_features_in_, model.n_trees_per_iteration_, len(trees)
    (nodes,) = keep([_one_tree([tree.nodes for tree in trees], width)])
    numbers = np.arange(count, dtype=np.float64)
    no_bits = np.zeros((0, 8), np.uint32)
    no_map = np.zeros(width + 1, np.uint32)
    baseline = np.asarray(model._baseline_prediction, np.float64).reshape(1, 1, per_iteration)  # noqa: SLF001
    loss = model._loss  # noqa: SLF001
    finish = loss.predict_proba if probabilities else lambda raw: loss.link.inverse(raw.ravel())

    def fast(rows: Any) -> Any:
        if len(rows) > MOST_ROWS:
            return slow(rows)
        repeated = np.empty((len(rows), count, width + 1))
        repeated[:, :, :width] = rows[:, None, :]
        repeated[:, :, width] = numbers
        leaves = np.empty(len(rows) * count)
        _predict_from_raw_data(nodes, repeated.reshape(-1, width + 1), no_bits, no_bits, no_map, 1, leaves)
        by_iteration = leaves.reshape(len(rows), -1, per_iteration)
        first = np.broadcast_to(baseline, (len(rows), 1, per_iteration))
        # cumsum adds in order, sum would add in pairs.
        return finish(np.cumsum(np.concatenate([first, by_iteration], axis=1), axis=1)[:, -1])

    return fast


def _one_tree(trees: list[Any], column: int) -> Any:
    """Nodes of a tree that splits on ``column`` until one of ``trees`` is left, and goes on there."""
    top = len(trees) - 1
    starts = top + np.cumsum([0, *(len(nodes) for nodes in trees)])
    merged = np.zeros(int(starts[-1]), trees[0].dtype)
    for nodes, start in zip(trees, starts, strict=False):
        placed = nodes.copy()
        placed["left"] += np.uint32(start)
        placed["right"] += np.uint32(start)
        merged[start : start + len(nodes)] = placed
    used = 0

    def under(low: int, high: int) -> int:
        """Index of the node that leads to the trees from low to high, high excluded."""
        nonlocal used
        if high - low == 1:
            return int(starts[low])
        here, middle = used, (low + high) // 2
        used += 1
        merged[here]["feature_idx"] = column
        merged[here]["num_threshold"] = middle - 0.5
        merged[here]["left"] = under(low, middle)
        merged[here]["right"] = under(middle, high)
        return here

    under(0, len(trees))
    return merged


def _equal(fast: Callable[[Any], Any], slow: Callable[[Any], Any], width: int) -> bool:
    """On random rows of many sizes, with and without missing values."""
    generator = np.random.Generator(np.random.PCG64(0))
    for scale in (1.0, 30.0, 1000.0):
        rows = generator.normal(scale=scale, size=(64, width))
        rows[generator.random(rows.shape) < 0.2] = np.nan
        if not all(np.array_equal(fast(some), slow(some)) for some in (rows, rows[:1], np.abs(np.round(rows)))):
            return False
    return True
