"""How strange a row is among others: the isolation forest, as plain arrays that are data and not code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gitml.errors import UsageError

Floats32 = NDArray[np.float32]

# Of the paper: more trees or rows change little.
_TREES, _ROWS = 100, 256
# Rows at once: what is looked up stays in the processor's cache.
_CHUNK = 8_192
_MOST_NODES = 1 << 22


@dataclass(frozen=True)
class IsolationForest:
    """F. T. Liu, K. M. Ting and Z.-H. Zhou, "Isolation Forest", ICDM (2008), as scikit-learn fits it.

    All nodes of all trees in one array each. At a node a row goes ``left`` if its ``feature`` is at most ``threshold``,
    else ``right``; both point to a leaf itself. ``path`` of a leaf is its depth, and what its rows would add to it.
    ``roots`` are the first nodes of the trees, ``depth`` the longest way, ``usual`` the mean path of any row.

    >>> rng = np.random.default_rng(0)
    >>> forest = fit_forest(rng.normal(size=(1000, 2)).astype(np.float32))
    >>> forest.scores(np.array([[0.0, 0.0], [6.0, -6.0]], dtype=np.float32)).round(2).tolist()
    [0.4, 0.75]
    """

    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    path: NDArray[np.float64]
    roots: NDArray[np.int32]
    depth: int
    usual: float
    columns: int

    def scores(self, rows: Floats32) -> NDArray[np.float64]:
        """From 0 to 1 for each row (N, columns): about .5 for a usual one, near 1 for one that is soon alone."""
        parts = [self._scores(rows[start : start + _CHUNK]) for start in range(0, len(rows), _CHUNK)]
        return np.concatenate([*parts, np.zeros(0)])

    def _scores(self, rows: Floats32) -> NDArray[np.float64]:
        count = len(rows)
        values, place = np.ascontiguousarray(rows.T).ravel(), np.arange(count)
        column, children = self._columns * count, self._children
        total = np.zeros(count)
        for root in self.roots:
            node = np.full(count, root, dtype=np.intp)
            for _ in range(self.depth):
                goes_right = values.take(column.take(node) + place) > self.threshold.take(node)
                node = children.take(2 * node + goes_right)
            total += self.path.take(node)
        return np.asarray(2.0 ** -(total / (len(self.roots) * self.usual)))

    @cached_property
    def _columns(self) -> NDArray[np.intp]:
        return self.feature.astype(np.intp)

    @cached_property
    def _children(self) -> NDArray[np.intp]:
        return np.column_stack([self.left, self.right]).ravel().astype(np.intp)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """For a file; see ``forest_of``."""
        found = {name: getattr(self, name) for name in ("feature", "threshold", "left", "right", "path", "roots")}
        return {**found, "shape": np.array([self.depth, self.columns], dtype=np.int32), "usual": np.array([self.usual])}


def fit_forest(rows: Floats32, seed: int = 0) -> IsolationForest:
    """Of ``rows`` (N, columns) without missing values. The same rows in the same order give the same forest."""
    from sklearn.ensemble import IsolationForest as Fitted

    fitted = Fitted(n_estimators=_TREES, max_samples=min(_ROWS, len(rows)), random_state=seed).fit(rows)
    trees = [one.tree_ for one in fitted.estimators_]
    roots = np.cumsum([0, *(tree.node_count for tree in trees[:-1])])
    nodes = [np.arange(tree.node_count) for tree in trees]
    leaves = [tree.children_left < 0 for tree in trees]

    def joined(parts: list[NDArray[Any]], kind: type[Any] = np.int32) -> NDArray[Any]:
        return np.concatenate(parts).astype(kind)

    def children(side: str) -> NDArray[Any]:
        own = (np.where(leaf, node, getattr(t, side)) for t, leaf, node in zip(trees, leaves, nodes, strict=True))
        return joined([child + root for child, root in zip(own, roots, strict=True)])

    depths = [_depths(tree) for tree in trees]
    paths = [
        np.where(leaf, depth + _mean_path(tree.n_node_samples), 0.0)
        for tree, leaf, depth in zip(trees, leaves, depths, strict=True)
    ]
    return IsolationForest(
        joined([np.where(leaf, 0, tree.feature) for tree, leaf in zip(trees, leaves, strict=True)]),
        joined([np.where(leaf, 0.0, tree.threshold) for tree, leaf in zip(trees, leaves, strict=True)], np.float64),
        children("children_left"), children("children_right"), joined(paths, np.float64), roots.astype(np.int32),
        max(int(depth.max()) for depth in depths), float(_mean_path(np.array([fitted.max_samples_]))[0]) or 1.0,
        rows.shape[1],
    )  # fmt: skip


def _depths(tree: Any) -> NDArray[np.int64]:
    found = np.zeros(tree.node_count, dtype=np.int64)
    for node in range(tree.node_count):  # parents come before their children
        for child in (tree.children_left[node], tree.children_right[node]):
            if child >= 0:
                found[child] = found[node] + 1
    return found


def _mean_path(rows: NDArray[Any]) -> NDArray[np.float64]:
    """Of unsuccessful searches in a binary tree of so many rows (equation 1 of the paper)."""
    n = np.maximum(rows, 3).astype(np.float64)
    long = 2 * (np.log(n - 1) + np.euler_gamma) - 2 * (n - 1) / n
    return np.where(rows > 2, long, np.where(rows == 2, 1.0, 0.0))


def forest_of(arrays: Mapping[str, NDArray[Any]]) -> IsolationForest:
    """Raises UsageError for arrays that are no forest: whatever they hold, scoring ends and stays inside of them."""
    try:
        depth, columns = (int(number) for number in arrays["shape"])
        found = IsolationForest(
            arrays["feature"], arrays["threshold"], arrays["left"], arrays["right"], arrays["path"], arrays["roots"],
            depth, float(arrays["usual"][0]), columns,
        )  # fmt: skip
        well_formed = _is_well_formed(found)
    except (KeyError, ValueError, IndexError, TypeError) as exc:
        raise UsageError(f"the forest lacks {exc}", _ANEW) from exc
    if not well_formed:
        raise UsageError("the forest points out of itself, or holds no numbers", _ANEW)
    return found


_ANEW = "write it anew: gitml outliers"


def _is_well_formed(forest: IsolationForest) -> bool:
    nodes = len(forest.feature)
    whole = (forest.feature, forest.left, forest.right, forest.roots)
    real = (forest.threshold, forest.path)
    return (
        0 < nodes <= _MOST_NODES
        and all(part.dtype == np.int32 and part.ndim == 1 for part in whole)
        and all(part.dtype == np.float64 and part.ndim == 1 and np.isfinite(part).all() for part in real)
        and all(len(part) == nodes for part in (forest.left, forest.right, *real))
        and 0 < len(forest.roots) <= 1_000
        and all(part.min() >= 0 and part.max() < nodes for part in whole[1:])
        and 0 <= forest.feature.min() <= forest.feature.max() < forest.columns
        and 0 <= forest.depth <= 64
        and 0 < forest.usual < np.inf
    )
