"""Two versions that answer the same requests, right or wrong: only where they disagree is there anything to learn.

Q. McNemar, "Note on the sampling error of the difference between correlated proportions", Psychometrika 12 (1947), made
anytime-valid: given that exactly one of both is right, a fair coin says which, whatever came before. So the
beta-binomial mixture of Robbins (1970) bets on it. Exact for independent pairs: one for each unit of assignment.
"""

from __future__ import annotations

from gitml.stats import betabinomial
from gitml.stats.asymptoticcs import Side
from gitml.stats.interval import Interval

# Discordant pairs at which a decision is cheapest.
TUNED = 100.0


def log_evalue(wins: float, losses: float, *, side: Side = "low", tuned: float = TUNED) -> float:
    """The logarithm of the evidence that the candidate is better: ``wins`` are pairs that only the candidate had right,
    ``losses`` those that only the champion had right. ``high``: that it is worse; ``both``: either.

    >>> round(log_evalue(40, 17), 2), round(log_evalue(40, 17, side="high"), 2)
    (3.69, -2.14)
    """
    return float(betabinomial.log_evalue(wins, wins + losses, 0.5, side=side, tuned=tuned))


def interval(wins: float, losses: float, pairs: float, level: float, *, side: Side = "both") -> Interval:
    """The difference of the shares of right answers, candidate less champion. Wide, but it needs no minimum.

    No disagreement in many pairs says that the candidate is hardly worse.

    >>> round(interval(0, 0, 1_000, 0.05, side="low").low, 4)
    -0.0047
    """
    if wins + losses > pairs:
        raise ValueError(f"{wins} wins and {losses} losses in {pairs} pairs")
    found = betabinomial.difference((losses, pairs), (wins, pairs), level, side=side)
    return Interval(max(found.low, -1.0), min(found.high, 1.0))
