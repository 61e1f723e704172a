"""Units that both arms answered: they belong to neither, and many of them say that assignment is broken."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from gitml.stats.influence import whole


def counted(unit: ArrayLike, arm: ArrayLike, epoch: ArrayLike) -> tuple[int, int]:
    """How many units were seen in more than one arm within one epoch, and how many units there are, from (n,) rows.

    ``arm``: 0 or 1. A unit that changes its arm with the weight, in another epoch, is meant to. The rate is bounded by
    ``betabinomial.interval(*counted(...), level, side="low")``; a hundredth is what GrowthBook warns of.

    >>> counted([1, 1, 2, 2, 3], [0, 1, 0, 0, 1], [7, 7, 7, 8, 8])
    (1, 3)
    """
    units, arms, epochs = whole("units", unit), whole("arms", arm), whole("epochs", epoch)
    if not units.size:
        return 0, 0
    different, places = np.unique(units, return_inverse=True)
    _, periods = np.unique(epochs, return_inverse=True)
    seen = np.unique((periods * len(different) + places) * 2 + arms)
    twice = seen[1:][seen[1:] // 2 == seen[:-1] // 2] // 2
    return len(np.unique(twice % len(different))), len(different)
