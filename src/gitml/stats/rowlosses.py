"""The loss of each answer against what really happened. Shapes: truth (n,) and predicted (n,) → (n,)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_EDGE = 1e-15


def squared(truth: Floats, predicted: Floats) -> Floats:
    """Its mean is the Brier score where predictions are probabilities."""
    return (predicted - truth) ** 2


def absolute(truth: Floats, predicted: Floats) -> Floats:
    return np.abs(predicted - truth)


def log_loss(truth: Floats, predicted: Floats) -> Floats:
    """In nats; ``truth`` is 0 or 1. Probabilities of 0 and 1 are moved inside by 1e-15."""
    inside = np.clip(predicted, _EDGE, 1 - _EDGE)
    return -(truth * np.log(inside) + (1 - truth) * np.log1p(-inside))


def decision_cost(truth: Floats, did: Floats, false_negative: float, false_positive: float) -> Floats:
    """What each decision ``did`` (0 or 1) cost: C. Elkan, "The foundations of cost-sensitive learning", IJCAI (2001),
    with right decisions for nothing.

    >>> decision_cost(np.array([1.0, 1.0, 0.0, 0.0]), np.array([1.0, 0.0, 1.0, 0.0]), 60, 20).tolist()
    [0.0, 60.0, 20.0, 0.0]
    """
    return false_negative * truth * (1 - did) + false_positive * (1 - truth) * did


def right(truth: Floats, predicted: Floats) -> Floats:
    """1 where the answer is right: the same class, or a probability on the right side of one half.

    >>> right(np.array([0.0, 1.0]), np.array([0.4, 0.4])).tolist()
    [1.0, 0.0]
    """
    found: Floats = (decided(predicted, truth) == truth).astype(np.float64)
    return found


def decided(predicted: Floats, truth: Floats) -> Floats:
    """Probabilities of two classes cut at one half; classes, which are whole numbers, as they are.

    >>> decided(np.array([0.0, 2.0]), np.array([0.0, 1.0])).tolist()
    [0.0, 2.0]
    """
    is_share = np.isin(truth, (0.0, 1.0)).all() and (predicted % 1 != 0).any()
    return np.where(predicted >= 0.5, 1.0, 0.0) if is_share else predicted
