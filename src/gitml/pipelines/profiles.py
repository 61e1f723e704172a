"""The profile of a table in Parquet: every column read once, in batches, with bounded memory."""

from __future__ import annotations

import importlib.util
import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from gitml.pipelines.rows import footers_of, parquet_files
from gitml.stats.profile import (
    FEWEST_ROWS,
    LONGEST_NAME,
    MOST_COLUMNS,
    MOST_VALUES,
    Column,
    Profile,
    Untold,
    of_categories,
    of_numbers,
)

# Of more rows than this, so many are looked at for numbers: 64 columns of them are 50 MB.
MOST_ROWS = 100_000
_BATCH = 65_536
# More bytes a row than this, as the footers say, are no categories: such a column is not even read.
_LONGEST = 64
_GOLDEN = 0x9E3779B97F4A7C15

Kind = Literal["number", "category", "time", "nested", "binary", "empty", "mixed"]


@dataclass
class _Read:
    """What is known of one column so far. ``counts`` is None once there are too many values, or text is not UTF-8."""

    kind: Kind
    parts: list[Any] = field(default_factory=list)
    looked_at: int = 0
    counts: dict[str, int] | None = field(default_factory=dict)
    rows: int = 0

    @property
    def is_wanted(self) -> bool:
        return self.kind == "number" or (self.kind == "category" and self.counts is not None)


def profile(path: Path, private: Collection[str] = ()) -> Profile | None:
    """The profile of a Parquet file, or of all in a folder as one table; nothing of columns named in ``private``.

    None for anything else, for fewer than 20 rows, for files that share no column, or without pyarrow and numpy.
    """
    if importlib.util.find_spec("numpy") is None:
        return None
    footers = footers_of(path)
    rows = sum(int(footer.num_rows) for footer in footers)
    if rows < FEWEST_ROWS:
        return None
    import pyarrow

    try:
        kinds = _kinds(footers)
        shown = [name for name in kinds if 0 < len(name) <= LONGEST_NAME][:MOST_COLUMNS]
        found = {name: _Read(kinds[name]) for name in shown if name not in private}
        for name in _long_columns(footers):
            if name in found and found[name].kind == "category":
                found[name].counts = None
        _read(parquet_files(path), found, rows)
    except (OSError, UnicodeDecodeError, pyarrow.ArrowException):
        return None
    columns = {name: _column(found[name]) if name in found else Untold(why="private") for name in shown}
    return Profile(rows=min(rows, MOST_ROWS), columns=columns, left_out=len(kinds) - len(shown)) if columns else None


def _kinds(footers: Sequence[Any]) -> dict[str, Kind]:
    """The columns that all files have, in the order of the first."""
    found: dict[str, Kind] = {}
    for number, footer in enumerate(footers):
        schema = footer.schema.to_arrow_schema()
        times = Counter(schema.names)
        here = {f.name: _kind(f.type) for f in schema if times[f.name] == 1}
        if number == 0:
            found = here
        found = {name: _joined(kind, here[name]) for name, kind in found.items() if name in here}
    return found


def _joined(one: Kind, other: Kind) -> Kind:
    if one == other or other == "empty":
        return one
    return other if one == "empty" else "mixed"


def _kind(of: Any) -> Kind:
    from pyarrow import types

    if types.is_dictionary(of):
        return _kind(of.value_type)
    tests: dict[Kind, Sequence[Any]] = {
        "number": (types.is_integer, types.is_floating, types.is_decimal),
        "category": (types.is_boolean, types.is_string, types.is_large_string, types.is_string_view),
        "time": (types.is_temporal,),
        "nested": (types.is_nested,),
        "empty": (types.is_null,),
    }
    return next((kind for kind, asked in tests.items() if any(ask(of) for ask in asked)), "binary")


def _long_columns(footers: Sequence[Any]) -> Iterator[str]:
    sizes: dict[str, tuple[int, int]] = {}
    for footer in footers:
        for group in range(footer.num_row_groups):
            for index in range(footer.num_columns):
                column = footer.row_group(group).column(index)
                size, values = sizes.get(column.path_in_schema, (0, 0))
                sizes[column.path_in_schema] = size + column.total_uncompressed_size, values + column.num_values
    return (name for name, (size, values) in sizes.items() if size > _LONGEST * values)


def _read(files: Sequence[Path], found: dict[str, _Read], rows: int) -> None:
    import pyarrow.parquet

    text = [name for name, column in found.items() if column.kind == "category"]
    start = 0
    for path in files:
        with pyarrow.parquet.ParquetFile(path, read_dictionary=text) as file:
            for group in range(file.num_row_groups):
                # Asked anew: a column of keys is given up after its first batches.
                names = [name for name, column in found.items() if column.is_wanted]
                for batch in file.iter_batches(_BATCH, row_groups=[group], columns=names) if names else ():
                    _take(batch, found, _chosen(start, batch.num_rows, rows))
                    start += batch.num_rows


def _chosen(start: int, count: int, rows: int) -> Any:
    """Which of the rows from ``start`` on are looked at: None for all, else a mask that is the same in every run.

    Multiples of the golden ratio, without their whole part, fall evenly into every stretch of rows, and in step with no
    period of the data, as every tenth row might.
    """
    if rows <= MOST_ROWS:
        return None
    import numpy as np

    places = np.arange(start, start + count, dtype=np.uint64) * np.uint64(_GOLDEN)
    return places < np.uint64(MOST_ROWS * 2**64 // rows)


def _take(batch: Any, found: dict[str, _Read], chosen: Any) -> None:
    for name, values in zip(batch.schema.names, batch.columns, strict=True):
        # Asked for a column called `a.b`, pyarrow also gives the part `b` of a nested column `a`.
        column = found.get(name)
        if column is None or not column.is_wanted:
            continue
        if column.kind == "number":
            _take_numbers(column, values, chosen)
        else:
            _take_words(column, values)


def _take_numbers(column: _Read, values: Any, chosen: Any) -> None:
    import numpy as np
    import pyarrow
    from pyarrow import types

    plain = values.dictionary_decode() if types.is_dictionary(values.type) else values
    numbers = plain.cast(pyarrow.float64(), safe=False).to_numpy(zero_copy_only=False)
    looked_at = numbers if chosen is None else numbers[chosen]
    column.looked_at += len(looked_at)
    # Minus zero is zero: the grid knows one of them.
    column.parts.append(looked_at[np.isfinite(looked_at)] + 0.0)


def _take_words(column: _Read, values: Any) -> None:
    counts = column.counts
    if counts is None:
        return
    column.rows += len(values)
    try:
        for one in values.value_counts():
            value = one["values"].as_py()
            if value is not None:
                word = str(value).lower() if isinstance(value, bool) else str(value)
                counts[word] = counts.get(word, 0) + int(one["counts"].as_py())
            if len(counts) > MOST_VALUES:
                break
    except UnicodeDecodeError:
        column.counts = None
    if len(counts) > MOST_VALUES:
        column.counts = None


def _column(found: _Read) -> Column:
    if found.kind == "category":
        return Untold(why="text") if found.counts is None else of_categories(found.counts, found.rows)
    if found.kind == "number":
        return _numbers(found)
    return Untold(why=found.kind)


def _numbers(found: _Read) -> Column:
    import numpy as np

    values = np.sort(np.concatenate([*found.parts, np.empty(0)]))
    found.parts.clear()
    whole = bool((values == np.floor(values)).all())
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = (float(values.mean()), float(values.std())) if len(values) else (math.nan, math.nan)
    # A memory view gives plain floats, several times faster than the array gives its own.
    ordered = cast("Sequence[float]", values.data)
    return of_numbers(ordered, found.looked_at, whole=whole, mean=mean, deviation=deviation)
