"""How sure one comparison of live rows with reference rows is: p-values and lower bounds of effects.

Every function takes the effect that is tolerated (the floor) as its null hypothesis: an effect of that size or a
smaller one. ``n`` are effective live rows, ``m`` effective reference rows, ``band`` is ``Promise.band(m)``.

Two bounds hold for a distance of two samples: that of two samples, and that of the live sample around the truth plus
the reference's own band. Which of them is tighter depends on ``n`` and ``m`` alone, never on the data, so the better
one may be taken.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtri, rel_entr

Floats = NDArray[np.float64]


def distance_halfwidth(level: float, n: float, m: float, band: float) -> float:
    """What a Kolmogorov-Smirnov distance of samples may exceed that of the populations by, at this error rate.

    F. Wei and R. M. Dudley, "Two-sample Dvoretzky-Kiefer-Wolfowitz inequalities", Statistics & Probability Letters 82
    (2012), for the two samples; Massart (1990) for one.

    >>> round(distance_halfwidth(1.9e-6, 1_000, 20_000, 0.0169), 4)
    0.0853
    """
    c = math.log(2 / level)
    return min(math.sqrt(c / 2 * (1 / n + 1 / m)), math.sqrt(c / (2 * n)) + band)


def distance_p(distance: float, floor: float, n: float, m: float, band: float) -> float:
    """The p-value of a Kolmogorov-Smirnov distance (0 to 1): the smallest level at which it lies above the floor."""
    over = max(distance - floor, 0.0)
    c = max(2 * over**2 / (1 / n + 1 / m), 2 * n * max(over - band, 0.0) ** 2)
    return min(1.0, 2 * math.exp(-c))


def rank_halfwidth(level: float, n: float, m: float, band: float) -> float:
    """The same for the mean mid-rank among the reference's rows.

    A mid-rank is spread over 0 to 1 with a variance of at most 1/12, ties or not, so a normal tail bounds it also for
    few rows.

    >>> round(rank_halfwidth(1.9e-6, 1_000, 20_000, 0.0169), 4)
    0.0446
    """
    z = float(-ndtri(level / 2))
    return min(z * math.sqrt((1 / n + 1 / m) / 12), z / math.sqrt(12 * n) + band)


def rank_p(shift: float, floor: float, n: float, m: float, band: float) -> float:
    """The p-value of a mean mid-rank that lies ``shift`` from the middle. A shift is never larger than the distance."""
    over = max(abs(shift) - floor, 0.0)
    z = max(over / math.sqrt((1 / n + 1 / m) / 12), max(over - band, 0.0) * math.sqrt(12 * n))
    return min(1.0, 2 * math.exp(float(log_ndtr(-z))))


def share_p(live: Floats, n: float, reference: Floats, m: float, floor: float) -> Floats:
    """p-values of shares of rows (0 to 1), by the likelihood ratio of shares that differ by the floor at most.

    ``2 exp(-G)``, with ``G`` the least ``n KL(live || a) + m KL(reference || b)`` over ``|a - b| <= floor``. It is
    safe for rare events: chi-squared tests are not where fewer than five rows are expected.

    >>> share_p(np.array([0.03, 0.02]), 1_000, np.array([0.02, 0.02]), 20_000, 0.0).round(3).tolist()
    [0.246, 1.0]
    """
    found: Floats = np.minimum(1.0, 2 * np.exp(-_divergence(live, n, reference, m, floor)))
    return found


def share_lower(live: Floats, n: float, reference: Floats, m: float, level: float) -> Floats:
    """The largest difference of the shares that is refuted at this level; 0 where not even equality is.

    >>> share_lower(np.array([0.25, 0.02]), 1_000, np.array([0.02, 0.02]), 20_000, 1e-6).round(2).tolist()
    [0.16, 0.0]
    """
    wanted = math.log(2 / level)
    low = np.zeros_like(live)
    high = np.abs(live - reference)
    known = _divergence(live, n, reference, m, 0.0) >= wanted
    if not known.any():
        return low
    a, x, y = low[known], live[known], reference[known]
    b = high[known]
    for _ in range(30):
        middle = (a + b) / 2
        refuted = _divergence(x, n, y, m, middle) >= wanted
        a, b = np.where(refuted, middle, a), np.where(refuted, b, middle)
    low[known] = a
    return low


def _divergence(live: Floats, n: float, reference: Floats, m: float, floor: Floats | float) -> Floats:
    """``G`` of ``share_p``: with a floor of 0 both shares are the pooled one, and nothing has to be searched."""
    if np.ndim(floor) == 0 and not floor:
        pooled = (n * live + m * reference) / (n + m)
        return np.maximum(n * _kl(live, pooled) + m * _kl(reference, pooled), 0.0)
    floors = np.broadcast_to(np.asarray(floor, dtype=np.float64), live.shape)
    apart = np.abs(live - reference) > floors
    found = np.zeros_like(live)
    if apart.any():
        found[apart] = _least(live[apart], n, reference[apart], m, floors[apart])
    return found


def _least(live: Floats, n: float, reference: Floats, m: float, floor: Floats) -> Floats:
    """The same where the shares lie more than the floor apart: convex in the lower one, whose slope is bisected."""
    upper, lower = np.maximum(live, reference), np.minimum(live, reference)
    of_upper = np.where(live >= reference, n, m)
    of_lower = n + m - of_upper
    # The best pair lies between the two shares: outside, moving towards them brings both closer.
    a, b = lower, upper - floor
    with np.errstate(divide="ignore", invalid="ignore"):
        for _ in range(40):
            middle = (a + b) / 2
            slope = of_upper * _slope(upper, middle + floor) + of_lower * _slope(lower, middle)
            a, b = np.where(slope < 0, middle, a), np.where(slope < 0, b, middle)
    at = (a + b) / 2
    return np.maximum(of_upper * _kl(upper, at + floor) + of_lower * _kl(lower, at), 0.0)


def _slope(share: Floats, at: Floats) -> Floats:
    """The derivative of ``KL(share || at)`` in ``at``."""
    return np.where(share < 1, (1 - share) / (1 - at), 0.0) - np.where(share > 0, share / at, 0.0)


def _kl(share: Floats, of: Floats) -> Floats:
    """Relative entropy of two shares in nats."""
    both: Floats = rel_entr(share, of) + rel_entr(1 - share, 1 - of)
    return both
