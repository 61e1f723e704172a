"""Counts as they may be kept in Git, where everybody reads them and nothing is ever erased: no single row's value."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Context

from gitml.sketches.sketch import ColumnSketch, Sketch

# Fewer rows than this are people, and no statistics.
FEW = 30


def coarse(sketch: Sketch) -> Sketch:
    """The same counts; extremes are rounded outwards to one digit, and so are the means of few rows.

    Done twice it is as once.
    """
    return replace(sketch, columns={name: _column(column) for name, column in sketch.columns.items()})


def _column(column: ColumnSketch) -> ColumnSketch:
    low, high = column.least, column.most
    if low is not None and high is not None:
        low, high = rounded(low, ROUND_FLOOR), rounded(high, ROUND_FLOOR if low == high else ROUND_CEILING)
    finite, total = column.finite, column.total
    if 0 < finite < FEW:
        total = finite * int(rounded(float(round(total / finite)), ROUND_FLOOR))
    return replace(column, least=low, most=high, total=total)


def rounded(value: float, how: str) -> float:
    """To one digit.

    >>> rounded(1234.5, ROUND_FLOOR), rounded(1234.5, ROUND_CEILING), rounded(-0.37, ROUND_FLOOR)
    (1000.0, 2000.0, -0.4)
    """
    found = float(Context(prec=1, rounding=how).create_decimal(repr(value)))
    return found if math.isfinite(found) else value
