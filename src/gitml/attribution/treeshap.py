"""Shapley values of trees, exactly: the path-dependent values of Lundberg et al. 2020 ("From local explanations to
global understanding with explainable AI for trees", Nature Machine Intelligence 2), which are what their algorithm 2
computes: a feature that is left out follows both branches, by the shares of training rows that did.

Their algorithm walks each tree and carries a polynomial along. Here all leaves are done at once. A leaf with the value
v below splits on the features D answers, where only S ⊆ D is known, v · Π_{j∈S} o_j · Π_{j∉S} z_j: o_j is 1 if the row
meets its condition, z_j the share of training rows. The weight |S|! (d-|S|-1)! / d! of a Shapley value is the integral
of t^|S| (1-t)^(d-1-|S|) from 0 to 1, so the sum over all S becomes

    φ_i = v (o_i - z_i) ∫ Π_{j≠i} (o_j t + z_j (1-t)) dt

and Gauss and Legendre's rule with ⌈d/2⌉ points integrates this polynomial exactly. Every factor is at least 0, so
nothing cancels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from gitml.attribution.leaves import Flags, Floats, LeafGroup, SplitTree, fits, leaf_groups

# Numbers in one array of a part of the rows: 32 MB.
_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class TreeShap:
    """``width`` features, ``offset``: what is added to the sum of the trees, by output.

    >>> stump = SplitTree(*(np.array(v) for v in ([1, -1, -1], [2, -1, -1], [0, 0, 0], [0.5, 0, 0], [False] * 3)),
    ...                   np.array([4.0, 3.0, 1.0]), np.array([[0.0], [2.0], [6.0]]), {})
    >>> shap = tree_shap([stump], 2, np.array([10.0]))
    >>> shap.base, shap.values(np.array([[1.0, 9.0]]))[0, :, 0]
    (array([13.]), array([3., 0.]))
    """

    groups: tuple[LeafGroup, ...]
    width: int
    offset: Floats

    @property
    def base(self) -> Floats:
        """What is answered where nothing is known of a row: the mean over the training rows. Shape (outputs,)."""
        return self.offset + sum((g.share.prod(axis=1) @ g.values for g in self.groups), np.zeros(len(self.offset)))

    def values(self, rows: Floats) -> Floats:
        """The contribution of each feature to each output, shape (rows, features, outputs). With the base they add up
        to the sum of the trees."""
        found = np.zeros((len(rows), self.width, len(self.offset)))
        for group in self.groups:
            if group.features.shape[1] == 0:
                continue
            step = max(1, _AT_ONCE // (prod(group.features.shape) * _points(group)))
            for start in range(0, len(rows), step):
                part = slice(start, start + step)
                _add(found[part], group, _weights(group, fits(group, rows[part])))
        return found


def tree_shap(trees: Sequence[SplitTree], width: int, offset: Floats) -> TreeShap:
    """``width``: the number of features. Trees are added up: a mean is one of trees whose values were divided."""
    return TreeShap(tuple(leaf_groups(trees)), width, offset)


def _points(group: LeafGroup) -> int:
    return (int(group.features.shape[1]) + 1) // 2


def _weights(group: LeafGroup, met: Flags) -> Floats:
    """φ_i / v of each condition, for each row: shape (rows, leaves, features)."""
    at, weight = np.polynomial.legendre.leggauss(_points(group))
    t, weight = (at + 1) / 2, weight / 2
    factors = group.share[:, :, None] * (1 - t) + met[..., None] * t
    without = _products_of_others(factors) @ weight
    return (met - group.share) * without


def _products_of_others(factors: Floats) -> Floats:
    """Over axis 2, the product of all but each. A factor may be 0, so nothing is divided."""
    others = np.ones_like(factors)
    count = factors.shape[2]
    for place in range(1, count):
        others[:, :, place] = others[:, :, place - 1] * factors[:, :, place - 1]
    after = np.ones_like(factors[:, :, 0])
    for place in range(count - 2, -1, -1):
        after = after * factors[:, :, place + 1]
        others[:, :, place] *= after
    return others


def _add(found: Floats, group: LeafGroup, weights: Floats) -> None:
    rows, width, outputs = found.shape
    place = np.arange(rows)[:, None, None] * width + group.features
    for output in range(outputs):
        part = (weights * group.values[:, output, None]).ravel()
        found[:, :, output] += np.bincount(place.ravel(), part, rows * width).reshape(rows, width)
