"""Does a model answer as it did when it was trained? Its sample rows hold what it answered then."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

# Answers of one model on one row differ by rounding from machine to machine, and by no more.
RELATIVE, ABSOLUTE = 1e-5, 1e-6


def apart(found: Any, wanted: Any) -> tuple[float, float]:
    """How far apart two answers are, and how far they may be; words are the same or infinitely far apart."""
    if isinstance(found, str) or isinstance(wanted, str):
        return (0.0 if found == wanted else math.inf), 0.0
    try:
        gap, size = abs(float(found) - float(wanted)), abs(float(wanted))
    except (TypeError, ValueError, OverflowError):
        return math.inf, 0.0
    return (gap, ABSOLUTE + RELATIVE * size) if math.isfinite(gap) else (math.inf, 0.0)


def agree(found: Any, wanted: Any) -> bool:
    """Whether two answers are the same up to rounding; nothing agrees with NaN or with a missing one."""
    gap, tolerated = apart(found, wanted)
    return gap <= tolerated


def covering(patterns: Sequence[Hashable], most: int) -> list[int]:
    """Which rows to try: the first ``most``, and of each further pattern of what is missing the first row.

    >>> covering(["none", "none", "none", "age", "none", "age", "both"], 2)
    [0, 1, 3, 6]
    """
    first: dict[Hashable, int] = {}
    for row, pattern in enumerate(patterns):
        first.setdefault(pattern, row)
    return [*range(min(most, len(patterns))), *(row for row in first.values() if row >= most)]
