"""Predictions as rows of one Arrow table: what a line of the prediction log holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

FIXED = pa.schema(
    [
        ("request_id", pa.string()),
        ("row", pa.int32()),
        ("unit", pa.string()),
        ("variant", pa.string()),
        ("version", pa.string()),
        ("latency_ms", pa.float32()),
        ("time", pa.timestamp("us", tz="UTC")),
    ]
)
MODEL, DATE = b"model", b"date"
_FIRST, _LAST = 0.0, 253402300799.0  # 1970 to 9999


class Encoded(NamedTuple):
    """Features as the model took them: a matrix (n, inputs), and what makes columns of it when there is time for it.

    ``decode`` is called on the rows of many requests at once: those whose ``decode`` is the same.
    """

    rows: np.ndarray[Any, Any]
    decode: Callable[[np.ndarray[Any, Any]], Mapping[str, Any]]


class Event(NamedTuple):
    """One answered request, of one row or more.

    ``features`` and ``output``: column → the n values (an array of shape (n, …) or a list); they are kept, not
    copied: nobody may write to them afterwards. ``features`` may be ``Encoded`` instead. ``unit`` is what the router
    chose by. ``latency`` is in seconds, ``time`` seconds since 1970 UTC, ``size`` the bytes of the request, to bound
    memory by.
    """

    request_id: str
    unit: str | None
    model: str
    variant: str
    version: str
    features: Mapping[str, Any] | Encoded
    output: Mapping[str, Any]
    latency: float
    time: float
    size: int = 0

    @property
    def rows(self) -> int:
        for values in self.output.values():
            return len(values)
        return 0


def batches_of(events: Iterable[Event]) -> Iterator[tuple[list[Event], pa.RecordBatch | Exception]]:
    """One batch for all events of a model, a day and a set of columns; an error for those that make no table."""
    groups: dict[tuple[Any, ...], list[Event]] = {}
    for event in events:
        try:
            groups.setdefault(_group(event), []).append(event)
        except (TypeError, AttributeError) as exc:
            yield [event], exc
    for some in groups.values():
        yield from _batches(some)


def warm_up() -> None:
    """Have Arrow load what it loads at its first conversion, pandas among it: for a third of a second nothing else
    runs then, which is better before the first request than after it."""
    pa.array([None], pa.string())


def merged(batches: Sequence[pa.RecordBatch]) -> list[pa.RecordBatch]:
    """Fewer and longer ones: those of equal columns, model and day become one, in their order."""
    groups: dict[bytes, list[pa.RecordBatch]] = {}
    for batch in batches:
        groups.setdefault(bytes(batch.schema.serialize()), []).append(batch)
    return [some[0] if len(some) == 1 else pa.concat_batches(some) for some in groups.values()]


def _batches(events: list[Event]) -> Iterator[tuple[list[Event], pa.RecordBatch | Exception]]:
    try:
        yield events, _batch(events)
    except Exception as exc:  # a boundary: features come from callers, and `decode` may raise anything
        if len(events) == 1:
            yield events, exc
        else:
            # One event that fits nothing takes no other with it.
            for event in events:
                yield from _batches([event])


def _group(event: Event) -> tuple[Any, ...]:
    features = event.features
    columns = features.decode if isinstance(features, Encoded) else tuple(features)
    time = event.time
    day = (time if _FIRST <= time <= _LAST else _moment(time)) // 86400
    return event.model, day, columns, tuple(event.output)


def _moment(time: float) -> float:
    return min(max(time, _FIRST), _LAST) if math.isfinite(time) else _FIRST


def _date(time: float) -> str:
    return f"{datetime.fromtimestamp(_moment(time), UTC):%Y-%m-%d}"


def _batch(events: Sequence[Event]) -> pa.RecordBatch:
    counts = [event.rows for event in events]
    arrays = _fixed(events, np.array(counts))
    names = list(FIXED.names)
    first = events[0]
    for name, array in _features([e.features for e in events]):
        arrays.append(array)
        names.append(f"feature_{name}")
    for name in first.output:
        arrays.append(_column([e.output[name] for e in events], nan_is_missing=False))
        names.append(f"output_{name}")
    lengths = {name: len(array) for name, array in zip(names, arrays, strict=True)}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns of {first.model} have different numbers of rows: {lengths}")
    if len(set(names)) < len(names):
        raise ValueError(f"two columns of {first.model} have one name")
    fields = [*FIXED, *(pa.field(n, a.type) for n, a in zip(names[len(FIXED) :], arrays[len(FIXED) :], strict=True))]
    metadata = {MODEL: first.model.encode(), DATE: _date(first.time).encode()}
    return pa.record_batch(arrays, schema=pa.schema(fields, metadata=metadata))


def _features(parts: Sequence[Any]) -> Iterator[tuple[str, pa.Array]]:
    if not isinstance(parts[0], Encoded):
        for name in parts[0]:
            yield name, _column([part[name] for part in parts], nan_is_missing=True)
        return
    rows = parts[0].rows if len(parts) == 1 else np.concatenate([part.rows for part in parts])
    for name, values in parts[0].decode(rows).items():
        yield name, _decoded(values)


def _decoded(values: Any) -> pa.Array:
    try:
        return pa.array(values, from_pandas=True)
    except (UnicodeEncodeError, pa.ArrowException):
        return _column([values], nan_is_missing=True)


def _fixed(events: Sequence[Event], counts: np.ndarray[Any, Any]) -> list[pa.Array]:
    columns = [
        _text([e.request_id for e in events]),
        pa.array(np.zeros(len(events), dtype=np.int32)),
        _text([e.unit for e in events]),
        _text([e.variant for e in events]),
        _text([e.version for e in events]),
        pa.array(np.array([e.latency for e in events], dtype=np.float32) * np.float32(1000)),
        pa.array(_micros([e.time for e in events])).cast(FIXED.field("time").type),
    ]
    if int(counts.max()) == 1 == int(counts.min()):
        return columns
    each = np.repeat(np.arange(len(events)), counts)
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    columns = [column.take(pa.array(each)) for column in columns]
    columns[1] = pa.array((np.arange(len(each)) - starts).astype(np.int32))
    return columns


def _micros(times: Sequence[float]) -> np.ndarray[Any, Any]:
    seconds = np.array(times, dtype=np.float64)
    seconds = np.where(np.isfinite(seconds), seconds, _FIRST).clip(_FIRST, _LAST)
    return np.rint(seconds * 1e6).astype(np.int64)


def _text(values: Sequence[str | None]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:  # half of a surrogate pair: JSON may bring it, UTF-8 cannot keep it
        return pa.array([v if v is None else v.encode("utf-8", "replace").decode() for v in values], pa.string())


def _column(parts: Sequence[Any], *, nan_is_missing: bool) -> pa.Array:
    if all(isinstance(part, list) for part in parts):
        # One array of all values, not one for each event.
        parts = [list(chain.from_iterable(parts))]
    arrays = [_array(part) for part in parts]
    values = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    if values.ndim > 1:
        flat = pa.array(np.ascontiguousarray(values).reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, int(np.prod(values.shape[1:])))
    if values.dtype.kind in "OU" or not nan_is_missing:
        return _objects(values, nan_is_missing=nan_is_missing)
    return pa.array(values, from_pandas=True)


def _array(part: Any) -> np.ndarray[Any, Any]:
    """A list with holes becomes objects: numpy would make words of them, or fail."""
    if isinstance(part, list) and any(value is None or isinstance(value, str) for value in part):
        return np.array([*part, None], dtype=object)[:-1]
    return np.asarray(part)


def _objects(values: np.ndarray[Any, Any], *, nan_is_missing: bool) -> pa.Array:
    try:
        found = pa.array(values, from_pandas=nan_is_missing or values.dtype.kind == "O")
    except UnicodeEncodeError:
        return _text([None if v is None else str(v) for v in values.tolist()])
    if pa.types.is_nested(found.type):
        raise TypeError(f"a value is {found.type}, not a number or a word")
    return found
