"""Differences of rates from the first request on: exactly while events are rare, nearly normal once there are enough.

A fifth of the error rate pays for the exact interval, the rest for the asymptotic one. Both hold at all looks together,
so the nearer end of the two counts at each look; no rule has to say when to change over, and none can be gamed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

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

    Over several epochs the exact part would add up what must not be added up (Simpson); see ``over_epochs``.
    """
    exact = betabinomial.difference(champion, candidate, EXACT * level, side=side)
    return exact if contrast is None else _nearer(exact, contrast, level, side, tuned)


def over_epochs(
    champion: Sequence[tuple[float, float]],
    candidate: Sequence[tuple[float, float]],
    level: float,
    *,
    side: Literal["low", "high"],
) -> Interval:
    """Exact over several epochs, of (events, units) of both arms in each: the candidate's share less the one that the
    champion would have had in the candidate's epochs (direct standardisation).

    An epoch in which the champion had no units counts as if anything were possible there. Epoch k has 1 / (k (k + 1))
    of the champion's part, so that later ones can be added.

    >>> quiet, bad = (99, 99_000), (1_000, 50_000)
    >>> found = over_epochs([quiet, bad], [(1, 1_000), (1_000, 50_000)], 0.05, side="low")
    >>> round(found.low, 4)
    -0.0046
    """
    events, units = (sum(column) for column in zip(*candidate, strict=True))
    if not units:
        return Interval()
    other: Literal["low", "high"] = "high" if side == "low" else "low"
    expected = 0.0
    for k, ((old, of_old), (_, of_new)) in enumerate(zip(champion, candidate, strict=True), start=1):
        bound = betabinomial.interval(old, of_old, level / 2 / (k * (k + 1)), side=other)
        expected += of_new / units * (bound.high if side == "low" else bound.low)
    own = betabinomial.interval(events, units, level / 2, side=side)
    return Interval(low=own.low - expected) if side == "low" else Interval(high=own.high - expected)


def _nearer(exact: Interval, contrast: Contrast, level: float, side: Side, tuned: float) -> Interval:
    nearly = asymptoticcs.interval(contrast, (1 - EXACT) * level, side=side, tuned=tuned)
    return exact if nearly is None else exact.within(nearly)
