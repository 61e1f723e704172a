"""Counts of rare events in two arms: how many times as often they happen, from the very first event on.

J. Przyborowski and H. Wilenski, "Homogeneity of results in testing samples from Poisson series", Biometrika 31 (1940):
given that an event happened, it is the candidate's with a probability that follows from the exposures and the ratio of
the rates alone. The likelihood ratio of that coin, mixed over alternatives (Robbins 1970), is an e-process. An event is
one of a unit of assignment: count units that had an error, not the errors of one broken client.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gitml.stats.asymptoticcs import Side
from gitml.stats.influence import checked
from gitml.stats.interval import Interval

Floats = NDArray[np.float64]
# Alternatives are so many times the ratio that is tested. A mixture of finitely many holds as exactly as any.
_TIMES = np.geomspace(1.1, 100.0, 24)
_FARTHEST = 1e9
_LOW: Final = "low"
_HIGH: Final = "high"


@dataclass(frozen=True)
class EventCounts:
    """Events and exposures (units or requests) of both arms in each epoch of one weight, (epochs,) or single numbers.

    Within an epoch both arms see the same weather, so the rate itself may change from one to the next.
    """

    champion: ArrayLike
    candidate: ArrayLike
    exposed_champion: ArrayLike
    exposed_candidate: ArrayLike


def log_evalue(counts: EventCounts, ratio: float = 1.0, *, side: Side = "low") -> float:
    """The logarithm of the evidence against a true ratio (candidate's rate over champion's) of ``ratio``.

    ``low``: against it and any lower one, so that the candidate has more events; ``high``: against it and any higher.

    >>> round(log_evalue(EventCounts(0, 7, 500, 500)), 2), round(log_evalue(EventCounts(3, 4, 500, 500)), 2)
    (4.14, -1.21)
    """
    if not ratio > 0:
        raise ValueError(f"a ratio of {ratio} is none")
    if side == "both":
        low, high = (log_evalue(counts, ratio, side=one) for one in (_LOW, _HIGH))
        return float(np.logaddexp(low, high)) - math.log(2)
    lost, won, odds = _coins(counts)
    times = _TIMES if side == "low" else 1 / _TIMES
    gained = _log_likelihood(lost, won, odds, ratio * times) - _log_likelihood(lost, won, odds, np.array([ratio]))
    return float(np.logaddexp.reduce(gained)) - math.log(len(_TIMES))


def interval(counts: EventCounts, level: float, *, side: Side = "both") -> Interval:
    """Where the true ratio of the rates lies at every look, but for a probability of ``level``: from 0 to infinity.

    >>> found = interval(EventCounts(10, 40, 5_000, 5_000), 0.05)
    >>> round(found.low, 2), round(found.high, 2)
    (1.39, 15.14)
    """
    if side == "both":
        low, high = (interval(counts, level / 2, side=one) for one in (_LOW, _HIGH))
        return Interval(low.low, high.high)
    wanted = math.log(1 / level)
    # Evidence against a ratio falls on the way from an absurd one to those that the events allow.
    refuted, kept = (1 / _FARTHEST, _FARTHEST) if side == "low" else (_FARTHEST, 1 / _FARTHEST)
    if log_evalue(counts, refuted, side=side) < wanted:
        return Interval(0.0, math.inf)
    for _ in range(60):
        middle = math.sqrt(refuted * kept)
        is_refuted = log_evalue(counts, middle, side=side) >= wanted
        refuted, kept = (middle, kept) if is_refuted else (refuted, middle)
    return Interval(refuted, math.inf) if side == "low" else Interval(0.0, refuted)


def _coins(counts: EventCounts) -> tuple[Floats, Floats, Floats]:
    """Events of champion and candidate and the odds of their exposures, of epochs in which both were exposed."""
    lost, won = (np.atleast_1d(checked("events", events)) for events in (counts.champion, counts.candidate))
    old, new = (np.atleast_1d(checked("exposures", e)) for e in (counts.exposed_champion, counts.exposed_candidate))
    if any((a < 0).any() for a in (lost, won, old, new)):
        raise ValueError("events and exposures must not be negative")
    used = (old > 0) & (new > 0)
    return lost[used], won[used], new[used] / old[used]


def _log_likelihood(lost: Floats, won: Floats, odds: Floats, ratios: Floats) -> Floats:
    """Of all events at each ratio, (ratios,), up to what is the same for all."""
    weighed = np.log(odds[:, None] * ratios[None, :])
    found: Floats = (won[:, None] * weighed - (lost + won)[:, None] * np.logaddexp(0.0, weighed)).sum(axis=0)
    return found
