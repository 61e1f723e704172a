"""Differences of rates from the first request on: exactly while events are rare, nearly normal once there are enough.

A fifth of the error rate pays for the exact interval, the rest for the asymptotic one. Both hold at all looks together,
so the nearer end of the two counts at each look; no rule has to say when to change over, and none can be gamed.
"""

from __future__ import annotations

from gitml.stats import asymptoticcs, betabinomial, discordance
from gitml.stats.asymptoticcs import Side
from gitml.stats.contrast import Contrast
from gitml.stats.interval import Interval

EXACT = 0.2


def paired(
    contrast: Contrast,
    wins: float,
    losses: float,
    pairs: float,
    level: float,
    *,
    side: Side = "both",
    tuned: float = asymptoticcs.TUNED,
) -> Interval:
    """Of pairs of which ``wins`` only the candidate and ``losses`` only the champion has right (independent ones).

    Two versions that never disagree have no variance, and still the candidate is hardly worse:

    >>> from gitml.stats.contrast import paired as contrast
    >>> from gitml.stats.influence import mean
    >>> same = mean(range(3_000), [1.0] * 2_900 + [0.0] * 100)
    >>> round(paired(contrast(same, same), 0, 0, 3_000, 0.05, side="low").low, 4)
    -0.002
    """
    exact = discordance.interval(wins, losses, pairs, EXACT * level, side=side)
    return _nearer(exact, contrast, level, side, tuned)


def split(
    contrast: Contrast | None,
    champion: tuple[float, float],
    candidate: tuple[float, float],
    level: float,
    *,
    side: Side = "both",
    tuned: float = asymptoticcs.TUNED,
) -> Interval:
    """Of two arms with (events, units) each, all in one epoch.

    Over several epochs the exact part would add up what must not be added up (Simpson).
    """
    exact = betabinomial.difference(champion, candidate, EXACT * level, side=side)
    return exact if contrast is None else _nearer(exact, contrast, level, side, tuned)


def _nearer(exact: Interval, contrast: Contrast, level: float, side: Side, tuned: float) -> Interval:
    nearly = asymptoticcs.interval(contrast, (1 - EXACT) * level, side=side, tuned=tuned)
    return exact if nearly is None else exact.within(nearly)
