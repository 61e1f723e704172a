"""Confidence sequences for whatever is nearly normal: they hold at all looks together, not at each.

I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy and A. Ramdas, "Time-uniform central limit theory and asymptotic
confidence sequences", Annals of Statistics 52 (2024). The boundary of one side is solved exactly (Howard et al. 2021,
proposition 5), where the paper's closed form is an upper bound of it.

The promise is asymptotic: it begins where the central limit theorem does, which is not at a number of rows. It is asked
that in each arm at least forty effective units carry the variance (for zeros and ones: forty of the rarer ones), which
bounds the error of the normal approximation (Lyapunov's condition as a number). Until then there is no interval. Since
intervals hold at all looks together, they hold at those looks that such a rule picks. `benchmarks/judging.py` shows it
for skewed values, rare events and arms of very different size.
"""

from __future__ import annotations

import math
from typing import Literal

from gitml.stats import normalmixture
from gitml.stats.contrast import Contrast
from gitml.stats.interval import Interval

Side = Literal["both", "low", "high"]
LEAST_UNITS, LEAST_CARRIERS = 50, 40
# At so many effective observations is the boundary tightest. It decides what a test costs, not whether it is right, and
# costs little at a fifth or at five times as many. It must not be taken from the data.
TUNED = 1_000.0


def unusable(contrast: Contrast) -> str:
    """Why there is no interval yet, in words for people; '' where there is one."""
    if min(contrast.units) < LEAST_UNITS:
        return f"an arm has {min(contrast.units)} units, {LEAST_UNITS} are needed"
    if not contrast.error > 0:
        return "nothing varies"
    if contrast.carriers < LEAST_CARRIERS:
        return (
            f"{contrast.carriers:.0f} effective units carry the variance of an arm, {LEAST_CARRIERS} are needed: "
            "too few events, or a few values so large that they should be capped"
        )
    return ""


def interval(contrast: Contrast, level: float, *, side: Side = "both", tuned: float = TUNED) -> Interval | None:
    """Where the true difference lies at every look, but for a probability of ``level``; None while it is not usable.

    ``side``: which end there is; one end is nearer than the same end of two.

    >>> from gitml.stats.contrast import Contrast
    >>> found = Contrast(0.10, 0.12, 0.02, error=0.0044, clock=5_000, units=(10_000, 10_000), carriers=1_000)
    >>> low = interval(found, 0.05, side="low")
    >>> round(low.low, 4), low.high
    (0.0073, inf)
    """
    if unusable(contrast):
        return None
    wide = contrast.error * radius(contrast.clock, level, side=side, tuned=tuned)
    return Interval(
        contrast.difference - wide if side != "high" else -math.inf,
        contrast.difference + wide if side != "low" else math.inf,
    )


def radius(clock: float, level: float, *, side: Side = "both", tuned: float = TUNED) -> float:
    """How many standard errors the end of the interval lies away.

    >>> [round(radius(clock, 0.05, side="low"), 2) for clock in (100, 1_000, 10_000)]
    [3.63, 2.77, 2.98]
    """
    sides: normalmixture.Sides = 2 if side == "both" else 1
    rho = normalmixture.best_rho(tuned, level, sides)
    return float(normalmixture.bound(clock, level, rho, sides)) / math.sqrt(clock)


def log_evalue(
    contrast: Contrast, null: float, level: float, *, side: Side = "low", tuned: float = TUNED
) -> float | None:
    """The logarithm of the evidence against a true difference of ``null``: ``low`` against it and any lower one,
    ``high`` against it and any higher one. It passes log(1 / level) exactly when the interval leaves ``null`` out."""
    if unusable(contrast):
        return None
    sides: normalmixture.Sides = 2 if side == "both" else 1
    rho = normalmixture.best_rho(tuned, level, sides)
    z = (contrast.difference - null) / contrast.error * (-1 if side == "high" else 1)
    return float(normalmixture.log_mixture(z * math.sqrt(contrast.clock), contrast.clock, rho, sides))


def needed(contrast: Contrast, null: float, level: float, *, side: Side = "low", tuned: float = TUNED) -> float | None:
    """How many times the present traffic it takes until the interval leaves ``null`` out, if all stays as it is.

    1 or less: it does already. None: no number is enough, since the difference lies on the wrong side of ``null``, or
    there is no interval yet. For people; judged is by the interval.

    >>> from gitml.stats.contrast import Contrast
    >>> found = Contrast(0.10, 0.11, 0.01, error=0.0044, clock=5_000, units=(10_000, 10_000), carriers=1_000)
    >>> round(needed(found, 0.0, 0.05), 2)
    1.7
    """
    if unusable(contrast):
        return None
    z = (contrast.difference - null) / contrast.error * (-1 if side == "high" else 1)
    z = abs(z) if side == "both" else z
    most = 1e6
    if not z > 0 or z * math.sqrt(most) < radius(contrast.clock * most, level, side=side, tuned=tuned):
        return None
    low, high = 1e-6, most
    for _ in range(60):
        middle = math.sqrt(low * high)
        enough = z * math.sqrt(middle) >= radius(contrast.clock * middle, level, side=side, tuned=tuned)
        low, high = (low, middle) if enough else (middle, high)
    return high
