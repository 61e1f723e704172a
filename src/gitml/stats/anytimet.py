"""Confidence sequences for few draws that are nearly normal and of an unknown spread: they hold at all looks together,
and from the first few draws on, where ``asymptoticcs`` needs dozens.

T. L. Lai, "On confidence sequences", Annals of Statistics 4 (1976); M. F. Pérez-Ortiz, T. Lardy, R. de Heide and
P. Grünwald, "E-statistics, group invariance and anytime-valid testing", Annals of Statistics 52 (2024); H. Wang and
A. Ramdas, "Anytime-valid t-tests and confidence sequences for Gaussian means with unknown variance", arXiv 2310.03722
(2023). The t statistic is mixed over effect sizes, in units of the spread, with a normal law of mean zero.
"""

from __future__ import annotations

import math

# The variance of the effect sizes' law, as the number of draws that it is worth. It decides what a test costs, not
# whether it is right, and must not be taken from the data. With 1 the ends are near from 10 to 100 draws.
PRIOR = 1.0


def radius(draws: int, level: float) -> float:
    """How many standard errors either end lies away from the mean of so many draws; infinite while they are too few.

    >>> [round(radius(draws, 0.05), 2) for draws in (4, 5, 7, 14, 28)]
    [inf, 8.45, 4.64, 3.58, 3.36]
    """
    if draws < 2:
        return math.inf
    share = PRIOR / (draws + PRIOR)
    grown = (1 / (level * math.sqrt(share))) ** (2 / draws)
    left = 1 - grown * share
    return math.sqrt((draws - 1) * (grown - 1) / left) if left > 0 else math.inf


def least(level: float) -> int:
    """From how many draws on there is an interval.

    >>> least(0.05), least(0.01)
    (5, 6)
    """
    draws = 2
    while math.isinf(radius(draws, level)):
        draws += 1
    return draws


def needed(draws: int, apart: float, level: float, *, most: int = 1_000) -> int | None:
    """How many draws it takes until the interval leaves a value out that lies ``apart`` standard errors of ``draws``
    from the mean, if all stays as it is; None where more than ``most`` would be needed.

    >>> needed(7, 3.0, 0.05)
    12
    """
    for count in range(max(draws, 2), most + 1):
        if radius(count, level) < apart * math.sqrt(count / draws):
            return count
    return None
