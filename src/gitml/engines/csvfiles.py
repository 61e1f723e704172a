"""CSV as data sets have it: what is missing depends on the column.

In a column of words only the empty cell without quotes is missing: ``NA``, ``null``, ``None`` and ``""`` are words like
others. In a column of numbers those mean that there is none, and ``1.0`` is a whole number where one is wanted: pandas
writes whole numbers so as soon as one is missing. In a column that nothing is known of, ``01067`` is a code. Arrow
knows such words for all columns or for none, so it reads the numbers as words, and they are converted here.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

from gitml.errors import UsageError

BLOCK = 1 << 20
# Digits that are no number: ``007`` is not ``7``.
_CODE = r"^\s*[-+]?0[0-9]"
# Nor is what float64 does not hold: of an id with 20 digits it keeps 16.
_LONG = r"^\s*[-+]?[0-9]{16,}\s*$"
# ``12e5`` is an id: programs write such a number as ``1.2e+06``. Beside fractions it may be one: some write ``1e20``.
_EXPONENT = r"^\s*[0-9]+[eE][0-9]+\s*$"
_FRACTION = r"\.[0-9]|[eE][-+]"
# Arrow's own words, and what pandas and Python write.
_MISSING = pa.array([*csv.ConvertOptions().null_values, "None", "<NA>"])


class CsvFile:
    """The open file ``stream``, compressed if ``is_gzip``; ``types`` are those of columns that are known, others are
    inferred from the beginning."""

    def __init__(self, stream: Any, types: Mapping[str, pa.DataType], *, is_gzip: bool) -> None:
        head = _head(stream.read(2 * BLOCK), is_gzip)
        stream.seek(0)
        found = csv.open_csv(io.BytesIO(head), _options()).schema
        self.schema = _schema(found, {**_coded(head, found), **types})
        self._inferred = {f.name for f in self.schema if f.name not in types and _is_number(f.type)}
        read_as = {f.name: pa.string() if _is_converted(f.type) else f.type for f in self.schema}
        convert = csv.ConvertOptions(
            column_types=read_as, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        )
        plain = pa.CompressedInputStream(stream, "gzip") if is_gzip else stream
        self._reader = csv.open_csv(plain, _options(), convert_options=convert)

    def batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self._reader:
            columns = [self._column(batch.column(n), field) for n, field in enumerate(self.schema)]
            yield pa.record_batch(columns, schema=self.schema)

    def _column(self, column: pa.Array, field: pa.Field) -> pa.Array:
        if field.name in self._inferred:
            self._refuse_codes(column, field)
        return _converted(column, field)

    def _refuse_codes(self, column: pa.Array, field: pa.Field) -> None:
        """What comes before the first code is read as numbers already."""
        found = column.filter(_codes(column, field.type))
        if len(found):
            raise UsageError(
                f"column {field.name} begins with numbers, and later holds {str(found[0])[:60]!r}, which is a code",
                "put a row with such a code first, or write the table as Parquet, where each column has a type",
            )


def _head(content: bytes, is_gzip: bool) -> bytes:
    # Arrow's own stream of compressed bytes closes the file when it goes.
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(content, 2 * BLOCK) if is_gzip else content
    except zlib.error as exc:
        raise pa.ArrowInvalid(str(exc)) from exc


def _options() -> csv.ReadOptions:
    return csv.ReadOptions(block_size=BLOCK, use_threads=False)


def _coded(head: bytes, found: pa.Schema) -> dict[str, pa.DataType]:
    """Columns of digits that are no numbers, such as postcodes and long ids."""
    numbers = {f.name: f.type for f in found if _is_number(f.type)}
    if not numbers:
        return {}
    names = list(numbers)
    convert = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), include_columns=names)
    table = csv.open_csv(io.BytesIO(head), _options(), convert_options=convert).read_next_batch()
    codes = {name: pc.any(_codes(table.column(name), kind)).as_py() for name, kind in numbers.items()}
    return {name: pa.string() for name, is_code in codes.items() if is_code}


def _codes(column: pa.Array, inferred: pa.DataType) -> pa.Array:
    """Which cells of a column of numbers are digits that the number would not keep."""
    codes = pc.match_substring_regex(column, _CODE)
    if pa.types.is_floating(inferred):
        codes = pc.or_(codes, pc.match_substring_regex(column, _LONG))
    if not pc.any(pc.match_substring_regex(column, _FRACTION)).as_py():
        codes = pc.or_(codes, pc.match_substring_regex(column, _EXPONENT))
    return codes


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _schema(found: pa.Schema, types: Mapping[str, pa.DataType]) -> pa.Schema:
    fields = [f.with_type(types.get(f.name, f.type)) for f in found]
    # Nothing but missing cells so far: what comes later may be anything.
    return pa.schema([f.with_type(pa.string()) if pa.types.is_null(f.type) else f for f in fields])


def _is_converted(kind: pa.DataType) -> bool:
    return _is_number(kind) or bool(pa.types.is_boolean(kind))


def _converted(column: pa.Array, field: pa.Field) -> pa.Array:
    if not _is_converted(field.type):
        return column
    cells = pc.utf8_trim_whitespace(column)
    cells = pc.if_else(pc.is_in(cells, value_set=_MISSING), None, cells)
    try:
        return cells.cast(field.type)
    except pa.ArrowInvalid as exc:
        if pa.types.is_floating(field.type):
            raise pa.ArrowInvalid(f"column {field.name}: {exc}") from exc
    try:
        # Arrow refuses fractions here. Not by way of floats where it can be helped: they hold 15 digits.
        if pa.types.is_integer(field.type):
            cells = pc.replace_substring_regex(cells, r"^([-+]?[0-9]+)\.0*$", r"\1")
            with suppress(pa.ArrowInvalid):
                return cells.cast(field.type)
        whole = cells.cast(pa.float64()).cast(pa.int8() if pa.types.is_boolean(field.type) else field.type)
        return whole.cast(field.type)
    except pa.ArrowInvalid as exc:
        raise pa.ArrowInvalid(f"column {field.name}: {exc}") from exc
