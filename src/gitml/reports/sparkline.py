"""A series as one line of letters, for terminals and comments."""

from __future__ import annotations

from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float | None]) -> str:
    """The lowest value as the lowest bar, the highest as the highest; a gap where nothing is known.

    >>> sparkline([1, 2, None, 4.5, 8])
    '▁▂ ▅█'
    >>> sparkline([3, 3]), sparkline([None]), sparkline([])
    ('▄▄', ' ', '')
    """
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    return "".join(" " if value is None else _bar(value, low, high) for value in values)


def _bar(value: float, low: float, high: float) -> str:
    if high == low:
        return _BARS[3]
    # Halves first: the difference of two large numbers is none any more.
    return _BARS[min(7, int((value / 2 - low / 2) / (high / 2 - low / 2) * 8))]
