"""A difference held against what is asked of it: at least as good but for a margin, or better."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gitml.rollout.bydays import DayError
from gitml.rollout.evaluation import StillNeeded
from gitml.rollout.observed import Observed
from gitml.stats import anytimet, asymptoticcs
from gitml.stats.asymptoticcs import Side
from gitml.stats.contrast import Contrast
from gitml.verdict import Phase


@dataclass(frozen=True)
class DifferenceGoal:
    """``higher``: more is better. ``margin``: how much worse the candidate may be; None where it must be better.
    ``passing`` and ``failing``: error rates of the two decisions."""

    higher: bool
    margin: float | None
    passing: float
    failing: float

    @property
    def edge(self) -> float:
        """The difference, candidate − champion, on one side of which it passes and on the other fails."""
        return -self.margin if self.margin and self.higher else self.margin or 0.0

    @property
    def levels(self) -> tuple[float, float]:
        """Error rates of the low and the high end."""
        return (self.passing, self.failing) if self.higher else (self.failing, self.passing)

    def phase(self, low: float | None, high: float | None) -> Phase:
        """By the ends of the confidence sequence.

        >>> DifferenceGoal(True, 0.01, 0.05, 0.05).phase(-0.005, 0.02)
        <Phase.SUCCESSFUL: 'successful'>
        >>> DifferenceGoal(False, None, 0.05, 0.05).phase(-0.2, 0.1)
        <Phase.INCONCLUSIVE: 'inconclusive'>
        """
        above = low is not None and low > self.edge
        below = high is not None and high < self.edge
        good, bad = (above, below) if self.higher else (below, above)
        return Phase.SUCCESSFUL if good else Phase.FAILED if bad else Phase.INCONCLUSIVE


@dataclass(frozen=True)
class Held:
    """``low`` and ``high``: ends of the confidence sequence of candidate − champion, None where there is none yet.
    ``why``: why it has none."""

    phase: Phase
    low: float | None
    high: float | None
    contrast: Contrast | None
    why: str = ""


def held(observed: Observed, asked: DifferenceGoal) -> Held:
    """What can be said of the difference now."""
    found = observed.contrast
    low, high = (observed.bound(found, level, side) for level, side in zip(asked.levels, SIDES, strict=True))
    why = "one arm has no units" if found is None else asymptoticcs.unusable(found) or _few_days(observed, asked)
    return Held(asked.phase(low, high), low, high, found, why if low is None and high is None else "")


def _few_days(observed: Observed, asked: DifferenceGoal) -> str:
    """Why there is no interval by days yet."""
    if not observed.by_day:
        return ""
    found, least = observed.days(), anytimet.least(max(asked.levels))
    return f"its days count as one draw each: {found.draws} of {least} are there" if found.draws < least else ""


SIDES: tuple[Side, Side] = ("low", "high")


def rest_of(
    found: Contrast | None, asked: DifferenceGoal, days: float, by_day: DayError | None = None
) -> StillNeeded | None:
    """What it still takes to decide, if all stays as it is; None where no number is enough. ``days`` have passed."""
    if found is None:
        return None
    factors = [_factor(found, asked.edge, level, side, by_day) for level, side in zip(asked.levels, SIDES, strict=True)]
    known = [factor for factor in factors if factor is not None and factor > 1]
    return rest(sum(found.units), min(known), days) if known else None


def _factor(found: Contrast, edge: float, level: float, side: Side, by_day: DayError | None) -> float | None:
    """How many times the present traffic one end takes, by units and, where these are draws, by days."""
    units = asymptoticcs.needed(found, edge, level, side=side)
    if by_day is None or units is None:
        return units
    apart = (found.difference - edge) * (1 if side == "low" else -1)
    days = by_day.needed(apart, level)
    return None if days is None else max(units, days)


def rest(units: int, factor: float, days: float) -> StillNeeded:
    """Of ``factor`` times what was seen in ``days``."""
    more = max(1, math.ceil(units * (factor - 1)))
    # Two digits: it is a projection.
    digits = max(0, len(str(more)) - 2)
    return StillNeeded(-(-more // 10**digits) * 10**digits, round(days * (factor - 1), 1) if days else None)
