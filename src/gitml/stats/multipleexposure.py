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
    order = np.argsort(units, kind="stable")
    units, arms, epochs = units[order], arms[order], epochs[order]
    starts = np.flatnonzero(np.append(True, units[1:] != units[:-1]))
    # Few units were in both arms at all; whether within one epoch is asked of these alone.
    mixed = np.minimum.reduceat(arms, starts) < np.maximum.reduceat(arms, starts)
    rows = np.repeat(mixed, np.diff(starts, append=len(units)))
    order = np.lexsort((arms[rows], epochs[rows], units[rows]))
    units, arms, epochs = units[rows][order], arms[rows][order], epochs[rows][order]
    both = units[1:][(units[1:] == units[:-1]) & (epochs[1:] == epochs[:-1]) & (arms[1:] != arms[:-1])]
    return int((both[1:] != both[:-1]).sum()) + bool(len(both)), len(starts)
