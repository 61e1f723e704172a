"""The area under the ROC curve, and how far each row moves it.

E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, "Comparing the areas under two or more correlated receiver
operating characteristic curves", Biometrics 44 (1988); by ranks as X. Sun and W. Xu, "Fast implementation of DeLong's
algorithm", IEEE Signal Processing Letters 21 (2014). Rows of one unit: N. A. Obuchowski, Biometrics 53 (1997).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gitml.stats.influence import Floats, Influence, Ints, checked, per_observation, whole


def auc(unit: ArrayLike, truth: ArrayLike, score: ArrayLike) -> Influence:
    """``truth`` (n,) of zeros and ones; a higher ``score`` (n,) says one. Ties count half.

    Raises ValueError where there is only one class.

    >>> auc([1, 2, 3, 4], [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).value
    0.75
    """
    units, y, x = whole("units", unit), checked("truth", truth), checked("scores", score)
    if not np.isin(y, (0.0, 1.0)).all():
        raise ValueError("truth must be 0 or 1")
    positive = y == 1
    share = float(positive.mean()) if y.size else 0.0
    if share in (0.0, 1.0):
        raise ValueError("the area under the ROC curve needs rows of both classes")
    placed = _placed(x, positive)
    value = float(placed[positive].mean())
    return per_observation(value, units, (placed - value) / np.where(positive, share, 1 - share))


def _placed(x: Floats, positive: NDArray[np.bool_]) -> Floats:
    """Of each positive the share of negatives below it, of each negative that of positives above; equal ones half."""
    order = np.argsort(x)
    ordered, is_positive = x[order], positive[order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
    repeats = np.diff(ends, prepend=-1)
    below_positive, below_negative = (_half_below(some, ends, repeats) for some in (is_positive, ~is_positive))
    found = np.empty_like(x)
    found[order] = np.where(is_positive, below_negative, 1 - below_positive)
    return found


def _half_below(some: NDArray[np.bool_], ends: Ints, repeats: Ints) -> Floats:
    """The share of some among the lower values and half of the equal ones, in order."""
    upto = np.cumsum(some)[ends]
    half = (upto + np.concatenate([[0], upto[:-1]])) / (2 * float(some.sum()))
    return np.repeat(half, repeats)
