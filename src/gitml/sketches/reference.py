"""What live rows are compared with: a sketch of exactly the rows of a version's training window, and its layout.

The rows are read several times, so that memory stays bounded: by 128 MB of values, of one column at least, and for
units by 16 bytes for each unit and column.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat

from gitml.engines.places import place_of
from gitml.engines.tables import format_of, open_table
from gitml.errors import UsageError
from gitml.jsontext import canonical, plain
from gitml.sketches import words
from gitml.sketches.alike import ClusterSums, mid_ranks
from gitml.sketches.form import (
    FORMAT,
    FormPart,
    LayoutForm,
    SketchForm,
    layout_form,
    layout_of,
    parsed,
    sketch_form,
    sketch_of,
)
from gitml.sketches.gather import RowCounter, Source, contexts, is_number, numbers
from gitml.sketches.grids import Grid, NumberGrid, most_frequent, number_grid
from gitml.sketches.layout import CALENDAR, MOST_STRATA, Layout, Stratum
from gitml.sketches.moments import hours_of, moments_of
from gitml.sketches.numbers import NumberPlaces
from gitml.sketches.sketch import Sketch

_VALUES, _ROWS = 16_000_000, 65_536

Read = Callable[[], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class ReferenceSketch:
    """``alike``: cluster (hour, day, unit) → column → intraclass correlation (0 to 1) of its rows."""

    layout: Layout
    sketch: Sketch
    alike: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def reference_of(
    read: Read,
    columns: Sequence[str],
    source: Source | None = None,
    context: Sequence[str] = (),
    strata: Sequence[Stratum] | None = None,
) -> ReferenceSketch:
    """``read`` gives the rows anew each time. ``columns`` are the layout's, which ``source`` may name otherwise. With
    a time and a unit in ``source`` the rows are clustered by hour, day and unit. ``strata``: those of another
    reference that this one goes together with; by default the most frequent ones of ``context``, at most 256.

    Raises UsageError for a column that the rows do not have.
    """
    source = source or Source()
    seen = _first_pass(read, columns, source, context)
    grids: dict[str, Grid] = {name: most_frequent(often) for name, often in seen.words.items()}
    wide = max(1, _VALUES // max(seen.rows, 1))
    of_numbers = [name for name in columns if name not in grids]
    for start in range(0, len(of_numbers), wide):
        grids |= _number_grids(read, of_numbers[start : start + wide], source)
    frequent = sorted(seen.strata, key=lambda s: (-seen.strata[s], str(s)))[:MOST_STRATA]
    own = tuple(sorted(frequent, key=str)) if context else ()
    layout = Layout(
        {name: grids[name] for name in columns},
        tuple(context),
        own if strata is None else tuple(strata),
        bool(source.unit),
    )
    sketch = RowCounter(layout, source).of(read())
    return ReferenceSketch(layout, sketch, _alike(read, layout, sketch, source))


def rows_of(table: str | Path, types: Mapping[str, pa.DataType] | None = None) -> Read:
    """The rows of a Parquet, CSV or Arrow file, by path or URL. ``types``: those of CSV columns, where an id of digits
    is a word. Raises UsageError for another ending."""
    place = place_of(table)
    kind = format_of(place.name)
    if kind is None:
        raise UsageError(f"{table} has no ending of a table", "rename it: .parquet, .csv, .csv.gz, .arrow, .arrows")

    def read() -> Iterator[pa.RecordBatch]:
        with open_table(place, kind, _ROWS, types or {}) as batches:
            yield from batches

    return read


@dataclass
class _Seen:
    rows: int = 0
    words: dict[str, Counter[str]] = field(default_factory=dict)
    strata: Counter[Stratum] = field(default_factory=Counter)


def _first_pass(read: Read, columns: Sequence[str], source: Source, context: Sequence[str]) -> _Seen:
    seen = _Seen()
    for batch in read():
        seen.rows += batch.num_rows
        for name in columns:
            column = _column(batch, name, source)
            if not is_number(column.type):
                _count_words(seen.words.setdefault(name, Counter()), column)
        if context:
            for name in context:
                if name not in CALENDAR or not source.time:
                    _column(batch, name, source)
            moments = moments_of(batch[source.time]) if source.time else None
            different, index = contexts(context, source, batch, moments)
            rows = np.bincount(index, minlength=len(different)).tolist()
            seen.strata.update(dict(zip(different, rows, strict=True)))
    if not seen.rows:
        raise UsageError("the reference has no rows", "see what the training window holds")
    return seen


def _column(batch: pa.RecordBatch, name: str, source: Source) -> Any:
    column = source.column(batch, name)
    if column is None:
        raise UsageError(f"the rows have no column {source.names.get(name, name)}", f"they have {batch.schema.names}")
    return column


def _count_words(often: Counter[str], column: Any) -> None:
    different, index = words.encoded(column)
    rows = np.bincount(index[index >= 0], minlength=len(different))
    often.update(dict(zip(different, rows.tolist(), strict=True)))


def _number_grids(read: Read, columns: Sequence[str], source: Source) -> dict[str, Grid]:
    values: dict[str, list[NDArray[np.float64]]] = {name: [] for name in columns}
    for batch in read():
        for name, parts in values.items():
            parts.append(numbers(_column(batch, name, source)))
    return {name: number_grid(np.concatenate(values.pop(name))) for name in columns}


def _alike(read: Read, layout: Layout, sketch: Sketch, source: Source) -> dict[str, dict[str, float]]:
    kinds = [*(["hour", "day"] if source.time else []), *(["unit"] if source.unit else [])]
    if not kinds:
        return {}
    places = {name: _cells_of(grid) for name, grid in layout.columns.items()}
    ranks = {name: mid_ranks(column.cells.sum(axis=0)) for name, column in sketch.columns.items()}
    found = {kind: ClusterSums([*layout.columns]) for kind in kinds}
    for batch in read():
        clusters = {kind: _clusters(sums, kind, batch, source) for kind, sums in found.items()}
        for name, grid in layout.columns.items():
            cells = places[name](source.column(batch, name))
            for kind, sums in found.items():
                known = (cells < grid.cells) & (clusters[kind] >= 0)
                sums.add(name, clusters[kind][known], ranks[name][cells[known]])
    squares = {
        name: float((sketch.columns[name].cells.sum(axis=0) * ranks[name].astype(np.float64) ** 2).sum())
        for name in layout.columns
    }
    return {
        kind: {name: sums.correlation(name, squares[name]) for name in layout.columns} for kind, sums in found.items()
    }


def _cells_of(grid: Grid) -> Callable[[Any], NDArray[np.int64]]:
    """From an Arrow column to cells; what is missing has a higher number than any cell."""
    if isinstance(grid, NumberGrid):
        find = NumberPlaces(grid)
        return lambda column: find(numbers(column)).astype(np.int64)
    return lambda column: words.places(grid, column)


def _clusters(sums: ClusterSums, kind: str, batch: pa.RecordBatch, source: Source) -> NDArray[np.int64]:
    """The place of each row's cluster; -1 for rows without a unit."""
    if kind == "unit":
        different, index = words.encoded(batch[source.unit])
        return np.append(sums.places(different), -1)[index]
    hours = hours_of(moments_of(batch[source.time]))
    keys, index = np.unique(hours // 24 if kind == "day" else hours, return_inverse=True)
    return sums.places(keys.tolist())[index]


class _ReferenceForm(FormPart):
    layout: LayoutForm
    sketch: SketchForm
    alike: dict[str, dict[str, FiniteFloat]] = Field(default_factory=dict)
    format: Literal[1] = FORMAT


def reference_bytes(reference: ReferenceSketch) -> bytes:
    """Equal for equal rows, in whatever order and files they lie."""
    form = _ReferenceForm(
        layout=layout_form(reference.layout),
        sketch=sketch_form(reference.sketch),
        alike={kind: dict(columns) for kind, columns in reference.alike.items()},
    )
    return canonical(plain(form))


def reference_digest(reference: ReferenceSketch) -> str:
    return hashlib.sha256(reference_bytes(reference)).hexdigest()


def read_reference(raw: bytes) -> ReferenceSketch:
    """Raises UsageError for bytes that are no reference."""
    form = parsed(_ReferenceForm, raw, "reference")
    layout = layout_of(form.layout)
    return ReferenceSketch(layout, sketch_of(form.sketch, layout), form.alike)


def joined(*layouts: Layout) -> Layout:
    """One layout for references of different rows: features over the training window, outputs over those evaluated.

    Raises UsageError where a column is in two of them, or their strata differ.
    """
    columns: dict[str, Grid] = {}
    for layout in layouts:
        twice = sorted(columns.keys() & layout.columns.keys())
        if twice or (layout.context, layout.strata) != (layouts[0].context, layouts[0].strata):
            raise UsageError(f"the references do not go together: {', '.join(twice) or 'their context differs'}")
        columns |= layout.columns
    return Layout(columns, layouts[0].context, layouts[0].strata, any(layout.units for layout in layouts))
