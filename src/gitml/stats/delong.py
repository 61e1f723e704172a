"""The area under the ROC curve, and how far each row moves it.

E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, "Comparing the areas under two or more correlated receiver
operating characteristic curves", Biometrics 44 (1988); by ranks as X. Sun and W. Xu, "Fast implementation of DeLong's
algorithm", IEEE Signal Processing Letters 21 (2014). Rows of one unit: N. A. Obuchowski, Biometrics 53 (1997).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gitml.stats.influence import Floats, Influence, checked, per_observation, whole


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
    of_positive, of_negative = x[positive], x[~positive]
    if not of_positive.size or not of_negative.size:
        raise ValueError("the area under the ROC curve needs rows of both classes")
    placed = np.empty_like(x)
    placed[positive] = _below(of_positive, of_negative)
    placed[~positive] = 1 - _below(of_negative, of_positive)
    value = float(placed[positive].mean())
    share = float(positive.mean())
    return per_observation(value, units, (placed - value) / np.where(positive, share, 1 - share))


def _below(values: Floats, others: Floats) -> Floats:
    """The share of ``others`` below each of the values; equal ones count half."""
    ordered = np.sort(others)
    ranks = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    found: Floats = ranks / (2 * len(ordered))
    return found
