"""What harm is judged on, and repeated rows: the two that need the rows of the traffic, not their sketch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from gitml.models.fields import Field
from gitml.monitoring.harm.judge import Labelled
from gitml.sketches.gather import is_number, numbers
from gitml.traffic.keys import Hashes, mixed, of_words

_DAY, _HOUR = 86_400_000_000, 3_600_000_000
_MICRO = timedelta(microseconds=1)
NEEDED = ("environment", "arm", "version", "outcome", "arrived")
_ARMS = ("champion", "canary")


def answered(batch: Any, environment: str, version: str) -> Any:
    """The rows that this version answered in the environment, for those whom the router sent to it."""
    chosen = pc.and_(pc.equal(batch["outcome"], "ok"), pc.equal(batch["version"], version))
    chosen = pc.and_(chosen, pc.is_in(batch["arm"], pa.array(_ARMS, pa.string())))
    here = pc.fill_null(pc.equal(batch["environment"], environment), fill_value=True)
    return batch.filter(pc.fill_null(pc.and_(chosen, here), fill_value=False))


def labelled(
    batches: Iterable[Any],
    output: Field,
    until: datetime,
    window: timedelta,
    matured: datetime,
    groups: Sequence[str] = (),
) -> Labelled:
    """Of rows with a label that arrived before ``matured``. ``batches`` have ``output_…``, ``label``, ``label_text``,
    ``label_source`` and ``arrived``, and the columns ``groups``; classes that are words become numbers."""
    words: dict[str, float] = {}
    parts: list[dict[str, NDArray[Any]]] = []
    unfit = 0
    for batch in batches:
        name = f"output_{output.name}"
        if name not in batch.schema.names:
            continue
        arrived = batch["arrived"].cast(pa.int64()).to_numpy(zero_copy_only=False)
        is_word = output.type == "string"
        truth = _words(batch["label_text"], words) if is_word else numbers(batch["label"])
        predicted = _words(batch[name], words) if is_word else _predicted(batch[name])
        ripe = arrived < _micros(matured)
        known = np.isfinite(truth) & np.isfinite(predicted) & ripe
        told = batch["label_arrived"].is_valid().to_numpy(zero_copy_only=False)
        unfit += int((told & ripe & ~known).sum())
        found = {"truth": truth, "predicted": predicted, "arrived": arrived, "source": _texts(batch, "label_source")}
        found |= {column: _texts(batch, column) for column in groups}
        parts.append({column: values[known] for column, values in found.items()})
    whole = {column: np.concatenate([part[column] for part in parts]) for column in (parts[0] if parts else ())}
    arrived = whole.get("arrived", np.zeros(0, np.int64))
    look = (_micros(until) - 1 - arrived) // (window // _MICRO) + 1
    groups_of = {name: whole.get(name, np.zeros(0, object)) for name in groups}
    truth, predicted = (whole.get(name, np.zeros(0)) for name in ("truth", "predicted"))
    source = whole.get("source", np.zeros(0, object))
    return Labelled(truth, predicted, look, arrived // _DAY, arrived // _HOUR, source, groups_of, unfit)


def _texts(batch: Any, name: str) -> NDArray[np.object_]:
    """'' for what is missing."""
    if name not in batch.schema.names:
        return np.full(batch.num_rows, "", object)
    found: NDArray[np.object_] = pc.fill_null(batch[name].cast(pa.string()), "").to_numpy(zero_copy_only=False)
    return found


def _predicted(column: Any) -> NDArray[np.float64]:
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return numbers(column) if is_number(column.type) else np.full(len(column), np.nan)


def _words(column: Any, known: dict[str, float]) -> NDArray[np.float64]:
    found = [
        np.nan if w is None else known.setdefault(w, float(len(known))) for w in column.cast(pa.string()).to_pylist()
    ]
    return np.array(found, dtype=np.float64)


def repeated(batches: Iterable[Any], columns: Sequence[str]) -> float:
    """The share of rows that equal an earlier one in all ``columns``; eight bytes a row are kept."""
    hashes: list[Hashes] = [np.zeros(0, np.uint64)]
    for batch in batches:
        found = np.zeros(batch.num_rows, np.uint64)
        for name in columns:
            if name in batch.schema.names:
                found = mixed(found, _hashed(batch[name]))
        hashes.append(found)
    every = np.concatenate(hashes)
    return 1 - len(np.unique(every)) / len(every) if len(every) else 0.0


def _hashed(column: Any) -> Hashes:
    if is_number(column.type):
        found: Hashes = (numbers(column) + 0.0).view(np.uint64)
        return found
    return of_words(column.cast(pa.string()))


def _micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6)
