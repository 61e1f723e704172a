"""Quantiles, as the 99th percentile of latency, whatever the distribution.

S. R. Howard and A. Ramdas, "Sequential estimation of quantiles with applications to A/B testing and best-arm
identification", Bernoulli 28 (2022), theorem 1 with the beta-binomial mixture. Exact for independent observations;
where a unit has several, bound the share above a limit by ``deltamethod.ratio``, which takes the unit as one draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from gitml.stats import betabinomial
from gitml.stats.asymptoticcs import Side
from gitml.stats.influence import checked
from gitml.stats.interval import Interval


def interval(
    values: ArrayLike, share: float, level: float, *, side: Side = "both", tuned: float = betabinomial.TUNED
) -> Interval:
    """Where the quantile at ``share`` (0 to 1) lies at every look, but for a probability of ``level``.

    ``values`` (n,) in any order. An end is infinite while there are too few.

    >>> found = interval(range(1, 1001), 0.5, 0.05, tuned=100)
    >>> found.low, found.high
    (449.0, 552.0)
    """
    if not 0 < share < 1:
        raise ValueError(f"a quantile at {share} is none")
    ordered = np.sort(checked("values", values))
    n, wanted = len(ordered), math.log(1 / level)

    # So few values below the quantile, or so many, that the count is refuted: then it lies elsewhere.
    ends: dict[str, Side] = {"few": "high", "many": "low"} if side != "both" else {"few": "both", "many": "both"}

    def likely(count: int, end: str) -> bool:
        return float(betabinomial.log_evalue(count, n, share, side=ends[end], tuned=tuned)) < wanted

    low, high = -math.inf, math.inf
    middle = math.floor(n * share)
    if side != "high" and n:
        fewest = _first(lambda count: likely(count, "few"), 0, middle)
        low = float(ordered[fewest - 1]) if fewest > 0 else low
    if side != "low" and n:
        most = -_first(lambda count: likely(-count, "many"), -n, -min(middle + 1, n))
        high = float(ordered[most]) if most < n else high
    return Interval(low, high)


def difference(
    champion: ArrayLike, candidate: ArrayLike, share: float, level: float, *, tuned: float = betabinomial.TUNED
) -> Interval:
    """The candidate's quantile less the champion's; each arm has half of the error rate."""
    old, new = (interval(values, share, level / 2, tuned=tuned) for values in (champion, candidate))
    return Interval(new.low - old.high, new.high - old.low)


def _first(likely: Callable[[int], bool], low: int, high: int) -> int:
    """The first of ``low`` to ``high`` that is likely, as all after it; ``high`` where none is."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if likely(middle) else (middle + 1, high)
    return low
