"""Two versions on the same rows: metrics paired row by row, decisions that flip, calibration, groups. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gitml.reports.holdoutfacts import CalibrationPair, Flips, SliceRow
from gitml.reports.rowfacts import Row
from gitml.rollout.metrics import METRICS, LabelledMetric
from gitml.spec.holdout import DecisionCost
from gitml.stats import fixedsample
from gitml.stats.comparison import Difference, reading_of
from gitml.stats.contrast import paired
from gitml.stats.influence import Influence, mean
from gitml.stats.refits import Refits, widened
from gitml.stats.rowlosses import decision_cost

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_BINS = 10
# Metrics that cut answers at one half, whatever the application's own threshold is.
_AT_HALF = frozenset({"accuracy", "precision", "recall"})
# A group with fewer rows is named and not judged.
_FEWEST_IN_SLICE = 100
_FEWEST_NAMED, _OTHERS = 20, "(all others)"


@dataclass(frozen=True)
class AnsweredRows:
    """Shapes (n,). ``unit``: which rows count as one observation. ``numeric``: labels and answers are numbers, else
    codes of words."""

    unit: Ints
    truth: Floats
    old: Floats
    new: Floats
    numeric: bool = True

    def part(self, rows: NDArray[np.bool_]) -> AnsweredRows:
        return replace(self, unit=self.unit[rows], truth=self.truth[rows], old=self.old[rows], new=self.new[rows])

    @property
    def units(self) -> int:
        return len(np.unique(self.unit))

    @property
    def finite(self) -> bool:
        return all(bool(np.isfinite(side).all()) for side in (self.truth, self.old, self.new))

    @property
    def of_two(self) -> bool:
        """Whether labels are 0 or 1 and answers probabilities."""
        inside = all(((side >= 0) & (side <= 1)).all() for side in (self.old, self.new))
        return bool(self.numeric and inside and np.isin(self.truth, (0.0, 1.0)).all())


@dataclass(frozen=True)
class MetricRules:
    """``better``: metric → direction, in the order of gitml.yaml. ``refits`` by metric: of the new and the old version.
    ``thresholds`` of the old and the new version. ``cost``: what wrong decisions cost, as its own metric."""

    better: Mapping[str, str]
    refits: Mapping[str, tuple[Refits | None, Refits | None]]
    thresholds: tuple[float, float] = (0.5, 0.5)
    cost: DecisionCost | None = None


def metric_rows(rows: AnsweredRows, rules: MetricRules) -> tuple[Row, ...]:
    """Of each metric under ``better`` that rows can tell, new less old, with its 95 % interval."""
    return tuple(Row.of(_difference(name, rows, rules)) for name in tellable(rows, rules))


def tellable(rows: AnsweredRows, rules: MetricRules) -> list[str]:
    """The metrics under ``better`` that rows alone can tell."""
    return [name for name in rules.better if _fits(name, rows, rules)]


def _fits(name: str, rows: AnsweredRows, rules: MetricRules) -> bool:
    if rules.cost and name == rules.cost.metric:
        return rows.of_two
    metric = METRICS.get(name)
    return metric is not None and _tells(name, metric, rows, rules)


def _tells(name: str, metric: LabelledMetric, rows: AnsweredRows, rules: MetricRules) -> bool:
    if not rows.numeric:
        return name == "accuracy"
    own_cut = any(threshold != 0.5 for threshold in rules.thresholds)
    if rows.of_two:
        return not (name in _AT_HALF and own_cut) and len(np.unique(rows.truth)) == 2
    return not metric.of_two


def _influences(name: str, rows: AnsweredRows, rules: MetricRules) -> tuple[Influence, Influence]:
    """Of the old and the new version."""
    if rules.cost and name == rules.cost.metric:
        prices = rules.cost.false_negative, rules.cost.false_positive
        old, new = (
            mean(rows.unit, decision_cost(rows.truth, (side >= cut).astype(float), *prices))
            for side, cut in zip((rows.old, rows.new), rules.thresholds, strict=True)
        )
        return old, new
    old, new = (METRICS[name].influence(rows.unit, rows.truth, side) for side in (rows.old, rows.new))
    return old, new


def _difference(name: str, rows: AnsweredRows, rules: MetricRules) -> Difference:
    old, new = _influences(name, rows, rules)
    found = paired(old, new)
    told = Difference(name, found.candidate, found.champion, found.difference, paired=True)
    bounds = fixedsample.interval(found)
    if bounds is None:
        return told
    low, high, freedom = widened(bounds.low, bounds.high, *rules.refits.get(name, (None, None)))
    reading = reading_of((low, high), rules.better.get(name))
    return replace(told, low=low, high=high, reading=reading, freedom=freedom)


def flips(rows: AnsweredRows, rules: MetricRules) -> Flips | None:
    """Where the two decide differently; None where an answer is a quantity, which decides nothing."""
    if rows.numeric and not rows.of_two and not _are_classes(rows):
        return None
    cuts = rules.thresholds if rows.of_two else None
    old, new = (
        (side >= cut).astype(float) if cuts else side
        for side, cut in zip((rows.old, rows.new), cuts or (0.0, 0.0), strict=True)
    )
    differ = old != new
    value, bounds = fixedsample.share(rows.unit, differ)
    gained, lost = (int((differ & (side == rows.truth)).sum()) for side in (new, old))
    return Flips(value, bounds.low, bounds.high, gained, lost)


def _are_classes(rows: AnsweredRows) -> bool:
    """Whole numbers, and few of them."""
    both = np.concatenate([rows.truth, rows.old, rows.new])
    return bool((both % 1 == 0).all()) and len(np.unique(both)) <= 100


def calibration(rows: AnsweredRows) -> CalibrationPair | None:
    """Only of probabilities."""
    if not rows.of_two or not len(rows.truth):
        return None
    old, new = (calibration_error(rows.truth, side) for side in (rows.old, rows.new))
    return CalibrationPair(float(rows.old.mean()), float(rows.new.mean()), old, new)


def calibration_error(truth: Floats, predicted: Floats) -> float:
    """The mean distance between mean answer and share of positives in ten bins of equal size.

    >>> calibration_error(np.array([0.0, 1.0]), np.array([0.0, 0.9]))
    0.05
    """
    order = np.argsort(predicted, kind="stable")
    parts = [part for part in np.array_split(order, _BINS) if len(part)]
    apart = sum(len(part) * abs(predicted[part].mean() - truth[part].mean()) for part in parts)
    return round(float(apart / max(len(truth), 1)), 12)


def slice_rows(
    rows: AnsweredRows, groups: Mapping[str, list[Any]], rules: MetricRules, most: int = 100
) -> Iterator[SliceRow]:
    """The first metric by group. All judged groups together hold at 95 % (Bonferroni)."""
    found = list(_groups(groups, most))
    first = next(iter(tellable(rows, rules)), None)
    judged = [(c, v, mask, first and _slice(rows.part(mask), first, rules)) for c, v, mask in found]
    count = sum(bool(row) for *_, row in judged)
    for column, value, mask, row in judged:
        yield SliceRow(column, value, int(mask.sum()), _wide(row, count, rules) if row else None)


def _groups(groups: Mapping[str, list[Any]], most: int) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """The most frequent ones by name. A value that few rows have may tell of a person, and is not named."""
    for column, values in groups.items():
        said = ["missing" if value is None else str(value) for value in values]
        often = {value for value, rows in Counter(said).most_common(most) if rows >= _FEWEST_NAMED}
        words = np.array([value if value in often else _OTHERS for value in said], dtype=object)
        for value in sorted(set(words.tolist())):
            yield column, value, words == value


def _slice(rows: AnsweredRows, name: str, rules: MetricRules) -> Row | None:
    few = len(rows.truth) < _FEWEST_IN_SLICE or rows.units < fixedsample.FEWEST_UNITS
    if few or name not in tellable(rows, rules):
        return None
    return Row.of(_difference(name, rows, rules))


def _wide(row: Row, count: int, rules: MetricRules) -> Row:
    if row.low is None or row.high is None or row.value is None:
        return row
    more = fixedsample.widening(count)
    low, high = row.value - more * (row.value - row.low), row.value + more * (row.high - row.value)
    return replace(row, low=low, high=high, reading=reading_of((low, high), rules.better.get(row.metric)))
