"""Rates of independent trials: e-values and confidence sequences that hold exactly, from the first trial on.

H. Robbins (1970) mixes the binomial likelihood over a beta distribution; here the one of S. R. Howard et al. (2021),
propositions 6 (two sides) and 7 (one side), which has its mean at the rate that is tested. A trial is a unit of
assignment: a hundred errors of one client are not a hundred trials.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincc, betaln

from gitml.stats.asymptoticcs import Side
from gitml.stats.interval import Interval

Floats = NDArray[np.float64]
# Trials at which the interval is tightest; see asymptoticcs.TUNED.
TUNED = 1_000.0
_LEVEL = 0.05


def log_evalue(
    successes: ArrayLike, trials: ArrayLike, rate: ArrayLike, *, side: Side = "both", tuned: float = TUNED
) -> Floats:
    """The logarithm of the evidence against a true rate of ``rate`` (between 0 and 1), elementwise.

    ``low``: against it and any lower one; ``high``: against it and any higher one; ``both``: against exactly that.

    >>> round(float(log_evalue(60, 100, 0.5, side="low", tuned=100)), 3)
    1.39
    """
    k, n, p = (np.asarray(a, dtype=np.float64) for a in (successes, trials, rate))
    if side == "high":
        return log_evalue(n - k, n, 1 - p, side="low", tuned=tuned)
    prior = _strength(tuned, 2 if side == "both" else 1)
    a, b = prior * p, prior * (1 - p)
    found: Floats = betaln(k + a, n - k + b) - betaln(a, b) - k * np.log(p) - (n - k) * np.log1p(-p)
    if side == "low":
        # Only rates above the one tested are mixed. A tail of 0 is evidence of nothing.
        with np.errstate(divide="ignore"):
            found = found + np.log(betaincc(k + a, n - k + b, p)) - np.log(betaincc(a, b, p))
    return found


def interval(successes: float, trials: float, level: float, *, side: Side = "both", tuned: float = TUNED) -> Interval:
    """Where the true rate lies at every look, but for a probability of ``level``; [0, 1] before the first trial.

    >>> found = interval(700, 1000, 0.05, tuned=100)
    >>> round(found.low, 4), round(found.high, 4)
    (0.6516, 0.7459)
    >>> round(interval(0, 1000, 0.05, side="high").high, 4)
    0.0038
    """
    if not 0 <= successes <= trials or not math.isfinite(trials):
        raise ValueError(f"{successes} of {trials} trials")
    if not trials:
        return Interval(0.0, 1.0)
    seen, wanted = successes / trials, math.log(1 / level)

    def refuted(rate: float) -> bool:
        return 0 < rate < 1 and float(log_evalue(successes, trials, rate, side=side, tuned=tuned)) >= wanted

    return Interval(
        _edge(refuted, 0.0, seen) if side != "high" else 0.0, _edge(refuted, 1.0, seen) if side != "low" else 1.0
    )


def difference(
    champion: tuple[float, float],
    candidate: tuple[float, float],
    level: float,
    *,
    side: Side = "both",
    tuned: float = TUNED,
) -> Interval:
    """Candidate's rate less champion's, of (successes, trials) each. Wide, but right from zero: arms share the level.

    >>> round(difference((0, 5_000), (0, 5_000), 0.05, side="low").low, 4)
    -0.0008
    """
    if side == "both":
        ends = [difference(champion, candidate, level / 2, side=one, tuned=tuned) for one in ("low", "high")]
        return Interval(ends[0].low, ends[1].high)
    if side == "high":
        other = difference(candidate, champion, level, side="low", tuned=tuned)
        return Interval(-math.inf, -other.low)
    low = interval(*candidate, level / 2, side="low", tuned=tuned).low
    return Interval(low - interval(*champion, level / 2, side="high", tuned=tuned).high, math.inf)


def _strength(tuned: float, sides: int) -> float:
    """How many trials the mixture is worth, from the normal approximation (Howard et al. 2021, section 3.5)."""
    wanted = 2 * math.log(1 / (_LEVEL * (3 - sides)))
    return max(tuned / (wanted + math.log(1 + wanted)) - 1, 1e-3)


def _edge(refuted: Callable[[float], bool], far: float, seen: float) -> float:
    """Between a rate that may be refuted and the seen one, which never is; the far one where nothing is refuted."""
    low, high = far, seen
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if refuted(middle) else (low, middle)
    return low
