"""A difference whose days are the draws: what is alike within a day (weather, a holiday) is one draw, however many rows
it has.

An assignment by lot makes rows of both arms alike, so that intervals by unit hold for the rows that were seen. They say
nothing of days to come where the candidate gains on some days and loses on others. The error here is that of sums by
day (K.-Y. Liang and S. L. Zeger, Biometrika 73, 1986).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gitml.stats import anytimet

_DAY = 86_400_000_000
Moments = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DayError:
    """``error`` of the difference by ``days``. Days of few rows count less: ``draws`` is as many as days of equal size
    would be (L. Kish, "Survey sampling", 1965)."""

    error: float
    days: int
    draws: int

    def reach(self, level: float) -> float:
        """How far either end lies from the difference at every look; infinite while days are too few."""
        return self.error * anytimet.radius(self.draws, level)

    def needed(self, apart: float, level: float) -> float | None:
        """How many times as many days it takes until a value that lies ``apart`` is left out; None for none."""
        if not (0 < self.error < math.inf and apart > 0):
            return None
        found = anytimet.needed(self.draws, apart / self.error, level)
        return None if found is None else found / self.draws


def day_error(rows: Sequence[tuple[Floats, Moments]], until: int | None = None) -> DayError:
    """Of what each row adds to the difference, with the microsecond at which it was known; ``until`` one of these.

    >>> moves = np.array([0.1, -0.1, 0.3, -0.3])
    >>> found = day_error([(moves, np.array([0, 1, 2, 3]) * 86_400_000_000)])
    >>> round(found.error, 3), found.days, found.draws
    (0.516, 4, 4)
    """
    moved = np.concatenate([part for part, _ in rows])
    known = np.concatenate([moments for _, moments in rows])
    if until is not None:
        seen = known <= until
        # What moves the mean of all moved that of fewer more.
        moved, known = moved[seen] * (len(moved) / max(int(seen.sum()), 1)), known[seen]
    place = known // _DAY
    place = place - int(place.min(initial=2**62))
    counts = np.bincount(place).astype(np.float64)
    sums, counts = np.bincount(place, moved)[counts > 0], counts[counts > 0]
    days = len(sums)
    if days < 2:
        return DayError(math.inf, days, days)
    draws = int(counts.sum() ** 2 / float(counts @ counts) + 1e-9)
    return DayError(math.sqrt(float(sums @ sums) * days / (days - 1)), days, draws)
