"""Metrics of live predictions against labels, each with weights, so that clusters of rows can be left out in turn."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from gitml.stats import rowlosses

Floats = NDArray[np.float64]
Score = Callable[[Floats, Floats, Floats], float]


def auc(truth: Floats, predicted: Floats, weight: Floats) -> float:
    """Area under the ROC curve; ties count half. NaN where labels are of one kind only.

    >>> auc(np.array([0.0, 1, 0, 1]), np.array([0.1, 0.4, 0.35, 0.8]), np.ones(4))
    1.0
    """
    _, place = np.unique(predicted, return_inverse=True)
    ones, zeros = np.bincount(place, weight * truth), np.bincount(place, weight * (1 - truth))
    below = np.cumsum(zeros) - zeros
    return _ratio(float(np.sum(ones * (below + zeros / 2))), float(ones.sum() * zeros.sum()))


def log_loss(truth: Floats, predicted: Floats, weight: Floats) -> float:
    return _mean(rowlosses.log_loss(truth, predicted), weight)


def mse(truth: Floats, predicted: Floats, weight: Floats) -> float:
    """The Brier score where predictions are probabilities.

    >>> mse(np.array([0.0, 1]), np.array([0.5, 0.5]), np.ones(2))
    0.25
    """
    return _mean(rowlosses.squared(truth, predicted), weight)


def rmse(truth: Floats, predicted: Floats, weight: Floats) -> float:
    return math.sqrt(mse(truth, predicted, weight))


def mae(truth: Floats, predicted: Floats, weight: Floats) -> float:
    return _mean(rowlosses.absolute(truth, predicted), weight)


def r2(truth: Floats, predicted: Floats, weight: Floats) -> float:
    """The coefficient of determination. NaN where all labels are equal.

    >>> r2(np.array([1.0, 2, 3]), np.array([1.0, 2, 2]), np.ones(3))
    0.5
    """
    return 1 - _ratio(mse(truth, predicted, weight), mse(truth, np.full_like(truth, _mean(truth, weight)), weight))


def accuracy(truth: Floats, predicted: Floats, weight: Floats) -> float:
    """Of classes as numbers; probabilities of two classes are cut at one half."""
    return _mean(rowlosses.right(truth, predicted), weight)


def macro_f1(truth: Floats, predicted: Floats, weight: Floats) -> float:
    """The mean over classes, as numbers, of F1; those that are neither there nor answered do not count.

    >>> round(macro_f1(np.array([0.0, 1, 2, 2]), np.array([0.0, 2, 2, 2]), np.ones(4)), 3)
    0.6
    """
    answered = rowlosses.decided(predicted, truth)
    classes, place = np.unique(np.concatenate([truth, answered]), return_inverse=True)
    of_truth, of_answers = place[: len(truth)], place[len(truth) :]
    hits = np.bincount(of_truth, weight * (truth == answered), len(classes))
    both = np.bincount(of_truth, weight, len(classes)) + np.bincount(of_answers, weight, len(classes))
    return float(np.mean(2 * hits[both > 0] / both[both > 0])) if (both > 0).any() else float("nan")


def _mean(values: Floats, weight: Floats) -> float:
    return _ratio(float(weight @ values), float(weight.sum()))


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else float("nan")


# Name → the metric, whether higher is better, and whether labels must be 0 or 1.
SCORES: Mapping[str, tuple[Score, bool, bool]] = {
    "auc": (auc, True, True),
    "log_loss": (log_loss, False, True),
    "brier": (mse, False, True),
    "accuracy": (accuracy, True, False),
    "mae": (mae, False, False),
    "mse": (mse, False, False),
    "rmse": (rmse, False, False),
    "r2": (r2, True, False),
    "macro_f1": (macro_f1, True, False),
}


def inside(metric: str, low: float, high: float) -> tuple[float, float]:
    """An interval without what the metric cannot be.

    >>> inside("auc", 0.7, 1.2), inside("mae", -0.1, 1.2)
    ((0.7, 1.0), (0.0, 1.2))
    """
    most = 1.0 if metric in ("auc", "accuracy", "brier", "r2", "macro_f1") else math.inf
    return (low if metric == "r2" else max(low, 0.0)), min(high, most)
