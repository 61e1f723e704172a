"""Metrics on labels, each as a value with how far every row moves it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gitml.stats import delong, deltamethod
from gitml.stats.influence import Influence, mean
from gitml.stats.rowlosses import absolute, decided, decision_cost, log_loss, right, squared

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Events = Literal["positives", "errors", "rows"]


def _precision(unit: Ints, truth: Floats, predicted: Floats) -> Influence:
    said = decided(predicted, truth)
    return deltamethod.share_of(unit, said * truth, said)


def _recall(unit: Ints, truth: Floats, predicted: Floats) -> Influence:
    return deltamethod.share_of(unit, decided(predicted, truth) * truth, truth)


def _mean_of(loss: Callable[[Floats, Floats], Floats]) -> Callable[[Ints, Floats, Floats], Influence]:
    return lambda unit, truth, predicted: mean(unit, loss(truth, predicted))


@dataclass(frozen=True)
class LabelledMetric:
    """``influence`` of units, labels and answers; ``of_two``: labels are 0 or 1; ``rate``: the mean of zeros and ones.
    ``events`` are what a minimum counts. ``bearing``: of one between 0 and 1 the rows that it rests on, by kind; where
    a share of these changes, it moves by no more than that share."""

    influence: Callable[[Ints, Floats, Floats], Influence]
    higher: bool
    of_two: bool
    events: Events
    rate: bool = False
    bearing: Callable[[Floats, Floats], Sequence[NDArray[np.bool_]]] | None = None


def _all_rows(truth: Floats, predicted: Floats) -> Sequence[NDArray[np.bool_]]:
    return (np.ones(len(truth), bool),)


def _both_classes(truth: Floats, predicted: Floats) -> Sequence[NDArray[np.bool_]]:
    return truth == 1, truth == 0


def _positives(truth: Floats, predicted: Floats) -> Sequence[NDArray[np.bool_]]:
    return (truth == 1,)


def _positive_answers(truth: Floats, predicted: Floats) -> Sequence[NDArray[np.bool_]]:
    return (decided(predicted, truth) == 1,)


METRICS: Mapping[str, LabelledMetric] = {
    "auc": LabelledMetric(delong.auc, higher=True, of_two=True, events="positives", bearing=_both_classes),
    "log_loss": LabelledMetric(_mean_of(log_loss), higher=False, of_two=True, events="positives"),
    "brier": LabelledMetric(_mean_of(squared), higher=False, of_two=True, events="positives"),
    "accuracy": LabelledMetric(
        _mean_of(right), higher=True, of_two=False, events="errors", rate=True, bearing=_all_rows
    ),
    "precision": LabelledMetric(_precision, higher=True, of_two=True, events="positives", bearing=_positive_answers),
    "recall": LabelledMetric(_recall, higher=True, of_two=True, events="positives", bearing=_positives),
    "mae": LabelledMetric(_mean_of(absolute), higher=False, of_two=False, events="rows"),
    "mse": LabelledMetric(_mean_of(squared), higher=False, of_two=False, events="rows"),
    "rmse": LabelledMetric(
        lambda unit, truth, predicted: deltamethod.root_mean_square(unit, predicted - truth),
        higher=False,
        of_two=False,
        events="rows",
    ),
}


def decision_metric(false_negative: float, false_positive: float) -> LabelledMetric:
    """What a decision costs, on average; answers are decisions already, 0 or 1."""
    loss = partial(decision_cost, false_negative=false_negative, false_positive=false_positive)
    return LabelledMetric(_mean_of(loss), higher=False, of_two=True, events="positives")


def events_in(metric: LabelledMetric, truth: Floats, predicted: Floats) -> int:
    """How many rows tell something: the rarer of both classes, wrong answers, or all rows."""
    if metric.events == "rows" or not len(truth):
        return len(truth)
    if metric.events == "errors":
        wrong = int(len(truth) - right(truth, predicted).sum())
        return min(wrong, len(truth) - wrong)
    positives = int((truth == 1).sum())
    return min(positives, len(truth) - positives)
