"""Rows that were held out, as two versions answer them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gitml.engines.places import place_of
from gitml.engines.tables import format_of, open_table
from gitml.errors import GitmlError, InconclusiveError
from gitml.inference.samerows import AnsweredRows
from gitml.inference.scorefiles import inputs_at
from gitml.inference.scorework import column_types
from gitml.models.model import Predictor
from gitml.models.signature import InputError
from gitml.sketches.moments import hours_of, moments_of
from gitml.spec.holdout import HoldOut

_ROWS = 65_536
_PIECE = 16_384
UnitWord = Literal["row", "day", "unit"]


@dataclass(frozen=True)
class HeldRows:
    """Rows as they are read, and what each was answered."""

    table: pa.Table
    answered: AnsweredRows
    unit: UnitWord
    moments: Any | None


@dataclass(frozen=True)
class LabelledRows:
    """Rows with a label. ``unit``: shape (n,), which of them count as one observation, and ``word`` what that is."""

    table: pa.Table
    unit: Any
    word: UnitWord
    moments: Any | None


def read_held(place: Path, spec: HoldOut, sides: tuple[Predictor, Predictor], time: str = "") -> HeldRows:
    """Rows with labels, and what both ``sides``, the old and the new version, answer. ``time``: their column of
    times, where it is not the one of ``spec``.

    Raises GitmlError for rows that a version cannot answer, or without a label.
    """
    held = labelled_rows(place, spec, sides[1], time)
    table = held.table
    answers = [_answers(side, table, who) for side, who in zip(sides, ("the other version", "it"), strict=True)]
    (truth, old, new), numeric = numbers_of([table[spec.label].to_pylist(), *answers])
    return HeldRows(table, AnsweredRows(held.unit, truth, old, new, numeric), held.word, held.moments)


def labelled_rows(place: Path, spec: HoldOut, side: Predictor, time: str = "") -> LabelledRows:
    """The same as they are read, of one version. Raises GitmlError."""
    table = _table(place, side, spec.rows)
    time = time or spec.time or ""
    for name in [name for name in (spec.label, time, spec.unit) if name]:
        if name not in table.schema.names:
            raise InconclusiveError(f"its rows have no column {name}")
    table = table.filter(_is_labelled(table[spec.label])).combine_chunks()
    if not table.num_rows:
        raise InconclusiveError("it has no row with a label")
    moments = _moments(table, time) if time else None
    unit, word = _units(table, spec, moments)
    return LabelledRows(table, unit, word, moments)


def _table(place: Path, side: Predictor, named: str) -> pa.Table:
    """A folder of tables, or the file ``named``: in DVC's cache its place has no ending."""
    types = column_types(side.signature)
    if place.is_file():
        files = [(place_of(str(place)), str(format_of(named)))]
    else:
        inputs = inputs_at(str(place))
        files = [(inputs.base / entry.name, str(format_of(entry.name))) for entry in inputs.files]
    parts = []
    for file, kind in files:
        with open_table(file, kind, _ROWS, types) as batches:
            parts += [pa.Table.from_batches([batch]) for batch in batches]
    if not parts:
        raise InconclusiveError("it has no rows")
    return pa.concat_tables(parts, promote_options="permissive")


def _is_labelled(labels: Any) -> Any:
    """Not a number is not a label either, as pandas writes what is missing."""
    there = pc.is_valid(labels)
    return pc.and_not(there, pc.is_nan(labels).fill_null(False)) if pa.types.is_floating(labels.type) else there


def _moments(table: pa.Table, time: str) -> Any:
    try:
        return moments_of(_one(table[time]))
    except pa.ArrowException:
        # What Arrow says has the value in it.
        raise InconclusiveError(f"its column {time} holds values that are not times") from None


def _one(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _units(table: pa.Table, spec: HoldOut, moments: Any | None) -> tuple[Any, UnitWord]:
    if spec.unit and spec.unit in table.schema.names:
        codes = _one(table[spec.unit]).dictionary_encode().indices.fill_null(-1)
        return codes.to_numpy(zero_copy_only=False).astype(np.int64), "unit"
    if moments is not None:
        return hours_of(moments) // 24, "day"
    return np.arange(table.num_rows, dtype=np.int64), "row"


def _answers(side: Predictor, table: pa.Table, who: str) -> list[Any]:
    """The first output. Raises InconclusiveError."""
    lacking = [f.name for f in side.signature.inputs if f.name not in table.schema.names and not f.nullable]
    if lacking:
        raise InconclusiveError(f"{who} takes the column {lacking[0]}, which these rows do not have")
    names = [f.name for f in side.signature.inputs if f.name in table.schema.names]
    found: list[Any] = []
    try:
        for start in range(0, table.num_rows, _PIECE):
            some = table.slice(start, _PIECE)
            rows = side.signature.columns({name: some[name].to_pylist() for name in names})
            found += side.answers(rows)[:, 0].tolist()
    except InputError as exc:
        wrong = exc.problems[0]
        raise InconclusiveError(f"{who} cannot answer these rows: {wrong.field} must be {wrong.expected}") from None
    except GitmlError as exc:
        raise InconclusiveError(f"{who} cannot answer these rows: {first_line(exc.message)}") from exc
    return found


def numbers_of(columns: Sequence[list[Any]]) -> tuple[list[Any], bool]:
    """Columns as numbers; words as codes that are the same in all of them."""
    try:
        return [np.array(column, dtype=np.float64) for column in columns], True
    except (ValueError, TypeError):
        words: Mapping[str, int] = {w: n for n, w in enumerate(sorted({str(v) for c in columns for v in c}))}
        return [np.array([words[str(v)] for v in column], dtype=np.float64) for column in columns], False


def first_line(text: str) -> str:
    """Of a message, so much that a report can show it."""
    return (text.splitlines() or [""])[0][:500]


def why_unread(exc: BaseException) -> str:
    """Why rows cannot be read, in a line that a report may show: what Arrow says quotes their values."""
    cause: BaseException | None = exc
    while cause is not None:
        if isinstance(cause, pa.ArrowException):
            return "its rows cannot be read as one table"
        cause = cause.__cause__
    return first_line(exc.message if isinstance(exc, GitmlError) else str(exc))
