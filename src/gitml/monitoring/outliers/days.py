"""Whether the days of a window have more strange rows than those of the training: exact, whatever rows of a day share.

How many rows of a day are strange has long tails: one storm makes most of a day so. Bounds for shares with a mean and
a design effect do not see that, and are wrong where a small p-value is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gitml.monitoring.detectors.clusterpermutation import sum_test

Days = Mapping[int, tuple[int, int]]
_LEAST_ROWS = 30


@dataclass(frozen=True)
class DayTest:
    """``p`` of the window's ``days`` having no more strange rows than the reference's and the floor on top; ``least``:
    the smallest that could have come out."""

    days: int
    p: float
    least: float


def compare_days(reference: Days, live: Days, floor: float, level: float) -> DayTest | None:
    """Days are exchangeable if nothing has changed, and so are as many rows of each. Those with fewer than half of the
    usual rows are left out. None where there are no two days of the reference, or none of the window."""
    sizes = [rows for rows, _ in (*reference.values(), *live.values())]
    enough = max(_LEAST_ROWS, float(np.median(sizes)) / 2) if sizes else _LEAST_ROWS
    first, second = (_kept(days, enough) for days in (reference, live))
    if len(first) < 2 or not len(second):
        return None
    rng = np.random.default_rng(0)
    rows = int(min(first[:, 0].min(), second[:, 0].min()))
    shares = [rng.hypergeometric(part[:, 1], part[:, 0] - part[:, 1], rows) / rows for part in (first, second)]
    sums = np.concatenate([shares[0], shares[1] - floor])
    p, least = sum_test(sums, len(second), float(sums[len(first) :].sum()), level, rng)
    return DayTest(len(second), p, least)


def _kept(days: Days, enough: float) -> NDArray[np.int64]:
    found = [days[day] for day in sorted(days) if days[day][0] >= enough]
    return np.array(found, dtype=np.int64).reshape(-1, 2)
