"""What all estimates take: rows as numbers, in order of time, and metrics of labels that are known as chances only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gitml.monitoring.harm.losses import SCORES, Floats

# What the model answers: the chance of one of two classes, one of many classes, or a number.
Task = Literal["binary", "classes", "numbers"]
_OF_CLASSES = ("accuracy", "macro_f1")
_OF_TWO = ("auc", "log_loss", "brier", "accuracy", "macro_f1")
_OF_NUMBERS = ("mae", "mse", "rmse", "r2")


@dataclass(frozen=True)
class Rows:
    """``inputs`` (rows × columns): numbers, categories by their codes, NaN for missing. ``predicted`` is what metrics
    take: a chance, a class by its number, or a number. ``scores`` (rows × classes): of each class, where the model
    tells them; one column for two classes. ``day`` is any number of the day, rising."""

    inputs: Floats
    predicted: Floats
    scores: Floats
    day: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.predicted)

    def __getitem__(self, chosen: NDArray[np.generic]) -> Rows:
        return Rows(self.inputs[chosen], self.predicted[chosen], self.scores[chosen], self.day[chosen])

    @property
    def features(self) -> Floats:
        """Inputs and answers side by side."""
        answers = self.scores if self.scores.shape[1] else self.predicted[:, None]
        return np.column_stack([self.inputs, answers])


@dataclass(frozen=True)
class Evaluated:
    """Rows with what really happened: ``truth`` is 0 or 1, the number of a class, or a number."""

    rows: Rows
    truth: Floats
    task: Task

    def __len__(self) -> int:
        return len(self.truth)

    def __getitem__(self, chosen: NDArray[np.generic]) -> Evaluated:
        return Evaluated(self.rows[chosen], self.truth[chosen], self.task)

    def metric(self, name: str, weight: Floats | None = None) -> float:
        return SCORES[name][0](self.truth, self.rows.predicted, np.ones(len(self)) if weight is None else weight)


def suited(task: Task, metrics: Sequence[str]) -> list[str]:
    """Those of the metrics that such answers have.

    >>> suited("binary", ["auc", "mae"]), suited("numbers", ["auc", "mae"])
    (['auc'], ['mae'])
    """
    known = {"binary": _OF_TWO, "classes": _OF_CLASSES, "numbers": _OF_NUMBERS}[task]
    return [name for name in metrics if name in known]


def expected(name: str, chances: Floats, predicted: Floats) -> float:
    """The metric when row i is of class j with ``chances[i, j]``; for two classes only that of the second is given.

    Each row counts once for each class, as often as the chance says.

    >>> expected("brier", np.array([[0.5], [0.5]]), np.array([0.5, 0.9]))
    0.33
    >>> round(expected("accuracy", np.array([[0.2, 0.7, 0.1]]), np.array([1.0])), 3)
    0.7
    """
    whole = np.column_stack([1 - chances[:, 0], chances[:, 0]]) if chances.shape[1] == 1 else chances
    rows, classes = whole.shape
    truth = np.tile(np.arange(classes, dtype=np.float64), rows)
    return SCORES[name][0](truth, np.repeat(predicted, classes), whole.ravel())


def thinned(count: int, most: int) -> NDArray[np.int64]:
    """The places of at most ``most`` of ``count`` rows, spread evenly.

    >>> thinned(5, 3)
    array([0, 1, 3])
    """
    return np.arange(count, dtype=np.int64) if count <= most else np.arange(most, dtype=np.int64) * count // most
