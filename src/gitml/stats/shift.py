"""How far apart the distributions of one column are in two data sets, from their profiles alone."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from gitml.stats.profile import Categories, Column, Numbers, Untold


@dataclass(frozen=True)
class Bin:
    """Shares of rows (0 to 1) in the old and in the new data set.

    A ``range`` begins at ``low`` and ends before ``high``, None where it has no end.
    """

    kind: Literal["range", "value", "rest", "missing", "present"]
    old: float
    new: float
    low: float | None = None
    high: float | None = None
    value: str = ""


@dataclass(frozen=True)
class Shift:
    """``distance`` of Jensen and Shannon over ``bins``: 0 the same, 1 nothing in common."""

    distance: float
    bins: tuple[Bin, ...]


def jensen_shannon(p: Sequence[float], q: Sequence[float]) -> float:
    """The Jensen-Shannon distance of two distributions over the same bins: the root of their divergence in bits.

    0 for equal ones, 1 for such that share no bin. Unlike the population stability index it needs no correction for
    empty bins, has a largest value, and is a metric. Merging bins never makes it larger.

    J. Lin, "Divergence measures based on the Shannon entropy", IEEE Transactions on Information Theory 37 (1991);
    D. M. Endres and J. E. Schindelin, "A new metric for probability distributions", ibid. 49 (2003).

    >>> jensen_shannon([0.5, 0.5], [0.5, 0.5]), jensen_shannon([1.0, 0.0], [0.0, 1.0])
    (0.0, 1.0)
    >>> round(jensen_shannon([0.2, 0.8], [0.4, 0.6]), 4)
    0.1867
    """
    divergence = sum(_towards_middle(a, b) + _towards_middle(b, a) for a, b in zip(p, q, strict=True)) / 2
    return math.sqrt(min(max(divergence, 0.0), 1.0))


def _towards_middle(a: float, b: float) -> float:
    return a * math.log2(2 * a / (a + b)) if a > 0 else 0.0


def chance(bins: int, old_rows: int, new_rows: int) -> float:
    """The distance that two independent samples of the same data exceed once in a thousand times.

    For equal distributions 8 ln 2 times the divergence, over 1/old + 1/new rows, is nearly chi-squared with
    ``bins - 1`` degrees of freedom: its second order is that of Pearson's statistic. Its quantile is that of E. B.
    Wilson and M. M. Hilferty, "The distribution of chi-square", PNAS 17 (1931).

    >>> round(chance(11, 1000, 1000), 3), round(chance(11, 100_000, 100_000), 4)
    (0.104, 0.0104)
    """
    free = max(bins - 1, 1)
    if not old_rows or not new_rows:
        return 1.0
    spread = 2 / (9 * free)
    quantile = free * (1 - spread + 3.09 * math.sqrt(spread)) ** 3
    return min(1.0, math.sqrt(quantile * (1 / old_rows + 1 / new_rows) / (8 * math.log(2))))


def shift(old: Column, new: Column) -> Shift | None:
    """How far ``new`` is from ``old``, over the finest bins of which both profiles know the shares exactly.

    Rows without a value are a bin of their own. None when the columns cannot be compared: of two kinds, or untold.
    The distance of the whole distributions is at least this large, up to the four digits of the shares.
    """
    bins = tuple(b for b in _bins(old, new) if b.old or b.new)
    if not bins:
        return None
    sides = [[b.old for b in bins], [b.new for b in bins]]
    p, q = ([share / sum(side) for share in side] for side in sides)
    return Shift(jensen_shannon(p, q), bins)


def coarser(bins: Sequence[Bin], most: int) -> tuple[Bin, ...]:
    """At most so many bins, for people: small neighbours are joined, and the rarest values go to the rest."""
    ranges = [b for b in bins if b.kind == "range"]
    values = sorted((b for b in bins if b.kind == "value"), key=lambda b: (-b.old, -b.new, b.value))
    others = [b for b in bins if b.kind not in ("range", "value")]
    room = most - len(others)
    while len(ranges) > max(room, 1):
        place = min(range(len(ranges) - 1), key=lambda i: sum(b.old + b.new for b in ranges[i : i + 2]))
        ranges[place : place + 2] = [_joined(ranges[place], ranges[place + 1])]
    if len(values) > room:
        kept = sorted(values, key=lambda b: -max(b.old, b.new))[: max(room - 1, 1)]
        rest = [b for b in (*values, *others) if b.kind == "rest" or (b.kind == "value" and b not in kept)]
        values = [b for b in values if b in kept]
        others = [
            Bin("rest", sum(b.old for b in rest), sum(b.new for b in rest)),
            *(b for b in others if b.kind != "rest"),
        ]
    return (*ranges, *values, *others)


def _joined(a: Bin, b: Bin) -> Bin:
    return Bin("range", a.old + b.old, a.new + b.new, a.low, b.high)


def _bins(old: Column, new: Column) -> Iterator[Bin]:
    if _is_empty(old) != _is_empty(new):
        a, b = _missing(old), _missing(new)
        yield from (Bin("present", 1 - a, 1 - b), Bin("missing", a, b))
    elif isinstance(old, Numbers) and isinstance(new, Numbers):
        yield from _ranges(old, new)
        yield Bin("missing", old.missing, new.missing)
    elif isinstance(old, Categories) and isinstance(new, Categories):
        yield from _values(old, new)
        yield Bin("missing", old.missing, new.missing)


def _is_empty(column: Column) -> bool:
    return isinstance(column, Untold) and column.why == "empty"


def _missing(column: Column) -> float:
    return column.missing or 0.0


def _ranges(old: Numbers, new: Numbers) -> Iterator[Bin]:
    edges = sorted({*old.edges, *new.edges})
    known = [(x, a, b) for x in edges if (a := _below(old, x)) is not None and (b := _below(new, x)) is not None]
    ends = [(None, 0.0, 0.0), *known, (None, sum(old.shares), sum(new.shares))]
    for (low, old_low, new_low), (high, old_high, new_high) in pairwise(ends):
        # What is left of subtracting equal sums is no share.
        a, b = round(old_high - old_low, 6), round(new_high - new_low, 6)
        yield Bin("range", a * (1 - old.missing), b * (1 - new.missing), low, high)


def _below(column: Numbers, x: float) -> float | None:
    """The share of values below ``x``: known at edges, and within a cell that is empty."""
    place = bisect_left(column.edges, x)
    is_edge = place < len(column.edges) and column.edges[place] == x
    if is_edge or column.shares[place] == 0:
        return sum(column.shares[: place + 1])
    return None


def _values(old: Categories, new: Categories) -> Iterator[Bin]:
    """A value that one side does not name is among its rest, unless there is none: then nobody has it."""
    a, b = 1 - old.missing, 1 - new.missing
    rest_old, rest_new = old.rest, new.rest
    for value in sorted({*old.shares, *new.shares}):
        if (value in old.shares or not old.rest) and (value in new.shares or not new.rest):
            yield Bin("value", old.shares.get(value, 0.0) * a, new.shares.get(value, 0.0) * b, value=value)
        else:
            rest_old += old.shares.get(value, 0.0)
            rest_new += new.shares.get(value, 0.0)
    yield Bin("rest", rest_old * a, rest_new * b)
