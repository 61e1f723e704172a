"""How far each method would have been off on the reference itself: a period at a time is taken as live."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gitml.monitoring.estimates.density_ratio import density_ratio
from gitml.monitoring.estimates.method import Method
from gitml.monitoring.estimates.rows import Evaluated

LEAST_PERIODS, MOST_PERIODS = 3, 8


@dataclass(frozen=True)
class Backtest:
    """``errors``: method → metric → root mean squared error over the ``periods``. ``as_before``: that of saying that
    every period is as the rest of the reference. ``days``: how many a period has, on average."""

    periods: int
    days: float
    rows: int
    errors: Mapping[str, Mapping[str, float]]
    as_before: Mapping[str, float]

    def best(self, metric: str) -> str:
        """The method with the smallest error; '' where none could be measured.

        >>> Backtest(3, 1, 9, {"a": {"auc": 0.2}, "b": {"auc": 0.1}, "c": {}}, {}).best("auc")
        'b'
        """
        known = [name for name, errors in self.errors.items() if metric in errors]
        return min(known, key=lambda name: self.errors[name][metric], default="")


def periods(day: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """The number of each row's period, from 0: 3 to 8 of them, of ``length`` days where that can be; no day is cut in
    two. Empty where there are fewer than three days.

    >>> periods(np.array([4, 4, 5, 6, 8, 8]), 1).tolist()
    [0, 0, 1, 2, 3, 3]
    """
    days, place = np.unique(day, return_inverse=True)
    if len(days) < LEAST_PERIODS:
        return np.zeros(0, dtype=np.int64)
    count = min(max(len(days) // max(length, 1), LEAST_PERIODS), MOST_PERIODS)
    return np.asarray(place * count // len(days), dtype=np.int64)


def backtest(reference: Evaluated, methods: Sequence[Method], metrics: Sequence[str], length: int) -> Backtest | None:
    """None where the reference has too few days to be cut into periods."""
    number = periods(reference.rows.day, length)
    if not len(number):
        return None
    count = int(number.max()) + 1
    off: dict[str, dict[str, list[float]]] = {}
    before: dict[str, list[float]] = {}
    for period in range(count):
        inside = number == period
        rest, live = reference[~inside], reference[inside]
        ratio = density_ratio(rest.rows, live.rows)
        for metric in metrics:
            real = live.metric(metric)
            before.setdefault(metric, []).append(rest.metric(metric) - real)
            for method in methods:
                value = method.estimate(metric, rest, ratio, live.rows)
                off.setdefault(method.name, {}).setdefault(metric, []).append(value - real)
    days = len(np.unique(reference.rows.day)) / count
    errors = {name: _errors(found) for name, found in off.items()}
    return Backtest(count, days, len(reference) // count, errors, _errors(before))


def _errors(off: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Only of metrics that are defined in most periods: the AUC of labels of one kind is not."""
    sound = {metric: [one for one in found if math.isfinite(one)] for metric, found in off.items()}
    return {
        metric: math.sqrt(float(np.mean(np.square(found))))
        for metric, found in sound.items()
        if len(found) >= LEAST_PERIODS
    }
