"""Shapley values of any function, by sampling orders of the features (Štrumbelj and Kononenko 2014, "Explaining
prediction models and individual predictions with feature contributions"; pairs of an order and its reverse after
Mitchell et al. 2022, "Sampling permutations for Shapley value estimation").

A background row becomes the explained row, feature by feature, in a random order and then in its reverse. What the
answer changes by when a feature is set is one draw of its contribution. The changes of one walk add up to the
difference of the two answers, so the mean does too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gitml.attribution.leaves import Floats
from gitml.errors import UsageError

Rows = NDArray[Any]
# The fewest pairs of walks that say how far they lie apart.
_FEWEST = 8


@dataclass(frozen=True)
class Sampled:
    """``values`` and their standard ``errors`` have the shape (features, outputs), ``base`` (outputs,): the mean answer
    to the background rows of the walks. ``walks``: pairs of them. ``calls``: rows that the function answered."""

    values: Floats
    errors: Floats
    base: Floats
    walks: int
    calls: int


def permutation_shap(score: Callable[[Rows], Floats], row: Rows, background: Rows, budget: int, seed: int) -> Sampled:
    """``score``: rows to answers (rows, outputs). ``row`` has the shape (features,), ``background`` (rows, features).
    ``budget``: the most rows that ``score`` may answer.

    The same seed gives the same values. Raises UsageError for a budget below eight pairs of walks, which could not tell
    their error, and for an empty background.

    >>> double = lambda rows: 2 * rows.sum(axis=1, keepdims=True)
    >>> found = permutation_shap(double, np.array([1.0, 5.0]), np.zeros((3, 2)), 100, seed=1)
    >>> found.values[:, 0], found.errors[:, 0], found.base
    (array([ 2., 10.]), array([0., 0.]), array([0.]))
    """
    width = len(row)
    walks = budget // (2 * width)
    if walks < _FEWEST:
        raise UsageError(
            f"{budget} calls are too few for {width} inputs", f"allow at least {2 * width * _FEWEST:,} calls"
        )
    if not len(background):
        raise UsageError("there are no rows to compare with", "name `samples` in gitml.yaml, and train it again")
    generator = np.random.Generator(np.random.PCG64(seed))
    starts = _shuffled(generator, len(background), walks)
    orders = np.argsort(generator.random((walks, width)), axis=1)
    asked = _walks(row, background[starts], orders)
    answers = np.asarray(score(asked.reshape(-1, width)), np.float64).reshape(walks, 2 * width, -1)
    draws = _changes(answers, orders)
    errors = draws.std(axis=0, ddof=1) / np.sqrt(walks)
    return Sampled(draws.mean(axis=0), errors, answers[:, 0].mean(axis=0), walks, asked.shape[0] * asked.shape[1])


def _shuffled(generator: np.random.Generator, count: int, wanted: int) -> NDArray[np.int64]:
    """``wanted`` places among ``count``, each as often as the others, up to one."""
    rounds = [generator.permutation(count) for _ in range(-(-wanted // count))]
    return np.concatenate(rounds)[:wanted]


def _walks(row: Rows, starts: Rows, orders: NDArray[np.int64]) -> Rows:
    """Rows of all walks, shape (walks, 2 · features, features): the background row, then one feature of the explained
    row more each time up to all of them; then the reverse, without the two ends that it shares with the first."""
    walks, width = orders.shape
    rank = np.argsort(orders, axis=1)
    steps = np.arange(width + 1)[:, None]
    forward = rank[:, None, :] < steps
    backward = rank[:, None, :] >= width - steps[1:-1]
    known = np.concatenate([forward, backward], axis=1)
    return np.where(known, row, starts[:, None, :]).reshape(walks, 2 * width, width)


def _changes(answers: Floats, orders: NDArray[np.int64]) -> Floats:
    """The mean change of each pair of walks by feature: shape (walks, features, outputs)."""
    walks, width = orders.shape
    first, last = answers[:, :1], answers[:, width : width + 1]
    forward = np.diff(answers[:, : width + 1], axis=1)
    backward = np.diff(np.concatenate([first, answers[:, width + 1 :], last], axis=1), axis=1)
    rank = np.argsort(orders, axis=1)
    at = np.arange(walks)[:, None]
    found: Floats = (forward[at, rank] + backward[at, width - 1 - rank]) / 2
    return found
