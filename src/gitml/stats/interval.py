"""What is known of a number after any number of looks."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """From ``low`` to ``high``, in the unit of what it bounds; infinite where it has no end. Never NaN.

    >>> Interval(-0.2, 0.1).within(Interval(-0.1, math.inf))
    Interval(low=-0.1, high=0.1)
    """

    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if math.isnan(self.low) or math.isnan(self.high):
            raise ValueError("an end of an interval is NaN")

    def within(self, other: Interval) -> Interval:
        """What both say of the same number: it holds at the sum of their error rates (Boole's inequality).

        Two intervals that contradict each other, as each may at its error rate, meet in one point.
        """
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Interval(low, high) if low <= high else Interval((low + high) / 2, (low + high) / 2)


def p_value(log_evidence: float) -> float:
    """The p-value of an e-value, which stays one however often it is looked at (Ville 1939; Vovk and Wang 2021).

    ``log_evidence``: the natural logarithm of the e-value.

    >>> p_value(math.log(40)), p_value(-3.0)
    (0.025, 1.0)
    """
    return min(1.0, math.exp(-max(log_evidence, 0.0)))
