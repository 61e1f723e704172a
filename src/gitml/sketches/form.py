"""Layouts, sketches and references as bytes: JSON in one canonical form, so that equal ones have one digest."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from typing import Annotated, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from gitml.errors import UsageError
from gitml.jsontext import canonical, plain
from gitml.sketches.grids import CategoryGrid, Grid, NumberGrid
from gitml.sketches.layout import MOST_STRATA, Layout
from gitml.sketches.sketch import ColumnSketch, Sketch
from gitml.sketches.units import PLACES

FORMAT: Literal[1] = 1
_MOST_EDGES = 250

# So many that sums of them fit 64 bits.
Rows = Annotated[int, Field(ge=0, le=2**53)]
_Signed = Annotated[int, Field(ge=-(2**53), le=2**53)]
F = TypeVar("F", bound=BaseModel)


class FormPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _NumberForm(FormPart):
    edges: Annotated[tuple[FiniteFloat, ...], Field(max_length=_MOST_EDGES)]
    marks: tuple[Rows, ...]
    step: Annotated[FiniteFloat, Field(gt=0)]


class _CategoryForm(FormPart):
    categories: Annotated[tuple[str, ...], Field(max_length=_MOST_EDGES)]


class LayoutForm(FormPart):
    """A layout as it is written."""

    columns: dict[str, _NumberForm | _CategoryForm]
    context: tuple[str, ...]
    strata: Annotated[tuple[tuple[str | None, ...], ...], Field(max_length=MOST_STRATA)]
    units: bool


class _ColumnForm(FormPart):
    cells: tuple[tuple[Rows, ...], ...]
    missing: tuple[Rows, ...]
    absent: Rows
    unfit: Rows
    infinite: Rows
    total: int
    least: FiniteFloat | None
    most: FiniteFloat | None


class SketchForm(FormPart):
    """A sketch as it is written."""

    layout: str
    rows: tuple[Rows, ...]
    columns: dict[str, _ColumnForm]
    hours: tuple[tuple[int, Rows, Rows], ...]
    units: Annotated[tuple[_Signed, ...], Field(min_length=PLACES, max_length=PLACES)] | None
    routes: tuple[tuple[str, str, str, Rows, Rows], ...]
    format: Literal[1] = FORMAT


def layout_digest(layout: Layout) -> str:
    return hashlib.sha256(canonical(plain(layout_form(layout)))).hexdigest()


def layout_form(layout: Layout) -> LayoutForm:
    columns = {name: _grid_form(grid) for name, grid in layout.columns.items()}
    return LayoutForm(columns=columns, context=layout.context, strata=layout.strata, units=layout.units)


def layout_of(form: LayoutForm) -> Layout:
    """Raises UsageError for edges that do not rise."""
    for name, grid in form.columns.items():
        if isinstance(grid, _NumberForm) and any(high <= low for low, high in pairwise(grid.edges)):
            raise UsageError(f"the edges of {name} do not rise", "write it anew")
    columns: dict[str, Grid] = {
        name: NumberGrid(grid.edges, grid.marks, grid.step)
        if isinstance(grid, _NumberForm)
        else CategoryGrid(grid.categories)
        for name, grid in form.columns.items()
    }
    return Layout(columns, form.context, form.strata, form.units)


def _grid_form(grid: Grid) -> _NumberForm | _CategoryForm:
    if isinstance(grid, NumberGrid):
        return _NumberForm(edges=grid.edges, marks=grid.marks, step=grid.step)
    return _CategoryForm(categories=grid.categories)


def sketch_bytes(sketch: Sketch) -> bytes:
    """Equal for equal rows, in whatever order and files they lie."""
    return canonical(plain(sketch_form(sketch)))


def sketch_digest(sketch: Sketch) -> str:
    return hashlib.sha256(sketch_bytes(sketch)).hexdigest()


def sketch_form(sketch: Sketch) -> SketchForm:
    return SketchForm(
        layout=sketch.layout,
        rows=tuple(sketch.rows.tolist()),
        columns={name: _column_form(column) for name, column in sketch.columns.items()},
        hours=tuple(sorted((hour, part, rows) for (hour, part), rows in sketch.hours.items())),
        units=None if sketch.units is None else tuple(sketch.units.tolist()),
        routes=tuple(sorted((*route, *counts) for route, counts in sketch.routes.items())),
    )


def _column_form(column: ColumnSketch) -> _ColumnForm:
    return _ColumnForm(
        cells=tuple(map(tuple, column.cells.tolist())),
        missing=tuple(column.missing.tolist()),
        absent=column.absent,
        unfit=column.unfit,
        infinite=column.infinite,
        total=column.total,
        least=column.least,
        most=column.most,
    )


def read_sketch(raw: bytes, layout: Layout) -> Sketch:
    """Raises UsageError for bytes that are no sketch, or one of another layout."""
    form = parsed(SketchForm, raw, "sketch")
    if form.layout != layout_digest(layout):
        raise UsageError(f"the sketch is of layout {form.layout[:12]}", "count the window anew, by this reference")
    return sketch_of(form, layout)


def sketch_of(form: SketchForm, layout: Layout) -> Sketch:
    """Raises UsageError where the sketch does not have the layout's columns, cells and strata."""
    columns = {name: _column_of(column) for name, column in form.columns.items()}
    shapes = {name: (layout.parts, grid.cells) for name, grid in layout.columns.items()}
    same = {name: column.cells.shape for name, column in columns.items()} == shapes
    if not (same and all(len(c.missing) == layout.parts for c in columns.values()) and len(form.rows) == layout.parts):
        raise UsageError("the sketch does not fit its layout", "write it anew")
    return Sketch(
        form.layout,
        np.array(form.rows, dtype=np.int64),
        columns,
        {(hour, part): rows for hour, part, rows in form.hours},
        None if form.units is None else np.array(form.units, dtype=np.int64),
        {(arm, version, outcome): (rows, asked) for arm, version, outcome, rows, asked in form.routes},
    )


def _column_of(form: _ColumnForm) -> ColumnSketch:
    told = form.model_dump()
    try:
        cells = np.array(told.pop("cells"), dtype=np.int64, ndmin=2)
        return ColumnSketch(cells, np.array(told.pop("missing"), dtype=np.int64), **told)
    except (ValueError, OverflowError) as exc:
        raise UsageError(f"the counts of a sketch are no table: {exc}", "write it anew") from exc


def parsed(kind: type[F], raw: bytes, what: str) -> F:
    """Raises UsageError."""
    try:
        return kind.model_validate_json(raw)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"no {what} of format {FORMAT}: {where}: {first['msg']}", "write it anew") from exc
