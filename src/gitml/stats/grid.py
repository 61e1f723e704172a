"""Bins of numbers that nest: any two partitions have a common coarser one, of which both know the shares exactly.

The order of floating-point numbers is that of their bits read as whole numbers. Every cell here is a power of two of
such neighbours: all numbers are halved where many rows lie, then the halves, and so on. Cells of two partitions are
therefore the same, one inside the other, or apart. Exponential histograms have the same property ("perfect subsetting":
OpenTelemetry metrics data model, exponential histogram); cells of one size only would waste most of them.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

MOST_CELLS = 24
_MOST_HELD = 0.1
_TOP = 1 << 63


@dataclass(frozen=True)
class _Cell:
    """The floats with keys from ``low`` to below ``high``; they stand at ``first`` to below ``last`` of the values."""

    low: int
    high: int
    first: int
    last: int

    @property
    def count(self) -> int:
        return self.last - self.first


def partition(ordered: Sequence[float], *, whole: bool = False) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Edges, and how many values lie below the first, between each two, and from the last on.

    ``ordered`` holds finite numbers, sorted. A cell is halved while more than a tenth of the values lie in it and there
    are fewer than 24 cells with values; a single value with more than a tenth gets a cell of its own. With ``whole``
    all values are whole numbers, and so are the edges.

    >>> partition([0.0, 0.0, 0.0, 1.0], whole=True)
    ((0.0, 1.0, 2.0), (0, 3, 1, 0))
    """
    middle = bisect_left(ordered, 0.0)
    start = [_Cell(-_TOP, 0, 0, middle), _Cell(0, _TOP, middle, len(ordered))]
    most = max(1, int(len(ordered) * _MOST_HELD))
    edges: list[float] = []
    counts: list[int] = [0]
    for cell in _split(ordered, [c for c in start if c.count], most):
        low, high = _edge(cell.low, whole=whole), _edge(cell.high, whole=whole)
        if math.isfinite(low) and (not edges or edges[-1] < low):
            edges.append(low)
            counts.append(0)
        counts[-1] += cell.count
        if math.isfinite(high):
            edges.append(high)
            counts.append(0)
    return tuple(edges), tuple(counts)


def _split(ordered: Sequence[float], start: list[_Cell], most: int) -> list[_Cell]:
    """All cells of one size before the smaller ones, so that one steep place does not use up what there may be."""
    done: list[_Cell] = []
    level = start
    while level:
        below: list[_Cell] = []
        for cell in sorted(level, key=lambda c: (-c.count, c.low)):
            room = len(level) + len(below) + len(done) < MOST_CELLS
            parts = _parts(ordered, cell) if cell.count > most and cell.high - cell.low > 1 else []
            if len(parts) == 1 or (parts and room):
                below += parts
            else:
                done.append(cell)
        level = below
    return sorted(done, key=lambda c: c.low)


def _parts(ordered: Sequence[float], cell: _Cell) -> list[_Cell]:
    """The halves with values in them; the smallest cell of all when there is but one value."""
    if ordered[cell.first] == ordered[cell.last - 1]:
        key = _key(ordered[cell.first])
        return [_Cell(key, key + 1, cell.first, cell.last)]
    middle = (cell.low + cell.high) // 2
    place = bisect_left(ordered, _edge(middle), cell.first, cell.last)
    halves = [_Cell(cell.low, middle, cell.first, place), _Cell(middle, cell.high, place, cell.last)]
    return [half for half in halves if half.count]


def _key(value: float) -> int:
    bits = int(struct.unpack("<Q", struct.pack("<d", value))[0])
    return bits if bits < _TOP else _TOP - bits


def _edge(key: int, *, whole: bool = False) -> float:
    """The float with this key; infinite at both ends."""
    if abs(key) >= 0x7FF << 52:
        return math.inf if key > 0 else -math.inf
    size = float(struct.unpack("<d", struct.pack("<Q", abs(key)))[0])
    value = size if key >= 0 else -size
    # Up, since a cell begins with its edge: the whole numbers from 2.5 on are those from 3 on.
    return math.ceil(value) + 0.0 if whole else value
