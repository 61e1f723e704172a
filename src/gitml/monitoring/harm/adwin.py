"""ADWIN, the adaptive window: is the mean of an older part another than that of the rest?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

# The window as a histogram of buckets of 1, 2, 4, … values, at most so many of each size.
_BUCKETS = 5
_SHORTEST = 5


@dataclass(slots=True)
class _Part:
    """Values that follow each other: how many, their sum, and the sum of squared deviations from their mean."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def __add__(self, other: _Part) -> _Part:
        return _Part(
            self.count + other.count, self.total + other.total, self.squares + other.squares + _apart(self, other)
        )


def _apart(some: _Part, other: _Part) -> float:
    if not some.count or not other.count:
        return 0.0
    between = some.total / some.count - other.total / other.count
    return some.count * other.count * between**2 / (some.count + other.count)


@dataclass
class _Window:
    """``rows[i]``: buckets of 2**i values, oldest first."""

    whole: _Part = field(default_factory=_Part)
    rows: list[list[_Part]] = field(default_factory=lambda: [[]])

    def add(self, value: float) -> None:
        one = _Part(1, value)
        self.whole += one
        self.rows[0].append(one)
        for size, row in enumerate(self.rows):
            if len(row) <= _BUCKETS:
                return
            if size + 1 == len(self.rows):
                self.rows.append([])
            self.rows[size + 1].append(row[0] + row[1])
            del row[:2]

    def changed(self, delta: float) -> bool:
        """Whether any cut between two buckets leaves means that differ too much."""
        parts = [part for row in reversed(self.rows) for part in row]
        older = np.cumsum([(part.count, part.total) for part in parts], axis=0)
        newer = (self.whole.count, self.whole.total) - older
        some = (older[:, 0] >= _SHORTEST) & (newer[:, 0] >= _SHORTEST)
        (n, of_older), (m, of_newer) = older[some].T, newer[some].T
        rare = math.log(2 * math.log(self.whole.count) / delta)
        unit = 1 / (n - _SHORTEST + 1) + 1 / (m - _SHORTEST + 1)
        bound = np.sqrt(2 * unit * self.whole.squares / self.whole.count * rare) + 2 / 3 * rare * unit
        return bool((abs(of_older / n - of_newer / m) > bound).any())


def adwin(values: Iterable[float], *, delta: float = 0.002, clock: int = 32, grace_period: int = 10) -> Iterator[int]:
    """The places in ``values`` (0 to 1) at which a change of the mean is noticed, up or down; after each the window
    begins anew. ``clock``: how often it is looked for, ``grace_period``: how many values are too few.

    Parameters and results are those of river 0.26.1. A. Bifet and R. Gavaldà, "Learning from time-changing data with
    adaptive windowing", SDM 2007.

    >>> [*adwin([0.0, 1.0] * 100 + [1.0] * 100)]
    [255]
    """
    window, tick = _Window(), 0
    for place, value in enumerate(values):
        window.add(value)
        tick += 1
        if tick % clock == 0 and window.whole.count > grace_period and window.changed(delta):
            yield place
            window, tick = _Window(), 0
