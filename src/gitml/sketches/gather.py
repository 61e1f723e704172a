"""Batches of rows into a sketch: streamed, in memory that depends on the layout alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gitml.sketches import words
from gitml.sketches.form import layout_digest
from gitml.sketches.grids import CategoryGrid, Grid, NumberGrid
from gitml.sketches.layout import CALENDAR, Layout, Stratum
from gitml.sketches.moments import calendar, hours_of, moments_of
from gitml.sketches.numbers import MISSING, NumberPlaces
from gitml.sketches.sketch import ColumnSketch, Sketch
from gitml.sketches.units import places_of

_ROWS = 65_536
# Sums of so many rows, each cut off at so many steps, fit 64 bits.
_MOST_STEPS = 2.0**46
_EXACT = 2.0**53
_WIDTH = 256

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """How the rows call what is counted: ``names`` of columns where they differ from the layout's, ``time`` and
    ``unit``, '' where rows have none."""

    names: Mapping[str, str] = field(default_factory=dict)
    time: str = ""
    unit: str = ""

    @property
    def fields(self) -> list[tuple[str, pa.DataType]]:
        """The columns that each batch must have."""
        time = [(self.time, pa.timestamp("us", tz="UTC"))] if self.time else []
        return [*time, *([(self.unit, pa.string())] if self.unit and self.unit != self.time else [])]

    def column(self, batch: pa.RecordBatch, name: str) -> Any:
        """An Arrow array, None where the batch has no such column."""
        place = batch.schema.get_field_index(self.names.get(name, name))
        return None if place < 0 else batch.column(place)


class RowCounter:
    """The sketch of a batch by ``layout``. Sketches of batches add up; the order of rows and batches, and how they are
    cut, makes no difference. Holds a table of 1 MB for each column of numbers."""

    def __init__(self, layout: Layout, source: Source = Source()) -> None:
        self._layout, self._source, self._digest = layout, source, layout_digest(layout)
        self._columns = {name: _column_counter(grid, layout.parts) for name, grid in layout.columns.items()}
        self._strata = {stratum: number for number, stratum in enumerate(layout.strata)}

    def __call__(self, batch: pa.RecordBatch) -> Sketch:
        """Columns that the batch lacks count as absent."""
        slices = (batch.slice(start, _ROWS) for start in range(0, max(batch.num_rows, 1), _ROWS))
        return reduce(add, map(self._counted, slices))

    def of(self, batches: Iterable[pa.RecordBatch]) -> Sketch:
        return reduce(add, map(self, batches), self.nothing())

    def nothing(self) -> Sketch:
        """The sketch of no rows."""
        return self(pa.RecordBatch.from_pylist([], schema=pa.schema(self._source.fields)))

    def _counted(self, batch: pa.RecordBatch) -> Sketch:
        source, parts = self._source, self._layout.parts
        moments = moments_of(batch[source.time]) if source.time else None
        strata = self._strata_of(batch, moments)
        return Sketch(
            self._digest,
            np.bincount(_or_zero(strata, batch.num_rows), minlength=parts),
            {name: count(source.column(batch, name), batch.num_rows, strata) for name, count in self._columns.items()},
            {} if moments is None else _hours(hours_of(moments), strata, parts),
            places_of(batch[source.unit]) if self._layout.units and source.unit else None,
        )

    def _strata_of(self, batch: pa.RecordBatch, moments: Any) -> Whole | None:
        if not self._layout.context:
            return None
        different, index = contexts(self._layout.context, self._source, batch, moments)
        places = [self._strata.get(stratum, len(self._strata)) for stratum in different]
        found: Whole = np.array(places, dtype=np.int64)[index]
        return found


def _hours(hours: Whole, strata: Whole | None, parts: int) -> dict[tuple[int, int], int]:
    found, rows = np.unique(hours * parts + _or_zero(strata, len(hours)), return_counts=True)
    return {divmod(key, parts): count for key, count in zip(found.tolist(), rows.tolist(), strict=True)}


def contexts(
    context: Sequence[str], source: Source, batch: pa.RecordBatch, moments: Any
) -> tuple[list[Stratum], Whole]:
    """The different values of the context in a batch, and each row's place among them."""
    columns = []
    for name in context:
        column = calendar(name, moments) if name in CALENDAR and moments is not None else source.column(batch, name)
        columns.append(pa.nulls(batch.num_rows, pa.string()) if column is None else column)
    index = np.zeros(batch.num_rows, dtype=np.int64)
    found: list[Stratum] = [()]
    for column in columns:
        values, codes = words.encoded(column)
        keys, index = np.unique(index * (len(values) + 1) + codes + 1, return_inverse=True)
        known = [None, *values]
        found = [(*found[key // len(known)], known[key % len(known)]) for key in keys.tolist()]
    return found, index


_Count = Callable[[Any, int, Whole | None], ColumnSketch]


def _column_counter(grid: Grid, parts: int) -> _Count:
    """From an Arrow column, None if there is none, its number of rows and their strata."""
    nothing = ColumnSketch(np.zeros((parts, grid.cells), dtype=np.int64), np.zeros(parts, dtype=np.int64))
    count = _number_counter(grid, parts) if isinstance(grid, NumberGrid) else _category_counter(grid, parts)

    def counted(column: Any, rows: int, strata: Whole | None) -> ColumnSketch:
        if column is None:
            return replace(nothing, absent=rows)
        if isinstance(grid, NumberGrid) and not is_number(column.type):
            missing = np.bincount(_or_zero(strata, rows), minlength=parts)
            return replace(nothing, missing=missing, unfit=rows - column.null_count)
        return count(column, strata)

    return counted


def _category_counter(grid: CategoryGrid, parts: int) -> Callable[[Any, Whole | None], ColumnSketch]:
    def count(column: Any, strata: Whole | None) -> ColumnSketch:
        table = _table(words.places(grid, column), strata, grid.cells + 1, parts)
        return ColumnSketch(table[:, :-1], table[:, -1])

    return count


def _number_counter(grid: NumberGrid, parts: int) -> Callable[[Any, Whole | None], ColumnSketch]:
    find = NumberPlaces(grid)

    def count(column: Any, strata: Whole | None) -> ColumnSketch:
        values = numbers(column)
        places = find(values)
        table = _table(places, strata, _WIDTH, parts)
        cells, missing = table[:, : grid.cells], table[:, MISSING]
        known = values[places != MISSING] if missing.any() else values
        finite = known[np.isfinite(known)] if len(known) and not _is_finite(known) else known
        infinite = len(known) - len(finite)
        if not len(finite):
            return ColumnSketch(cells, missing, infinite=infinite)
        least, most = float(finite.min()) + 0.0, float(finite.max()) + 0.0
        return ColumnSketch(cells, missing, infinite=infinite, total=_total(finite, grid.step), least=least, most=most)

    return count


def _table(places: Any, strata: Whole | None, width: int, parts: int) -> Whole:
    index = places if strata is None else strata * width + places
    return np.bincount(index, minlength=parts * width).astype(np.int64).reshape(parts, width)


def _or_zero(strata: Whole | None, rows: int) -> Whole:
    return np.zeros(rows, dtype=np.int64) if strata is None else strata


def _is_finite(values: NDArray[np.float64]) -> bool:
    return bool(np.isfinite(values.min()) and np.isfinite(values.max()))


def _total(values: NDArray[np.float64], step: float) -> int:
    with np.errstate(over="ignore"):
        steps = values * (1 / step)
    np.rint(steps, out=steps)
    np.clip(steps, -_MOST_STEPS, _MOST_STEPS, out=steps)
    # Whole numbers whose sum floats hold exactly, whatever the order, are added as floats: half the time.
    if max(float(steps.max()), -float(steps.min())) * len(steps) < _EXACT:
        return int(steps.sum())
    return int(steps.astype(np.int64).sum())


def is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def numbers(column: Any) -> NDArray[np.float64]:
    """Values of an Arrow column of numbers, NaN where they are missing."""
    values = column if column.type == pa.float64() else column.cast(pa.float64(), safe=False)
    found: NDArray[np.float64] = values.to_numpy(zero_copy_only=False)
    return found
