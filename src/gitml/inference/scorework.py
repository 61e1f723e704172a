"""What `gitml score` does with a batch: check it against the signature, ask the model, keep the columns wanted."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gitml.engines.base import Batches
from gitml.engines.rejects import Reject
from gitml.errors import UsageError
from gitml.inference.clone import loader
from gitml.inference.scorerejects import REASON, ROW, misfits, parted
from gitml.models.fields import FLOATS, INTEGERS
from gitml.models.model import Predictor, UnknownWordError
from gitml.models.signature import InputError, Rows, Signature, parse
from gitml.registry import Record
from gitml.registry.load import LoadedVersion
from gitml.spec.application import Model

_TYPES = {"string": pa.string(), "bool": pa.bool_(), **{name: getattr(pa, name)() for name in (*INTEGERS, *FLOATS)}}


@dataclass(frozen=True)
class Scoring:
    """What a worker needs to score. ``keep``: names of columns to pass on, ``("*",)`` for all, None for those that the
    model does not take. ``reject``: rows that do not fit are left out instead of ending it."""

    root: Path
    models: Mapping[str, Model]
    record: Record
    keep: tuple[str, ...] | None = None
    reject: bool = False

    def __call__(self) -> ScoreWork:
        return self.work(self.loaded())

    def loaded(self) -> LoadedVersion:
        return loader(self.root, self.models).checked(self.record)

    def work(self, version: LoadedVersion) -> ScoreWork:
        return ScoreWork(version.model, self.keep, self.reject)


def csv_types(signature: Mapping[str, Any]) -> dict[str, pa.DataType]:
    """How the inputs are read from text, whatever they look like: an id of digits stays a word.

    Raises UsageError for a signature that nothing can be scored by.
    """
    return column_types(parse(signature))


def column_types(signature: Signature) -> dict[str, pa.DataType]:
    return {f.name: pa.float64() if f.type in FLOATS else _TYPES[f.type] for f in signature.inputs}


@dataclass(frozen=True)
class ScoreWork:
    """``gitml.engines.Work`` with a loaded model."""

    model: Predictor
    keep: tuple[str, ...] | None
    reject: bool = False

    def schema(self, given: pa.Schema) -> pa.Schema:
        """A column that is called like an answer, such as a label, is passed on as ``NAME.given``."""
        outputs = [pa.field(f.name, _TYPES[f.type]) for f in self.model.signature.outputs]
        taken = {f.name for f in outputs}
        kept = [given.field(name) for name in self._kept(given)]
        passed = [f.with_name(f"{f.name}.given") if f.name in taken else f for f in kept]
        names = [f.name for f in passed]
        twice = next((name for name in names if names.count(name) > 1 or name in taken), None)
        if twice:
            raise UsageError(
                f"two columns would be called {twice}", "name the columns to pass on with --keep COLUMN: no other is"
            )
        return pa.schema([*passed, *outputs])

    def _kept(self, given: pa.Schema) -> list[str]:
        names = list(given.names)
        taken = [name for name in (ROW, REASON) if self.reject and name in names]
        if taken:
            raise UsageError(f"the input has a column {taken[0]}, which --reject adds", "give it another name")
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise UsageError(f"the input has two columns {doubled[0]}")
        inputs = [f.name for f in self.model.signature.inputs]
        for lacking in (name for name in inputs if name not in names):
            hint = "the version's signature names what the model takes, and of which types: gitml show MODEL --json"
            raise UsageError(f"the model needs a column {lacking}: {_near(lacking, names)}", hint)
        if self.keep is None:
            return [name for name in names if name not in inputs]
        if self.keep == ("*",):
            return names
        for lacking in (name for name in self.keep if name not in names):
            raise UsageError(f"--keep names a column {lacking}: {_near(lacking, names)}")
        return list(dict.fromkeys(self.keep))

    def __call__(self, batches: Batches, facts: dict[str, int], reject: Reject) -> Batches:
        first = 0
        for batch in batches:
            yield self._scored(self._fitting(batch, first, reject), first, facts)
            first += batch.num_rows

    def _fitting(self, batch: pa.RecordBatch, first: int, reject: Reject) -> pa.RecordBatch:
        """All rows, or those that fit where others are left out."""
        if not self.reject:
            return batch
        try:
            self._encoded(batch)
        except InputError:
            batch, rest = parted(batch, misfits(batch, self._encoded), first)
            reject(rest)
        return batch

    def _encoded(self, batch: pa.RecordBatch) -> Rows:
        inputs = self.model.signature.inputs
        return self.model.signature.columns({f.name: _values(batch.column(f.name)) for f in inputs})

    def _scored(self, batch: pa.RecordBatch, first: int, facts: dict[str, int]) -> pa.RecordBatch:
        signature = self.model.signature
        try:
            rows = self._encoded(batch)
            answers = self.model.answers(rows)
        except (InputError, UnknownWordError) as exc:
            # Rows count from the beginning of the file, as whoever mends it looks for them.
            problems = [p._replace(row=p.row + first) if p.row >= 0 else p for p in exc.problems]
            hint = "rows count from 0; mend them, or leave them out with --reject"
            raise UsageError("; ".join(map(str, problems)), hint) from exc
        for name, count in signature.unknown(rows).items():
            facts[name] = facts.get(name, 0) + count
        schema = self.schema(batch.schema)
        kept = [batch.column(name) for name in self._kept(batch.schema)]
        if not batch.num_rows:  # of a batch whose rows were all left out
            return pa.record_batch([pa.array([], f.type) for f in schema], schema=schema)
        made = [_answer(answers[:, n], _TYPES[f.type]) for n, f in enumerate(signature.outputs)]
        return pa.record_batch([*kept, *made], schema=schema)


def _near(name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, 1)
    return f"is it {near[0]}?" if near else f"there are {', '.join(names[:20]) or 'none'}"


def _values(column: pa.Array) -> Any:
    """An array where it holds numbers and nothing is missing, otherwise a list: None says what is missing."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_floating(column.type) or (pa.types.is_integer(column.type) and column.null_count == 0):
        return column.to_numpy(zero_copy_only=False)
    return column.to_pylist()


def _answer(values: np.ndarray[Any, Any], kind: pa.DataType) -> pa.Array:
    return pa.array(values, from_pandas=False).cast(kind)
