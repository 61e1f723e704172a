"""Rows that are unlike any of the training: fitted when a version is made, counted in its live traffic.

A row is strange when its score lies above the training's quantile. The forest is fitted on half of the rows, and what
share is strange among rows that nobody fitted to is counted on the other half: halves of days where rows have a time,
so that rows of one day are on one side.

A value beyond the training's range is as strange as the most extreme one there: how many such values come is a matter
of the data contract. A forest sees combinations that are rare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gitml.errors import UsageError
from gitml.files import write_file
from gitml.monitoring.detectors.rowsample import HOUR, UNIT, sample_of
from gitml.monitoring.outliers.isolationforest import IsolationForest, fit_forest, forest_of
from gitml.monitoring.reference import Part
from gitml.sketches.gather import Source, is_number, numbers
from gitml.sketches.grids import CategoryGrid
from gitml.sketches.reference import ReferenceSketch, read_reference, reference_bytes, reference_of
from gitml.sketches.sketch import Sketch

# The column that scores become: this word, or another.
STRANGE, USUAL, COLUMN = "strange", "usual", "outliers"
_MOST_ROWS = 200_000
# A word that fewer rows have is as strange as one that no row has; a file must not name it, it may point to a person.
_FREQUENT = 0.001
_LEAST_ROWS = 100
_LEAST_CLUSTERS = 10
_LARGEST = 1 << 27
_ANEW = "write it anew: gitml outliers"


class _Coding(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class NumberCoding(_Coding):
    """``missing`` stands for a missing value: the median."""

    kind: Literal["number"] = "number"
    missing: Annotated[float, Field(allow_inf_nan=False)]


class WordCoding(_Coding):
    """``shares`` of the frequent words stand for them, 0 for all others: rare ones are soon alone."""

    kind: Literal["word"] = "word"
    shares: dict[str, Annotated[float, Field(ge=0, le=1)]]


class _About(_Coding):
    format: Literal[1] = 1
    columns: dict[str, NumberCoding | WordCoding]
    threshold: Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Outliers:
    """``columns``: inputs by their own names, in the order of the forest. A row is strange above ``threshold``.

    ``reference`` counts how many are among rows that the forest was not fitted on.
    """

    columns: Mapping[str, NumberCoding | WordCoding]
    forest: IsolationForest
    threshold: float
    reference: ReferenceSketch

    @property
    def share(self) -> float:
        """Of strange rows in the reference."""
        return self.share_of(self.reference.sketch)

    def share_of(self, sketch: Sketch) -> float:
        """Of strange rows in what was counted by the reference's layout."""
        cells = sketch.columns[COLUMN].cells.sum(axis=0)
        usual = self.reference.layout.columns[COLUMN].categories.index(USUAL)  # type: ignore[union-attr]
        return 1 - float(cells[usual] / cells.sum()) if cells.sum() else 0.0

    def days(self, sketch: Sketch) -> dict[int, tuple[int, int]]:
        """Days since 1970 → rows, and strange ones, of what was counted by the reference's layout."""
        usual = self.reference.layout.strata.index((USUAL,))
        found: dict[int, tuple[int, int]] = {}
        for (hour, stratum), rows in sketch.hours.items():
            before = found.get(hour // 24, (0, 0))
            found[hour // 24] = before[0] + rows, before[1] + (rows if stratum != usual else 0)
        return found

    def scores(self, batch: Any) -> NDArray[np.float64]:
        """Of an Arrow table or batch with columns by their own names; one that is not there is missing."""
        return self.forest.scores(_matrix(self.columns, batch))

    def strange(self, scores: NDArray[np.float64]) -> pa.Array:
        """The column that is counted."""
        return pa.array(np.where(scores > self.threshold, STRANGE, USUAL))


def write_outliers(path: str | Path, part: Part, share: float = 0.01) -> Outliers:
    """Fit on the rows of ``part`` and write to ``path``; equal rows give equal bytes. ``share`` of the fitted rows
    count as strange.

    Raises UsageError for too few rows, and for a column that the rows do not have.
    """
    made = fit_outliers(part, share)
    write_file(Path(path), outliers_bytes(made))
    return made


def fit_outliers(part: Part, share: float = 0.01) -> Outliers:
    """The same without the file."""
    if not 0 < share < 0.5:
        raise UsageError(f"{share} of the rows cannot be outliers", "take a share from 0 to .5, such as .01")
    table = sample_of(part, _MOST_ROWS)
    lacking = [name for name in part.columns if pa.types.is_null(table.schema.field(name).type)]
    if lacking:
        raise UsageError(f"the rows have no value of {lacking[0]}", "name tables with --features that have it")
    mine = _half(table)
    fitted, other = table.filter(pa.array(mine)), table.filter(pa.array(~mine))
    if min(len(fitted), len(other)) < _LEAST_ROWS:
        raise UsageError(
            f"{len(table):,} rows are too few for outliers", f"{2 * _LEAST_ROWS} or more, of several days, tell them"
        )
    columns = {name: _coding(fitted[name]) for name in part.columns}
    forest = fit_forest(_matrix(columns, fitted))
    threshold = float(np.quantile(forest.scores(_matrix(columns, fitted)), 1 - share))
    strange = pa.array(np.where(forest.scores(_matrix(columns, other)) > threshold, STRANGE, USUAL))
    return Outliers(columns, forest, threshold, _counted(other, strange))


def _half(table: pa.Table) -> NDArray[np.bool_]:
    """Whole days, else whole units, where there are enough; else every other row."""
    index = np.arange(len(table))
    for name, hours in ((HOUR, 24), (UNIT, 1)):
        if name in table.column_names:
            different, found = np.unique(table[name].to_numpy() // hours, return_inverse=True)
            if len(different) >= _LEAST_CLUSTERS:
                index = found
                break
    even: NDArray[np.bool_] = index % 2 == 0
    return even


def _counted(table: pa.Table, strange: pa.Array) -> ReferenceSketch:
    """With how alike rows of an hour, a day or a unit are in this. Strange rows are a context of their own, so that
    those of each hour are known.
    """
    found: dict[str, Any] = {COLUMN: strange}
    names = table.column_names
    if HOUR in names:
        found["time"] = pa.array(table[HOUR].to_numpy() * 3_600_000_000).cast(pa.timestamp("us", tz="UTC"))
    if UNIT in names:
        found["unit"] = table[UNIT].combine_chunks().cast(pa.string())
    source = Source(time="time" if HOUR in names else "", unit="unit" if UNIT in names else "")
    return reference_of(lambda: iter([pa.record_batch(found)]), [COLUMN], source, [COLUMN])


def _coding(column: pa.ChunkedArray) -> NumberCoding | WordCoding:
    whole = column.combine_chunks()
    if _is_number(whole.type):
        known = _numbers(whole)
        known = known[np.isfinite(known)]
        return NumberCoding(missing=float(np.median(known)) if len(known) else 0.0)
    counts = pc.value_counts(whole.cast(pa.string()))
    shares = {word.as_py(): n.as_py() / len(whole) for word, n in zip(*counts.flatten(), strict=True) if word.is_valid}
    return WordCoding(shares={word: shares[word] for word in sorted(shares) if shares[word] >= _FREQUENT})


def _matrix(columns: Mapping[str, NumberCoding | WordCoding], batch: Any) -> NDArray[np.float32]:
    def of(name: str, coding: NumberCoding | WordCoding) -> NDArray[np.float32]:
        column = batch[name] if name in batch.schema.names else pa.nulls(batch.num_rows, pa.float64())
        return _coded(column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column, coding)

    return np.column_stack([of(name, coding) for name, coding in columns.items()])


def _coded(column: pa.Array, coding: NumberCoding | WordCoding) -> NDArray[np.float32]:
    """Numbers that fit float32: one that does not is at its end, which is strange enough."""
    if isinstance(coding, WordCoding):
        words = column.cast(pa.string()).dictionary_encode()
        shares = [coding.shares.get(word, 0.0) for word in words.dictionary.to_pylist()]
        index = words.indices.fill_null(len(shares)).to_numpy(zero_copy_only=False)
        found: NDArray[np.float32] = np.asarray([*shares, 0.0], dtype=np.float32)[index]
        return found
    values = _numbers(column) if _is_number(column.type) else np.full(len(column), np.nan)
    most = np.finfo(np.float32).max
    return np.clip(np.where(np.isnan(values), coding.missing, values), -most, most).astype(np.float32)


def _is_number(kind: Any) -> bool:
    return bool(is_number(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind))


def _numbers(column: pa.Array) -> NDArray[np.float64]:
    return numbers(column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column)


def outliers_bytes(made: Outliers) -> bytes:
    """Arrays in the form of safetensors: data and no code; what describes them is JSON among them."""
    from safetensors.numpy import save

    about = _About(columns=dict(made.columns), threshold=made.threshold)
    texts = {"about": about.model_dump_json().encode(), "reference": reference_bytes(made.reference)}
    # Not as metadata of safetensors, whose order is not always the same.
    return save({**made.forest.arrays(), **{name: np.frombuffer(raw, np.uint8) for name, raw in texts.items()}})


def read_outliers(raw: bytes) -> Outliers:
    """Raises UsageError for bytes that are not what ``outliers_bytes`` gives."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if len(raw) > _LARGEST:
        raise UsageError("the outliers of a version are larger than 128 MiB", _ANEW)
    try:
        arrays = load(raw)
        about = _About.model_validate_json(arrays.pop("about").tobytes())
        reference = read_reference(arrays.pop("reference").tobytes())
    except (SafetensorError, KeyError, ValidationError, ValueError) as exc:
        raise UsageError(f"these are no outliers of a version: {exc}", _ANEW) from exc
    forest = forest_of(arrays)
    grid = reference.layout.columns.get(COLUMN)
    if (
        len(about.columns) != forest.columns
        or not isinstance(grid, CategoryGrid)
        or (USUAL,) not in reference.layout.strata
    ):
        raise UsageError("the forest has other columns than its description", _ANEW)
    return Outliers(about.columns, forest, about.threshold, reference)
