"""A metric of one arm together with how far each unit moves it.

Whatever is nearly a mean of contributions can be judged as a mean: F. R. Hampel, "The influence curve and its role in
robust estimation", Journal of the American Statistical Association 69 (1974).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# What is left of subtracting equal numbers is not variation.
_ROUNDING = 1e-11


@dataclass(frozen=True)
class Influence:
    """``value`` less the true one is nearly the sum of ``rows``.

    ``unit``: the unit of assignment of each row, as an integer (n,); rows of one unit may stand anywhere. ``count``:
    observations (requests) behind the value. ``independent``: the variance of ``value`` if those were independent.
    """

    value: float
    unit: Ints
    rows: Floats
    count: float
    independent: float


def checked(name: str, values: ArrayLike) -> Floats:
    """Raises ValueError for a number that is not finite: nothing is known of a metric of which one value is missing."""
    found = np.asarray(values, dtype=np.float64)
    if not np.isfinite(found).all():
        raise ValueError(f"{name} has {int((~np.isfinite(found)).sum())} values that are not finite numbers")
    return found


def whole(name: str, values: ArrayLike) -> Ints:
    """Raises ValueError for labels of units or epochs that are not integers."""
    found = np.asarray(values)
    if found.size and found.dtype.kind not in "iu":
        raise ValueError(f"{name} must be integers, not {found.dtype}")
    return found.astype(np.int64)


def rounded(residuals: Floats, scale: Floats) -> Floats:
    """Residuals without what rounding left: those that are nothing beside the largest of ``scale``."""
    least = _ROUNDING * float(np.max(np.abs(scale), initial=0.0))
    return np.where(np.abs(residuals) <= least, 0.0, residuals)


def per_observation(value: float, unit: Ints, influence: Floats) -> Influence:
    """Of an influence function, a number for each observation, whose mean moves ``value``."""
    n = len(influence)
    rows = influence / max(n, 1)
    return Influence(value, unit, rows, float(n), float(rows @ rows) * n / max(n - 1, 1))


def mean(unit: ArrayLike, values: ArrayLike) -> Influence:
    """The mean of ``values`` (n,): a loss, 0 or 1 for a right or wrong answer, money.

    >>> found = mean([1, 1, 2, 3], [0.0, 1.0, 1.0, 1.0])
    >>> found.value, found.rows.tolist()
    (0.75, [-0.1875, 0.0625, 0.0625, 0.0625])
    """
    units, numbers = whole("units", unit), checked("the metric", values)
    value = float(numbers.mean()) if numbers.size else 0.0
    return per_observation(value, units, rounded(numbers - value, numbers))
