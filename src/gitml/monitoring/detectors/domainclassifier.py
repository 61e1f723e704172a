"""How well a classifier tells rows of the window from rows of the reference: all columns at once.

It learns on one half of the clusters and is tested on the other, and the other way round. If nothing has changed, its
scores on clusters that it has not seen say nothing, whatever it learned: so the test is exact, whichever the
classifier. D. Lopez-Paz and M. Oquab, "Revisiting classifier two-sample tests", ICLR 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gitml.monitoring.detectors.clusterpermutation import Separation, mid_ranks, permutation_test, quantile
from gitml.monitoring.detectors.detector import ColumnEvidence, Detection, DetectorRows, too_little, unreachable
from gitml.monitoring.promise import LEAST_ROWS
from gitml.sketches.gather import is_number

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

# Independent rows are gathered into blocks: so many of the window, and at most so many of the reference are tested.
_BLOCKS, _MOST_CLUSTERS = 40, 800
# Clusters that have fewer rows than nine of ten others are not tested; the classifier learns from them all the same.
_SMALL = 0.1
# Cells of a column in the classifier; words have one each, and one for all others.
_CELLS, _CATEGORIES = 64, 60
# Which columns matter is looked at where there may be something, on so many rows.
_WORTH_A_LOOK, _LOOKED_AT, _NAMED = 0.05, 4_000, 5
_FOLDS = 2


@dataclass(frozen=True)
class DomainClassifier:
    """``floor``: by how much the area under the curve has to exceed one half surely (95 %). An area of .5 + x means
    that at least a part x of all rows has moved, in the unit of total variation."""

    floor: float = 0.05
    seed: int = 0
    trees: int = 60
    name: str = "domain-classifier"

    def judge(self, reference: DetectorRows, live: DetectorRows, level: float) -> Detection:
        rng = np.random.default_rng(self.seed)
        if not reference.table.column_names:
            return too_little(self.name, "no input is watched: those of the signature are private", level)
        if len(live) < LEAST_ROWS or len(reference) < LEAST_ROWS:
            short = "window" if len(live) < LEAST_ROWS else "reference"
            why = f"too little: the {short} has {min(len(live), len(reference))} rows, and {LEAST_ROWS} are needed"
            return too_little(self.name, why, level)
        groups = [_grouped(rows, len(live), rng) for rows in (reference, live)]
        size = _tested_rows(groups)
        halves = [_dealt(group, size, rng) for group in groups]
        if any(not fold for folds in halves for fold in folds):
            days = min(len(group) for group in groups)
            return too_little(self.name, f"too little: rows of {days} cluster, and {_FOLDS} are needed", level)
        values, categorical = _encoded(reference.table, live.table)
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):  # sums of several threads differ from run to run
            folds = [
                self._fold(values, categorical, groups, halves, k, size, level / _FOLDS, rng) for k in range(_FOLDS)
            ]
        return self._detection([*reference.table.column_names], folds, level, len(groups[1]))

    def _fold(
        self, values: tuple[Floats, Floats], categorical: list[bool], groups: Sequence[list[Whole]],
        halves: Sequence[list[list[int]]], k: int, size: int, level: float, rng: np.random.Generator,
    ) -> tuple[Separation, Floats]:  # fmt: skip
        """Learns on the clusters outside of fold ``k``, and tests on those inside."""
        learned = [
            np.concatenate([rows for place, rows in enumerate(group) if place not in set(folds[k])])
            for group, folds in zip(groups, halves, strict=True)
        ]
        model = _fitted(values, learned, categorical, self.trees, self.seed)
        tested = [
            np.stack([rng.choice(group[place], size, replace=False) for place in folds[k]])
            for group, folds in zip(groups, halves, strict=True)
        ]
        scores = [model(x[rows.ravel()]).reshape(rows.shape) for x, rows in zip(values, tested, strict=True)]
        found = permutation_test(scores[0], scores[1], level, rng)
        if found.p > _WORTH_A_LOOK:
            return found, np.zeros(values[0].shape[1])
        return found, _importance(model, [x[rows.ravel()] for x, rows in zip(values, tested, strict=True)], rng)

    def _detection(
        self, columns: Sequence[str], folds: Sequence[tuple[Separation, Floats]], level: float, clusters: int
    ) -> Detection:
        p = min(1.0, _FOLDS * min(found.p for found, _ in folds))
        auc = float(np.mean([found.auc for found, _ in folds]))
        errors = [found.error for found, _ in folds if found.error is not None]
        low = high = None
        if len(errors) == _FOLDS:
            half = quantile(clusters - _FOLDS + 1) * float(np.sqrt(np.square(errors).sum())) / _FOLDS
            low, high = max(0.0, auc - half), min(1.0, auc + half)
        drops = np.mean([drop for _, drop in folds], axis=0)
        order = [i for i in np.argsort(-drops, kind="stable").tolist() if drops[i] > 0][:_NAMED]
        named = tuple(ColumnEvidence(columns[i], float(drops[i])) for i in order)
        surely = low is not None and low > 0.5 + self.floor
        why = unreachable(_FOLDS * min(found.least for found, _ in folds), level)
        if why:
            why += "; more clusters of rows, or rows declared independent (clusters: []), would do"
        return Detection(self.name, p <= level and surely, p, auc, level, low, high, named, why)


def _grouped(rows: DetectorRows, live: int, rng: np.random.Generator) -> list[Whole]:
    """The rows of each cluster; independent rows are shuffled into blocks of as many as the window's have."""
    if rows.clusters is not None:
        order = np.argsort(rows.clusters, kind="stable")
        _, starts = np.unique(rows.clusters[order], return_index=True)
        return np.split(order, starts[1:])
    size = max(1, live // _BLOCKS)
    shuffled = rng.permutation(len(rows))
    return np.array_split(shuffled, max(1, len(rows) // size))


def _tested_rows(groups: Sequence[list[Whole]]) -> int:
    """How many rows of each cluster are tested. It follows from the sizes alone, and is the same for both sides: a
    cluster of more rows would have a steadier mean, and could be told apart by that."""
    return max(1, int(min(np.quantile([len(rows) for rows in group], _SMALL) for group in groups)))


def _dealt(group: list[Whole], size: int, rng: np.random.Generator) -> list[list[int]]:
    """The clusters that are tested, in folds."""
    large = [place for place, rows in enumerate(group) if len(rows) >= size]
    mixed = [large[i] for i in rng.permutation(len(large))[:_MOST_CLUSTERS]]
    return [mixed[k::_FOLDS] for k in range(_FOLDS)]


def _encoded(reference: pa.Table, live: pa.Table) -> tuple[tuple[Floats, Floats], list[bool]]:
    """Numbers as they are, words as codes of the most frequent ones of both: which side a row is from plays no part."""
    both = [_joined(reference.column(name), live.column(name)) for name in reference.column_names]
    columns, categorical = zip(*map(_codes, both), strict=True)
    values = np.column_stack(columns)
    rows = reference.num_rows
    return (values[:rows], values[rows:]), list(categorical)


def _joined(some: Any, others: Any) -> Any:
    """One column of both; numbers here and words there are all words."""
    kinds = [column.type for column in (some, others) if not pa.types.is_null(column.type)]
    kind = pa.float64() if kinds and all(map(is_number, kinds)) else pa.string()
    return pa.chunked_array([*some.cast(kind, safe=False).chunks, *others.cast(kind, safe=False).chunks], kind)


def _codes(column: Any) -> tuple[Floats, bool]:
    if is_number(column.type):
        return np.clip(column.to_numpy(), -1e300, 1e300), False
    words = column.combine_chunks()
    counted = pc.value_counts(words.drop_null())
    often = sorted(((c["counts"], c["values"]) for c in counted.to_pylist()), key=lambda c: (-c[0], c[1]))
    known = pa.array([word for _, word in often[:_CATEGORIES]], pa.string())
    places = pc.fill_null(pc.index_in(words, known), len(known))  # all others are one
    codes: Floats = places.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.where(words.is_null().to_numpy(zero_copy_only=False), np.nan, codes), True


def _fitted(
    values: tuple[Floats, Floats], rows: Sequence[Whole], categorical: list[bool], trees: int, seed: int
) -> Any:
    """A function from rows to scores."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    x = np.concatenate([side[some] for side, some in zip(values, rows, strict=True)])
    y = np.repeat([0, 1], [len(some) for some in rows])
    model = HistGradientBoostingClassifier(
        max_iter=trees, max_leaf_nodes=15, max_bins=_CELLS, min_samples_leaf=10, l2_regularization=1.0,
        early_stopping=False, class_weight="balanced", random_state=seed,
        categorical_features=categorical,
    )  # fmt: skip
    return model.fit(x, y).decision_function


def _importance(model: Any, tested: Sequence[Floats], rng: np.random.Generator) -> Floats:
    """By how much the area falls when a column's values are dealt out anew.

    L. Breiman, "Random forests", Machine Learning 45 (2001), section 10.
    """
    some = [x[rng.permutation(len(x))[:_LOOKED_AT]] for x in tested]
    x, second = np.concatenate(some), np.repeat([False, True], [len(part) for part in some])
    whole = _area(model(x), second)
    drops = []
    for place in range(x.shape[1]):
        changed = x.copy()
        changed[:, place] = rng.permutation(changed[:, place])
        drops.append(whole - _area(model(changed), second))
    return np.array(drops)


def _area(scores: Floats, second: NDArray[np.bool_]) -> float:
    n = int(second.sum())
    return float((mid_ranks(scores)[second].sum() - n * (n + 1) / 2) / (n * (len(second) - n)))
