"""How the rows of a column are spread over its values, in the reference and in a window: few bars, for eyes.

A bar points to nobody. A value is named only if many rows of the reference share it, and between values the bounds of
a bar are quantiles with many rows on either side, in three digits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gitml.monitoring.promise import LEAST_ROWS
from gitml.sketches.grids import CategoryGrid, Grid, NumberGrid
from gitml.sketches.sketch import ColumnSketch
from gitml.stats.profile import is_personal

# A value that a smaller part of the reference's rows has, or fewer rows, is not named: it might point to a person.
FREQUENT, ENOUGH = 0.01, 20
_BARS, _NAMED = 8, 8
_DIGITS = 3
_TINY = 1e-300

Kind = Literal["value", "range", "below", "above", "others", "missing"]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Bar:
    """Shares (0 to 1) of the rows of the reference and of the window.

    ``of``: one ``value`` (``word``, or ``low`` of numbers), a ``range`` from ``low`` to below ``high`` (None: no end),
    all numbers ``below`` or ``above`` the reference's, all ``others``, or those ``missing``.
    """

    of: Kind
    reference: float
    window: float
    word: str | None = None
    low: float | None = None
    high: float | None = None


def named(word: str, rows: int, total: int) -> bool:
    """Whether a word that so many rows of the reference's ``total`` have may be told to everybody.

    >>> named("AA", 30, 1_000), named("ada@example.org", 900, 1_000)
    (True, False)
    """
    return frequent(rows, total) and not is_personal(word)


def frequent(rows: int, total: int) -> bool:
    """Whether a value that so many rows of ``total`` have in the reference may be named to everybody.

    >>> frequent(30, 1_000), frequent(30, 5_000), frequent(5, 10)
    (True, False, False)
    """
    return rows >= max(ENOUGH, FREQUENT * total)


def shape(grid: Grid, reference: ColumnSketch, window: ColumnSketch) -> tuple[Bar, ...]:
    """In the order of the values. None where either side has fewer than 30 rows."""
    before, now = (column.cells.sum(axis=0) for column in (reference, window))
    missing = [int(column.missing.sum()) for column in (reference, window)]
    rows = [int(before.sum()) + missing[0], int(now.sum()) + missing[1]]
    if min(rows) < LEAST_ROWS:
        return ()
    sides = _Sides(before, now, *rows)
    bars = [*(_of_numbers(grid, sides) if isinstance(grid, NumberGrid) else _of_words(grid, sides))]
    if any(missing):
        bars.append(Bar("missing", missing[0] / rows[0], missing[1] / rows[1]))
    return tuple(bars)


@dataclass(frozen=True)
class _Sides:
    before: Whole
    now: Whole
    rows_before: int
    rows_now: int

    def shares(self, cells: Sequence[int]) -> tuple[float, float]:
        some = [*cells]
        return int(self.before[some].sum()) / self.rows_before, int(self.now[some].sum()) / self.rows_now


def _of_words(grid: CategoryGrid, sides: _Sides) -> Iterator[Bar]:
    total = int(sides.before.sum())
    known = [i for i, word in enumerate(grid.categories) if named(word, int(sides.before[i]), total)]
    larger = sorted(known, key=lambda i: (-max(*sides.shares([i])), i))
    shown = sorted(larger[:_NAMED])
    for place in shown:
        yield Bar("value", *sides.shares([place]), word=grid.categories[place])
    others = sides.shares([i for i in range(grid.cells) if i not in shown])
    if any(others):
        yield Bar("others", *others)


def _of_numbers(grid: NumberGrid, sides: _Sides) -> Iterator[Bar]:
    last = len(grid.edges)
    if last < 2:
        return
    below, above = sides.shares([0]), sides.shares([last])
    if below[1]:
        yield Bar("below", *below)
    groups = _groups(grid, sides.before)
    for number, (cells, is_value) in enumerate(groups):
        low, high = _digits(grid.edges[cells[0] - 1]), _digits(grid.edges[cells[-1]])
        if is_value:
            yield Bar("value", *sides.shares(cells), low=low)
        else:
            # The least and the largest of the reference are single rows' values.
            ends = low if number else None, high if number < len(groups) - 1 else None
            yield Bar("range", *sides.shares(cells), low=ends[0], high=ends[1])
    if above[1]:
        yield Bar("above", *above)


def _groups(grid: NumberGrid, before: Whole) -> list[tuple[list[int], bool]]:
    """Cells that make one bar each, and whether that is of a single value. Those of the reference's own range."""
    last, total = len(grid.edges), int(before.sum())
    own = [i for i in grid.marks if 0 < i < last and frequent(int(before[i]), total)]
    values = {*sorted(own, key=lambda i: (-int(before[i]), i))[:_NAMED]}
    enough, found, open_ = max(ENOUGH, total / _BARS), list[tuple[list[int], bool]](), list[int]()
    for cell in range(1, last):
        if cell in values:
            _close(found, open_)
            found.append(([cell], True))
            open_ = []
        else:
            open_ = [*open_, cell]
            if before[open_].sum() >= enough:
                found.append((open_, False))
                open_ = []
    _close(found, open_)
    return found


def _close(found: list[tuple[list[int], bool]], cells: list[int]) -> None:
    """What is left over goes to the bar beside it, unless that is of a single value."""
    if cells and found and not found[-1][1]:
        found[-1] = ([*found[-1][0], *cells], False)
    elif cells:
        found.append((cells, False))


def _digits(value: float) -> float:
    # After a value that many rows share, a cell begins at the next number that there is: after 0 that is 5e-324.
    return float(f"{value:.{_DIGITS}g}") if abs(value) > _TINY else 0.0
