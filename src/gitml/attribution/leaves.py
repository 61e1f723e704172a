"""Trees as their leaves: what a row must be to reach each, and how many training rows did.

For each leaf the splits above it are merged by feature. So whether a row fits is told by one interval, or one set of
categories, for each feature, and no tree is walked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Categories are whole numbers below this, as in scikit-learn's histograms. The last place of a set: all others.
CATEGORIES = 256


@dataclass(frozen=True)
class SplitTree:
    """Nodes of a binary tree, the root first; ``left`` of a leaf is -1.

    A row goes left where its value is at most ``threshold``, or, for a node with ``sets`` (nodes, 257), where its
    category is in the set. ``missing_left``: where NaN goes. ``cover``: training rows that came by. ``values`` has the
    shape (nodes, outputs); those of leaves count.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: Floats
    missing_left: Flags
    cover: Floats
    values: Floats
    sets: dict[int, Flags]


class Condition(NamedTuple):
    """What one feature must be: in (low, high], or in the set; ``missing``: whether NaN fits too."""

    low: float
    high: float
    missing: bool
    allowed: Flags | None
    share: float  # of the rows that came to the splits on this feature, those that went on to the leaf


ANY = Condition(-np.inf, np.inf, True, None, 1.0)


@dataclass(frozen=True)
class LeafGroup:
    """Leaves below splits on equally many features; all arrays have the shape (leaves, features), ``values`` (leaves,
    outputs). ``sets`` holds rows of 257 flags, ``set_at`` which of them a condition has, -1 where it is an interval."""

    features: NDArray[np.int64]
    low: Floats
    high: Floats
    missing: Flags
    share: Floats
    set_at: NDArray[np.int64]
    sets: Flags
    values: Floats


def leaf_groups(trees: Sequence[SplitTree]) -> list[LeafGroup]:
    """All leaves of all trees, by the number of features above them, fewest first."""
    by_length: dict[int, list[tuple[dict[int, Condition], Floats]]] = {}
    for tree in trees:
        for conditions, values in _leaves(tree):
            by_length.setdefault(len(conditions), []).append((conditions, values))
    return [_group(length, some) for length, some in sorted(by_length.items())]


def _leaves(tree: SplitTree) -> Iterator[tuple[dict[int, Condition], Floats]]:
    waiting: list[tuple[int, dict[int, Condition]]] = [(0, {})]
    while waiting:
        node, above = waiting.pop()
        if tree.left[node] < 0:
            yield above, tree.values[node]
            continue
        for child, is_left in ((tree.right[node], False), (tree.left[node], True)):
            waiting.append((int(child), _below(tree, node, int(child), above, is_left=is_left)))


def _below(
    tree: SplitTree, node: int, child: int, above: dict[int, Condition], *, is_left: bool
) -> dict[int, Condition]:
    feature = int(tree.feature[node])
    known = above.get(feature, ANY)
    cover = tree.cover[node]
    share = known.share * (float(tree.cover[child] / cover) if cover > 0 else 0.0)
    missing = known.missing and bool(tree.missing_left[node]) == is_left
    if node in tree.sets:
        side = tree.sets[node] if is_left else ~tree.sets[node]
        allowed = side if known.allowed is None else known.allowed & side
        made = Condition(known.low, known.high, missing, allowed, share)
    else:
        cut = float(tree.threshold[node])
        low, high = (known.low, min(known.high, cut)) if is_left else (max(known.low, cut), known.high)
        made = Condition(low, high, missing, known.allowed, share)
    return {**above, feature: made}


def _group(length: int, leaves: Sequence[tuple[dict[int, Condition], Floats]]) -> LeafGroup:
    flat = [condition for conditions, _ in leaves for condition in conditions.values()]
    shape = (len(leaves), length)
    set_at = np.full(len(flat), -1)
    sets: list[Flags] = []
    for place, condition in enumerate(flat):
        if condition.allowed is not None:
            set_at[place] = len(sets)
            sets.append(condition.allowed)
    return LeafGroup(
        np.array([f for conditions, _ in leaves for f in conditions], np.int64).reshape(shape),
        np.array([c.low for c in flat]).reshape(shape),
        np.array([c.high for c in flat]).reshape(shape),
        np.array([c.missing for c in flat], bool).reshape(shape),
        np.array([c.share for c in flat]).reshape(shape),
        set_at.astype(np.int64).reshape(shape),
        np.array(sets, bool).reshape(len(sets), CATEGORIES + 1),
        np.array([values for _, values in leaves], np.float64).reshape(len(leaves), -1),
    )


def fits(group: LeafGroup, rows: Floats) -> Flags:
    """Whether each row meets each condition: shape (rows, leaves, features)."""
    found = rows[:, group.features]
    absent = np.isnan(found)
    inside = (found > group.low) & (found <= group.high)
    if len(group.sets):
        chosen = group.set_at >= 0
        codes = _codes(found[:, chosen])
        # A negative number is no category: scikit-learn takes it for missing.
        absent[:, chosen] |= found[:, chosen] < 0
        inside[:, chosen] &= group.sets[group.set_at[chosen], codes]
    return np.where(absent, group.missing, inside)


def _codes(values: Floats) -> NDArray[np.int64]:
    sound = (values >= 0) & (values < CATEGORIES)
    return np.where(sound, np.where(sound, values, 0).astype(np.int64), CATEGORIES)
