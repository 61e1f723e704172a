"""Contrasts of many simulated runs at many looks at once, by the same formulas as ``gitml.stats``.

``tests/stats/test_judging.py`` holds them against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from gitml.stats import asymptoticcs, normalmixture

Floats = np.ndarray
Way = Literal["low", "high"]
LEVEL = 0.05


@dataclass(frozen=True)
class Seen:
    """A contrast at many looks of many runs at once, (runs, looks), as ``gitml.stats.contrast`` makes one."""

    difference: Floats
    error: Floats
    clock: Floats
    carriers: Floats
    units: Floats

    def z(self, null: float = 0.0) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.nan_to_num((self.difference - null) / self.error, nan=0.0)

    def crossed(self, null: float, way: Way, level: float = LEVEL, tuned: float = asymptoticcs.TUNED) -> Floats:
        """Whether the interval leaves ``null`` out, as ``asymptoticcs.interval``."""
        rho = normalmixture.best_rho(tuned, level)
        radius = normalmixture.bound(self.clock, level, rho) / np.sqrt(np.maximum(self.clock, 1e-9))
        usable = (self.units >= asymptoticcs.LEAST_UNITS) & (self.carriers >= asymptoticcs.LEAST_CARRIERS)
        return usable & (self.error > 0) & (self.z(null) * (1 if way == "low" else -1) >= radius)

    def either(self, null: float = 0.0) -> tuple[Floats, Floats]:
        """The same for both ends, each at its full level, as a pass and a failure are judged."""
        return self.crossed(null, "low"), self.crossed(null, "high")


def shares(old: Floats, of_old: Floats, new: Floats, of_new: Floats) -> Seen:
    """Two arms of zeros and ones: how many ones in how many units, (runs, looks, epochs)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where((of_old > 1) & (of_new > 1), of_old * of_new / (of_old + of_new), 0.0)
        parts = weight / weight.sum(-1, keepdims=True)
        arms = [_arm(ones, n, parts) for ones, n in ((old, of_old), (new, of_new))]
    return Seen(
        arms[1][0] - arms[0][0],
        np.sqrt(arms[0][1] + arms[1][1]),
        weight.sum(-1),
        np.minimum(arms[0][2], arms[1][2]),
        np.minimum(of_old.sum(-1), of_new.sum(-1)),
    )


def _arm(ones: Floats, n: Floats, parts: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean, its variance and the carriers of it, over epochs."""
    p = np.where(parts > 0, ones / n, 0.0)
    second = np.where(parts > 0, parts**2 * p * (1 - p) / (n - 1), 0.0)
    fourth = np.where(parts > 0, (parts / n) ** 4 * n * p * (1 - p) * ((1 - p) ** 3 + p**3), 0.0)
    spread = np.where(parts > 0, parts**2 * p * (1 - p) / n, 0.0)
    carriers = np.nan_to_num(spread.sum(-1) ** 2 / fourth.sum(-1), nan=0.0)
    return (parts * p).sum(-1), second.sum(-1), carriers


def moments(values: Floats, step: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Mean, its variance, carriers and number of the first ``step``, 2 ``step``, … of (runs, n) values."""
    runs, n = values.shape
    at = np.arange(step, n + 1, step, dtype=np.float64)
    squares = values * values
    powers = (values, squares, squares * values, squares * squares)
    first, second, third, fourth = (p.reshape(runs, len(at), step).sum(-1).cumsum(1) for p in powers)
    mean = first / at
    spread = np.maximum(second - at * mean**2, 1e-12)
    high = fourth - 4 * mean * third + 6 * mean**2 * second - 3 * at * mean**4
    return mean, spread / (at - 1) / at, spread**2 / np.maximum(high, 1e-12), np.broadcast_to(at, mean.shape)


def means(old: tuple[Floats, ...], new: tuple[Floats, ...]) -> Seen:
    return Seen(
        new[0] - old[0],
        np.sqrt(old[1] + new[1]),
        old[3] * new[3] / (old[3] + new[3]),
        np.minimum(old[2], new[2]),
        np.minimum(old[3], new[3]),
    )


def ever(verdicts: Floats) -> float:
    return float(verdicts.any(axis=1).mean())


def cost(verdicts: Floats, step: float) -> float:
    """Mean observations until the verdict; all of them where there is none."""
    looks = verdicts.shape[1]
    return float(np.where(verdicts.any(axis=1), verdicts.argmax(axis=1) + 1, looks).mean()) * step
