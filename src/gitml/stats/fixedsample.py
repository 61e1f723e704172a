"""A comparison that is looked at once: rows that were held out, not traffic that goes on.

Rows of one unit (a day, a customer) are alike, so the error is that of sums by unit, as in ``gitml.stats.contrast``,
and the quantile is Student's with one degree of freedom less than there are units: K.-Y. Liang and S. L. Zeger,
"Longitudinal data analysis using generalized linear models", Biometrika 73 (1986); A. C. Cameron and D. L. Miller, "A
practitioner's guide to cluster-robust inference", Journal of Human Resources 50 (2015).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gitml.stats.contrast import Contrast, differences
from gitml.stats.influence import mean
from gitml.stats.interval import Interval
from gitml.stats.student import quantile

# With fewer units the error itself is hardly known.
FEWEST_UNITS = 10
_SIDE = 0.975


def interval(found: Contrast) -> Interval | None:
    """95 % for the difference; None where there are too few units to tell.

    >>> from gitml.stats.contrast import paired
    >>> champion, candidate = mean(range(12), [0.0, 1.0] * 6), mean(range(12), [1.0] * 9 + [0.0] * 3)
    >>> told = interval(paired(champion, candidate))
    >>> round(told.low, 2), round(told.high, 2)
    (-0.23, 0.73)
    """
    units = min(found.units)
    if units < FEWEST_UNITS:
        return None
    reach = quantile(_SIDE, units - 1) * found.error
    return Interval(found.difference - reach, found.difference + reach)


def share(unit: NDArray[np.int64], which: NDArray[np.bool_]) -> tuple[float, Interval]:
    """A share of rows with its 95 % interval (E. B. Wilson, JASA 22, 1927), over as many rows as rows of alike units
    are worth (the design effect of L. Kish, 1965). Shares near zero keep an upper end.

    >>> found, told = share(np.arange(100), np.zeros(100, bool))
    >>> found, round(told.low, 3), round(told.high, 3)
    (0.0, 0.0, 0.038)
    """
    told = differences(mean(unit, which.astype(float)), 0.0)
    rows, value, units = len(which), told.difference, max(min(told.units), 2)
    alone = value * (1 - value) / max(rows, 1)
    # Units that are unlike by chance are no reason to count more rows than there are.
    worth = rows / max(told.error**2 / alone, 1.0) if alone > 0 else float(units)
    z = quantile(_SIDE, units - 1)
    centre = (value + z * z / (2 * worth)) / (1 + z * z / worth)
    reach = z / (1 + z * z / worth) * math.sqrt(value * (1 - value) / worth + z * z / (4 * worth * worth))
    return value, Interval(max(centre - reach, 0.0), min(centre + reach, 1.0))


def widening(intervals: int) -> float:
    """By what an interval of 95 % grows so that so many of them hold together (Bonferroni).

    >>> round(widening(1), 2), round(widening(20), 2)
    (1.0, 1.54)
    """
    return quantile(1 - (1 - _SIDE) / max(intervals, 1)) / quantile(_SIDE)
