"""The suitability filter: is it certain, without labels, that the model is hardly less accurate than in its evaluation?

A. Pouget, M. Yaghini, S. Rabanser and N. Papernot, "Suitability filter: a statistical framework for classifier
evaluation in real-world deployment settings", ICML 2025 (PMLR 267). Signals of the model's answers (confidence, margin,
entropy) go into a logistic regression C, fitted on one half of the evaluated rows, that says how probably an answer is
correct. Welch's test then holds the mean of C over the window against its mean over the other half, less a margin m:
H0: mean(window) <= mean(test) - m. Rejecting it makes the model *suitable*; not rejecting it says nothing, least of all
that the model is bad. What cannot be seen in the answers it does not see.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr
from sklearn.linear_model import LogisticRegression

from gitml.monitoring.estimates.answers import Suitability
from gitml.monitoring.estimates.rows import Evaluated, Rows
from gitml.monitoring.harm.losses import Floats
from gitml.sketches.alike import correlation

_LEAST = 30
_EDGE = 1e-6


class Mean(NamedTuple):
    """Of ``rows`` independent draws with this variance."""

    mean: float
    variance: float
    rows: float


def welch(user: Mean, test: Mean, margin: float) -> float:
    """The p-value of non-inferiority: small where the mean of ``user`` surely lies above that of ``test`` - ``margin``.

    B. L. Welch, "The generalization of 'Student's' problem when several different population variances are involved",
    Biometrika 34 (1947).

    >>> round(welch(Mean(0.80, 0.04, 100), Mean(0.82, 0.04, 200), 0.05), 4)
    0.1111
    >>> welch(Mean(0.8, 0.0, 50), Mean(0.8, 0.0, 50), 0.05)
    0.0
    """
    a, b = user.variance / user.rows, test.variance / test.rows
    above = user.mean - test.mean + margin
    if a + b <= 0:
        return 0.0 if above > 0 else 1.0
    freedom = (a + b) ** 2 / (a**2 / max(user.rows - 1, 1e-9) + b**2 / max(test.rows - 1, 1e-9))
    return float(stdtr(freedom, -above / math.sqrt(a + b)))


def signals(rows: Rows) -> Floats:
    """Confidence, margin to the second class, entropy, and the log of the odds of the likeliest class."""
    p = np.clip(rows.scores, _EDGE, 1 - _EDGE)
    chances = np.column_stack([1 - p[:, 0], p[:, 0]]) if p.shape[1] == 1 else p / p.sum(axis=1, keepdims=True)
    ordered = np.sort(chances, axis=1)
    best, second = ordered[:, -1], ordered[:, -2]
    entropy = -(chances * np.log(chances)).sum(axis=1)
    return np.column_stack([best, best - second, entropy, np.log(best / (1 - np.minimum(best, 1 - _EDGE)))])


def suitability(evaluated: Evaluated, live: Rows, margin: float, level: float = 0.05) -> Suitability | str:
    """Or why it cannot be told. Rows of one day are alike: how much so is measured on the evaluated rows."""
    if evaluated.task == "numbers" or not evaluated.rows.scores.shape[1]:
        return "the model tells no chances of classes"
    if len(live) < _LEAST or len(evaluated) < 2 * _LEAST:
        return f"too little: {len(live)} live and {len(evaluated)} evaluated rows, {_LEAST} and {2 * _LEAST} are needed"
    if ((evaluated.rows.scores < 0) | (evaluated.rows.scores > 1)).any():
        return "scores lie outside 0 to 1"
    correct = _correct(evaluated)
    if correct.all() or not correct.any():
        return "all evaluated answers are right, or all are wrong"
    # Every other row, so that both halves have all days.
    fit = np.arange(len(evaluated)) % 2 == 0
    if correct[fit].all() or not correct[fit].any():
        return "too few evaluated answers are wrong, or right"
    scale = _Scale(signals(evaluated.rows[fit]))
    right = LogisticRegression(max_iter=200).fit(scale.of(signals(evaluated.rows[fit])), correct[fit])
    on_test = right.predict_proba(scale.of(signals(evaluated.rows[~fit])))[:, 1]
    on_live = right.predict_proba(scale.of(signals(live)))[:, 1]
    alike = _alike(on_test, evaluated.rows.day[~fit])
    test, user = _mean(on_test, evaluated.rows.day[~fit], alike), _mean(on_live, live.day, alike)
    p_value = welch(user, test, margin)
    return Suitability(p_value < level, p_value, user.mean, test.mean, margin, level, user.rows)


class _Scale:
    def __init__(self, columns: Floats) -> None:
        self._mean, spread = columns.mean(axis=0), columns.std(axis=0)
        self._spread = np.where(spread > 0, spread, 1.0)

    def of(self, columns: Floats) -> Floats:
        return np.asarray((columns - self._mean) / self._spread, dtype=np.float64)


def _correct(evaluated: Evaluated) -> NDArray[np.bool_]:
    predicted = evaluated.rows.predicted
    chosen = (predicted >= 0.5).astype(np.float64) if evaluated.task == "binary" else predicted
    return np.asarray(chosen == evaluated.truth)


def _alike(values: Floats, day: NDArray[np.int64]) -> float:
    _, place = np.unique(day, return_inverse=True)
    rows = np.bincount(place).astype(np.float64)
    return correlation(rows, np.bincount(place, values).astype(np.float64), float((values**2).sum()))


def _mean(values: Floats, day: NDArray[np.int64], alike: float) -> Mean:
    """With the design effect of L. Kish, "Survey sampling" (1965), section 8.2."""
    _, place = np.unique(day, return_inverse=True)
    rows = np.bincount(place).astype(np.float64)
    size = float((rows**2).sum() / rows.sum())
    return Mean(float(values.mean()), float(values.var(ddof=1)), len(values) / max(1.0, 1 + (size - 1) * alike))
