"""Whether a KPI and a metric of a model go up and down together: correlation of their differences.

Levels of two series that drift correlate without any connection; differences do so less. The p-value is that of
shifts: one series is turned around its end by each number of places, which keeps its own rhythm. With few windows it
cannot be small, and then nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_FEWEST = 8


@dataclass(frozen=True)
class SeriesCorrelation:
    """``correlation`` is None where there is nothing to correlate; ``windows``: differences that both have."""

    correlation: float | None
    p_value: float | None
    windows: int
    reason: str = ""


def correlation_of_differences(one: Sequence[float | None], other: Sequence[float | None]) -> SeriesCorrelation:
    """Of windows that follow one another; None where a value is not known.

    >>> x = [0, 1, 3, 2, 5, 4, 7, 9, 8, 6]
    >>> found = correlation_of_differences(x, [2 * v for v in x])
    >>> round(found.correlation, 6), round(found.p_value, 3)
    (1.0, 0.111)
    """
    if len(one) != len(other):
        raise ValueError("the two series have different windows")
    left, right = (
        np.diff(np.array([np.nan if v is None else v for v in series], dtype=float)) for series in (one, other)
    )
    known = np.isfinite(left) & np.isfinite(right)
    left, right = left[known], right[known]
    count = len(left)
    if count < _FEWEST:
        return SeriesCorrelation(None, None, count, f"{count} differences are known, and it takes {_FEWEST}")
    if np.ptp(left) == 0 or np.ptp(right) == 0:
        return SeriesCorrelation(None, None, count, "one of the two does not change")
    real = float(np.corrcoef(left, right)[0, 1])
    turned = [abs(float(np.corrcoef(left, np.roll(right, n))[0, 1])) for n in range(1, count)]
    # What is rounded differently is no other number.
    p_value = (1 + sum(value >= abs(real) - 1e-12 for value in turned)) / count
    return SeriesCorrelation(real, p_value, count)
