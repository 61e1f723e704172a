"""A reference that says nothing of a single row: counts of many, between bounds that are nobody's value.

Global recoding, and top and bottom coding: A. Hundepool et al., "Statistical Disclosure Control" (2012), chapter 3. A
column of numbers keeps the values that many rows share; cells between them have 30 rows or more, and begin at bounds
that were rounded. Categories and contexts of fewer rows are counted with all others. Which hour and which unit had how
many rows stays, since drift is judged by it, but not which hour and which unit that was.

Rows between a bound and what it was rounded from are counted one cell too low, a thousandth of the column's spread,
unless the rows are counted once more.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR

import numpy as np

from gitml.sketches.coarse import FEW, coarse, rounded
from gitml.sketches.form import layout_digest
from gitml.sketches.grids import CategoryGrid, Grid, NumberGrid, Whole
from gitml.sketches.layout import Layout, Stratum
from gitml.sketches.reference import ReferenceSketch
from gitml.sketches.sketch import ColumnSketch, Sketch

# A bound is rounded to so many steps: a thousandth of the spread.
_WIDTH = 64
_WHOLE = 2.0**53

Hours = Mapping[tuple[int, int], int]


def recoded(reference: ReferenceSketch, strata: Sequence[Stratum] | None = None) -> ReferenceSketch:
    """Done twice it is as once. ``strata``: those that stay, by default the frequent ones of the reference itself."""
    layout, sketch = reference.layout, coarse(reference.sketch)
    kept = frequent_strata(reference) if strata is None else tuple(strata)
    grids = {name: _grid(grid, sketch.columns[name].cells.sum(axis=0)) for name, grid in layout.columns.items()}
    new = Layout(grids, layout.context, kept, layout.units)
    found = regrouped(sketch, layout, new)
    units = None if found.units is None else np.sort(found.units)
    return ReferenceSketch(new, replace(found, hours=_undated(found.hours), units=units), reference.alike)


def frequent_strata(reference: ReferenceSketch) -> tuple[Stratum, ...]:
    """Contexts that 30 rows or more have."""
    rows = reference.sketch.rows.tolist()
    return tuple(stratum for number, stratum in enumerate(reference.layout.strata) if rows[number] >= FEW)


def _grid(grid: Grid, rows: Whole) -> Grid:
    if isinstance(grid, CategoryGrid):
        return CategoryGrid(tuple(word for place, word in enumerate(grid.categories) if rows[place] >= FEW))
    if len(grid.edges) < 2:
        return NumberGrid((), (0,), grid.step)
    edges: list[float] = []
    own: list[float] = []
    groups = _groups(grid, rows)
    for number, (cells, is_value) in enumerate(groups):
        exact = is_value or (number > 0 and groups[number - 1][1])
        low = grid.edges[cells[0] - 1]
        edge = low if exact else rounded(low, ROUND_FLOOR) if number == 0 else below(low, grid)
        # Two bounds that were rounded to the same one are one.
        if not edges or edge > edges[-1]:
            edges.append(edge)
        own += [low] if is_value else []
    top = grid.edges[-1] if groups[-1][1] else rounded(grid.edges[-1], ROUND_CEILING)
    edges += [top] if top > edges[-1] else []
    marks = sorted({0, len(edges), *(int(np.searchsorted(edges, value, side="right")) for value in own)})
    return NumberGrid(tuple(edges), tuple(marks), grid.step)


def _groups(grid: NumberGrid, rows: Whole) -> list[tuple[list[int], bool]]:
    """Cells of the reference's own range that become one each, and whether that is of a single, frequent value."""
    last = len(grid.edges)
    values = {place for place in grid.marks if 0 < place < last and rows[place] >= FEW}
    found: list[tuple[list[int], bool]] = []
    for cell in range(1, last):
        before, is_value = found[-1] if found else ([], True)
        if cell in values:
            found.append(([cell], True))
        elif is_value or rows[before].sum() >= FEW:
            found.append(([cell], False))
        else:
            before.append(cell)
    return _without_few(found, rows)


def _without_few(groups: list[tuple[list[int], bool]], rows: Whole) -> list[tuple[list[int], bool]]:
    """What is left over before a frequent value, or at the end, goes to the cells on its left, where there are some."""
    found: list[tuple[list[int], bool]] = []
    for cells, is_value in groups:
        if found and not is_value and not found[-1][1] and rows[cells].sum() < FEW:
            found[-1] = ([*found[-1][0], *cells], False)
        else:
            found.append((cells, is_value))
    return found


def below(edge: float, grid: NumberGrid) -> float:
    """The bound, rounded down, so that rows with that very value stay where they are."""
    width = grid.step * _WIDTH
    steps = edge / width
    return math.floor(steps) * width + 0.0 if abs(steps) < _WHOLE else edge


def regrouped(sketch: Sketch, old: Layout, new: Layout) -> Sketch:
    """The counts by cells and strata of ``new``, which are made of those of ``old``."""
    places = {stratum: number for number, stratum in enumerate(new.strata)}
    parts = np.array([places.get(s, len(new.strata)) for s in old.strata] + [len(new.strata)], dtype=np.int64)
    parts = parts if old.context else np.zeros(1, dtype=np.int64)
    columns = {
        name: _column(column, _places(old.columns[name], new.columns[name]), parts, (new.parts, grid.cells))
        for (name, column), grid in zip(sketch.columns.items(), (new.columns[n] for n in sketch.columns), strict=True)
    }
    hours: dict[tuple[int, int], int] = defaultdict(int)
    for (hour, part), count in sketch.hours.items():
        hours[hour, int(parts[part])] += count
    rows = np.zeros(new.parts, dtype=np.int64)
    np.add.at(rows, parts, sketch.rows)
    return Sketch(layout_digest(new), rows, columns, dict(hours), sketch.units, sketch.routes)


def _places(old: Grid, new: Grid) -> Whole:
    """Where each cell of the old grid is in the new one."""
    if isinstance(old, CategoryGrid) and isinstance(new, CategoryGrid):
        return np.append(new.places(old.categories), len(new.categories))
    assert isinstance(old, NumberGrid)
    assert isinstance(new, NumberGrid)
    inner = np.searchsorted(np.asarray(new.edges), np.asarray(old.edges[:-1]), side="right")
    found = [0, *inner.tolist(), len(new.edges)] if old.edges else [0]
    return np.array(found, dtype=np.int64)


def _column(column: ColumnSketch, places: Whole, parts: Whole, shape: tuple[int, int]) -> ColumnSketch:
    cells, missing = np.zeros(shape, dtype=np.int64), np.zeros(shape[0], dtype=np.int64)
    np.add.at(cells, (parts[:, None], places[None, :]), column.cells)
    np.add.at(missing, parts, column.missing)
    return replace(column, cells=cells, missing=missing)


def _undated(hours: Hours) -> dict[tuple[int, int], int]:
    """Hours that share a day still do, and nothing says which day it was."""
    days: dict[int, dict[int, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    for (hour, part), rows in hours.items():
        days[hour // 24][hour].append((part, rows))
    told = sorted(sorted(sorted(rows) for rows in day.values()) for day in days.values())
    return {
        (24 * number + place, part): rows
        for number, day in enumerate(told)
        for place, some in enumerate(day)
        for part, rows in some
    }


def without(reference: ReferenceSketch, rows: Sketch, columns: Sequence[str]) -> ReferenceSketch:
    """The reference less the counts of ``rows``, of these columns; no count falls below 0. Extremes stay as they are:
    whose they were is not known."""
    sketch = reference.sketch
    less = {name: _less(sketch.columns[name], rows.columns[name]) for name in columns}
    hours = {key: n for key, count in sketch.hours.items() if (n := count - rows.hours.get(key, 0)) > 0}
    new = Sketch(
        sketch.layout, np.maximum(sketch.rows - rows.rows, 0), {**sketch.columns, **less}, hours, sketch.units,
        sketch.routes,
    )  # fmt: skip
    return replace(reference, sketch=new)


def _less(column: ColumnSketch, rows: ColumnSketch) -> ColumnSketch:
    return replace(
        column,
        cells=np.maximum(column.cells - rows.cells, 0),
        missing=np.maximum(column.missing - rows.missing, 0),
        unfit=max(column.unfit - rows.unfit, 0),
        infinite=max(column.infinite - rows.infinite, 0),
        total=column.total - rows.total,
    )


def only_lacks_counts(old: ReferenceSketch, new: ReferenceSketch) -> bool:
    """Whether ``new`` has counts of ``old`` and no others, half of them at least, and tells nothing of a single row."""
    before, after = old.layout, new.layout
    is_like = after.context == before.context and after.units == before.units and new.alike == old.alike
    if not is_like or after.columns.keys() != before.columns.keys() or not {*after.strata} <= {*before.strata}:
        return False
    if not all(_is_recoding(grid, after.columns[name]) for name, grid in before.columns.items()):
        return False
    again, most = recoded(new, after.strata), regrouped(coarse(old.sketch), before, after)
    told = new.sketch.columns
    return (
        (again.layout, again.sketch.layout, most.columns.keys()) == (after, new.sketch.layout, told.keys())
        and _fewer(new.sketch.rows, most.rows)
        and _same_or_fewer(sorted(new.sketch.hours.values()), sorted(most.hours.values()))
        and again.sketch.hours == new.sketch.hours
        and all(_only_lacks(told[name], column) for name, column in most.columns.items())
    )


def _is_recoding(old: Grid, new: Grid) -> bool:
    if isinstance(old, CategoryGrid) and isinstance(new, CategoryGrid):
        left = iter(old.categories)
        return all(word in left for word in new.categories)
    if not isinstance(old, NumberGrid) or not isinstance(new, NumberGrid) or old.step != new.step:
        return False
    if not new.edges or not old.edges:
        return len(old.edges) < 2 and not new.edges
    ends = {rounded(old.edges[0], ROUND_FLOOR), rounded(old.edges[-1], ROUND_CEILING)}
    return {*new.edges} <= ends.union(old.edges, (below(edge, old) for edge in old.edges))


def _fewer(new: Whole, old: Whole) -> bool:
    return bool((new <= old).all() and (new >= 0).all() and 2 * int(new.sum()) >= int(old.sum()))


def _same_or_fewer(new: Sequence[int], old: Sequence[int]) -> bool:
    return len(new) <= len(old) and all(a <= b for a, b in zip(reversed(new), reversed(old), strict=False))


def _only_lacks(new: ColumnSketch, old: ColumnSketch) -> bool:
    ends = (new.least, new.most, new.absent) == (old.least, old.most, old.absent)
    return (
        ends
        and new.unfit <= old.unfit
        and new.infinite <= old.infinite
        and _fewer(np.append(new.cells.ravel(), new.missing), np.append(old.cells.ravel(), old.missing))
    )
