"""How rarely a quiet application may raise an alarm, and what that leaves for each single comparison.

At every look the last 1, 2, 3, 4, 8, 16 and 32 looks are held against the reference, in every column. All of these
comparisons of a year share one error rate: the probability that any of them is wrong is at most their sum (Boole's
inequality), however they depend on each other. That is what makes the promise hold although all comparisons share one
finite reference, windows overlap, and columns are correlated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

# Looks in a window, and the part of the error rate that windows of this size have. Short windows have more of it:
# large changes are to be seen at once, and a long window sees small ones with whatever is left.
WINDOWS: Mapping[int, float] = {1: 0.25, 2: 0.20, 3: 0.15, 4: 0.15, 8: 0.10, 16: 0.10, 32: 0.05}
_OF_REFERENCE = 0.2
# A window or reference with fewer is not judged. Rows of few clusters are few effective rows, for which the bounds hold
# too; but how alike they are was estimated, and a handful of days says nothing of it.
LEAST_ROWS = 30
LEAST_EFFECTIVE = 5.0


@dataclass(frozen=True)
class Promise:
    """At most ``rate`` (a probability) of a false alarm in a year of ``looks`` looks at ``columns`` columns.

    ``columns`` counts every column of every monitor of the application. A fifth of the rate pays for references being
    samples: it is spent once for each of ``promotions`` new references a year.
    """

    looks: int
    columns: int
    rate: float = 0.05
    promotions: int = 12

    def level(self, window: int, part: float) -> float:
        """The error rate of one comparison: ``part`` (0 to 1) of what a column has in windows of ``window`` looks.

        >>> f"{Promise(looks=52, columns=40).level(1, 0.4):.2g}"
        '1.9e-06'
        """
        return (1 - _OF_REFERENCE) * self.rate * WINDOWS[window] * part / (self.looks * self.columns)

    def band(self, rows: float) -> float:
        """How far a reference of ``rows`` rows may lie from what it samples, in any column, at any value.

        P. Massart, "The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality", Annals of Probability 18 (1990).

        >>> [round(Promise(looks=52, columns=40).band(rows), 4) for rows in (2_000, 20_000, 200_000)]
        [0.0536, 0.0169, 0.0054]
        """
        often = self.columns * self.promotions
        return math.sqrt(math.log(2 * often / (_OF_REFERENCE * self.rate)) / (2 * rows))
