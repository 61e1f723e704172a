"""Rows of both arms as columns, from batches of the traffic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gitml.models.fields import Field
from gitml.rollout.unitkeys import Keys, keys_of_texts, mixed_keys

COLUMNS = (
    "request_id", "caller", "row", "unit", "environment", "arm", "version", "weight", "epoch", "outcome", "latency_ms",
    "arrived",
)  # fmt: skip
ANSWERED, FAILED, DROPPED, OTHER = range(4)
# `refused` and `invalid` are what callers can bring about as they like; what the champion answers instead is `failed`.
# `busy`: too much waited for that version alone. Load that fills the queues of both arms alike makes no difference.
_OUTCOMES = {"ok": ANSWERED, "failed": FAILED, "timed out": FAILED, "busy": FAILED, "dropped": DROPPED}


@dataclass(frozen=True)
class RowTable:
    """Rows in their order. ``unit``, ``pair`` (request, caller and row): keys. ``named``: the request named its unit.
    ``first``: it is the first row of its request. ``outcome``: one of ANSWERED, FAILED, DROPPED, OTHER. ``arrived``,
    ``told`` (when the label came, -1 without one): microseconds since 1970. ``truth`` and ``predicted``: NaN where
    there is none; words are numbers. ``source``: who told the label, as a number."""

    unit: Keys
    pair: Keys
    named: NDArray[np.bool_]
    first: NDArray[np.bool_]
    outcome: NDArray[np.int8]
    epoch: NDArray[np.int32]
    arrived: NDArray[np.int64]
    latency: NDArray[np.float32]
    truth: NDArray[np.float64]
    predicted: NDArray[np.float64]
    told: NDArray[np.int64]
    source: NDArray[np.int32]

    @property
    def ids(self) -> NDArray[np.int64]:
        """Units as integers, by which ``arranged`` orders them."""
        return self.unit.view(np.int64)

    @property
    def firsts(self) -> NDArray[np.bool_]:
        """Of rows in that order: where a unit is met first in its epoch."""
        new = np.ones(len(self), bool)
        new[1:] = (self.unit[1:] != self.unit[:-1]) | (self.epoch[1:] != self.epoch[:-1])
        return new

    def arranged(self) -> Any:
        """Places of the rows by epoch, then by unit, then by time."""
        order = np.argsort(self.arrived, kind="stable")
        order = order[np.argsort(self.ids[order], kind="stable")]
        return order[np.argsort(self.epoch[order].astype(np.int16), kind="stable")]

    def __len__(self) -> int:
        return len(self.unit)

    def taken(self, rows: Any) -> Self:
        """Those rows, by places or by a mask."""
        return type(self)(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """One after another."""
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)})


@dataclass
class WordNumbers:
    """Words as numbers, in the order in which they were met."""

    known: dict[str, int]

    def of(self, column: Any) -> NDArray[np.int64]:
        """-1 for what is missing."""
        encoded = column.cast(pa.string()).dictionary_encode()
        table = [self.known.setdefault(word, len(self.known)) for word in encoded.dictionary.to_pylist()]
        places = encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
        found: NDArray[np.int64] = np.array([*table, -1], dtype=np.int64)[places]
        return found


@dataclass(frozen=True)
class Encoders:
    """What is met in one reading: epochs, sources of labels, classes."""

    epochs: WordNumbers
    sources: WordNumbers
    classes: WordNumbers

    @classmethod
    def empty(cls) -> Self:
        return cls(WordNumbers({}), WordNumbers({}), WordNumbers({}))


def table_of(batch: Any, output: Field, encoders: Encoders) -> RowTable:
    """All rows of a batch that has ``COLUMNS``, the output's and those of labels."""
    request = keys_of_texts(batch["request_id"])
    unit = keys_of_texts(batch["unit"])
    row = _whole(batch["row"])
    caller = keys_of_texts(batch["caller"])
    request = mixed_keys(request, caller)
    named = unit > 0
    return RowTable(
        unit=np.where(named, unit, request),
        pair=mixed_keys(request, row.astype(np.uint64)),
        named=named,
        first=row == 0,
        outcome=_outcome(batch["outcome"]).astype(np.int8),
        epoch=encoders.epochs.of(batch["epoch"]).astype(np.int32),
        arrived=_micros(batch["arrived"], 0),
        latency=_floats(batch["latency_ms"]).astype(np.float32),
        truth=_truth(batch, output, encoders),
        predicted=_predicted(batch, output, encoders),
        told=_micros(batch["label_arrived"], -1),
        source=encoders.sources.of(batch["label_source"]).astype(np.int32),
    )


def _outcome(column: Any) -> NDArray[np.int64]:
    words = WordNumbers({})
    places = words.of(column)
    table = np.array([*(_OUTCOMES.get(word, OTHER) for word in words.known), OTHER], dtype=np.int64)
    return table[places]


def _whole(column: Any) -> NDArray[np.int64]:
    found: NDArray[np.int64] = pc.fill_null(column.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    return found


def _micros(column: Any, missing: int) -> NDArray[np.int64]:
    found: NDArray[np.int64] = pc.fill_null(column.cast(pa.int64()), missing).to_numpy(zero_copy_only=False)
    return found


def _floats(column: Any) -> NDArray[np.float64]:
    found: NDArray[np.float64] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return found


def _truth(batch: Any, output: Field, encoders: Encoders) -> NDArray[np.float64]:
    if output.type != "string":
        return _floats(batch["label"])
    places = encoders.classes.of(batch["label_text"])
    return np.where(places < 0, np.nan, places)


def _predicted(batch: Any, output: Field, encoders: Encoders) -> NDArray[np.float64]:
    name = f"output_{output.name}"
    if name not in batch.schema.names:
        return np.full(batch.num_rows, np.nan)
    column = batch[name]
    if output.type == "string":
        places = encoders.classes.of(column)
        return np.where(places < 0, np.nan, places)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    fits = pa.types.is_floating(column.type) or pa.types.is_integer(column.type)
    found = _floats(column) if fits else np.full(batch.num_rows, np.nan)
    return np.where(np.isfinite(found), found, np.nan)
