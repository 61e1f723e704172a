"""Requests and their answers made into Arrow batches, many at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from gitml.traffic.exchange import (
    DATE,
    FIRST,
    FIXED,
    FORMAT,
    LAST,
    MODEL,
    MOMENT,
    Arm,
    Encoded,
    Exchange,
    day_number,
    moment,
)
from gitml.traffic.private import EVERY_COLUMN


class RequestColumns(NamedTuple):
    """What a log keeps of requests beside their features and answers: for each request a value. ``rows``: how many it
    had, 0 if unknown; ``latency`` in seconds; moments in seconds since 1970 UTC."""

    request_id: list[str]
    caller: list[str]
    unit: list[str | None]
    arm: list[Arm]
    rows: list[int]
    outcome: list[str]
    reason: list[str]
    latency: list[float | None]
    arrived: list[float]
    answered: list[float | None]


def batches_of(
    events: Iterable[Exchange], host: str = ""
) -> Iterator[tuple[list[Exchange], pa.RecordBatch | Exception]]:
    """One batch for all events of a model, a day and a set of columns; an error for those that make no table."""
    groups: dict[tuple[Any, ...], list[Exchange]] = {}
    for event in events:
        try:
            groups.setdefault(_group(event), []).append(event)
        except (TypeError, AttributeError) as exc:
            yield [event], exc
    for some in groups.values():
        yield from _batches(some, host)


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


def _batches(events: list[Exchange], host: str) -> Iterator[tuple[list[Exchange], pa.RecordBatch | Exception]]:
    try:
        yield events, _batch(events, host)
    except Exception as exc:  # a boundary: features come from callers, and `decode` may raise anything
        if len(events) == 1:
            yield events, exc
        else:
            # One event that fits nothing takes no other with it.
            for event in events:
                yield from _batches([event], host)


def _group(event: Exchange) -> tuple[Any, ...]:
    return event.arm.model, day_number(event.arrived), *map(_columns, (event.features, event.output)), event.arm.private


def _columns(values: Mapping[str, Any] | Encoded) -> Any:
    return values.decode if isinstance(values, Encoded) else tuple(values)


def _date(time: float) -> str:
    return f"{datetime.fromtimestamp(moment(time), UTC):%Y-%m-%d}"


def _batch(events: Sequence[Exchange], host: str) -> pa.RecordBatch:
    told = RequestColumns(
        [e.request_id for e in events],
        [e.caller for e in events],
        [e.unit for e in events],
        [e.arm for e in events],
        [e.rows if e.output else e.asked for e in events],
        [e.outcome for e in events],
        [e.reason for e in events],
        [e.latency for e in events],
        [e.arrived for e in events],
        [e.answered for e in events],
    )
    counts = np.array([event.rows for event in events])
    return batch_of(told, counts, [e.features for e in events], [e.output for e in events], host)


def batch_of(
    told: RequestColumns, counts: np.ndarray[Any, Any], features: Sequence[Any], output: Sequence[Any], host: str
) -> pa.RecordBatch:
    """``counts``: rows of each request. ``features`` and ``output``: of as many requests as you like in a part, all of
    the same columns. Raises ValueError, and whatever ``decode`` raises, for what makes no table."""
    arm = told.arm[0]
    named = list(zip(FIXED.names, _fixed(told, counts, host), strict=True))
    named += [(f"feature_{name}", values) for name, values in _parts(features, arm.private, nan_is_missing=True)]
    named += [(f"output_{name}", values) for name, values in _parts(output, arm.private, nan_is_missing=False)]
    names, arrays = [name for name, _ in named], [values for _, values in named]
    lengths = {name: len(array) for name, array in named}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns of {arm.model} have different numbers of rows: {lengths}")
    if len(set(names)) < len(names):
        raise ValueError(f"two columns of {arm.model} have one name")
    fields = [*FIXED, *(pa.field(name, values.type) for name, values in named[len(FIXED) :])]
    metadata = {MODEL: arm.model.encode(), DATE: _date(told.arrived[0]).encode(), FORMAT: b"2"}
    return pa.record_batch(arrays, schema=pa.schema(fields, metadata=metadata))


def _hidden(name: str, private: frozenset[str]) -> bool:
    return name in private or EVERY_COLUMN in private


def _parts(parts: Sequence[Any], private: frozenset[str], *, nan_is_missing: bool) -> Iterator[tuple[str, pa.Array]]:
    if not isinstance(parts[0], Encoded):
        for name in (name for name in parts[0] if not _hidden(name, private)):
            yield name, _column([part[name] for part in parts], nan_is_missing=nan_is_missing)
        return
    rows = parts[0].rows if len(parts) == 1 else np.concatenate([part.rows for part in parts])
    for name, values in parts[0].decode(rows).items():
        if not _hidden(name, private):
            yield name, _decoded(values) if nan_is_missing else _column([values], nan_is_missing=False)


def _decoded(values: Any) -> pa.Array:
    try:
        return pa.array(values, from_pandas=True)
    except (UnicodeEncodeError, pa.ArrowException):
        return _column([values], nan_is_missing=True)


def _fixed(told: RequestColumns, counts: np.ndarray[Any, Any], host: str) -> list[pa.Array]:
    count = len(counts)
    made = {
        "request_id": _text(told.request_id),
        "caller": _words(told.caller),
        "row": pa.array(np.zeros(count, dtype=np.int32)),
        "rows": pa.array([rows or None for rows in told.rows], pa.int32()),
        "unit": _text(told.unit),
        "host": pa.repeat(pa.scalar(host or None, pa.string()), count),
        **_of_arms(told.arm),
        "outcome": _words(told.outcome),
        "reason": _words(told.reason),
        "latency_ms": _milliseconds(told.latency),
        "arrived": pa.array(_micros(told.arrived)).cast(MOMENT),
        "answered": _answered(told.answered),
    }
    columns = [made[name] for name in FIXED.names]
    if int(counts.max()) == 1 == int(counts.min()):
        return columns
    each = np.repeat(np.arange(count), counts)
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    columns = [column.take(pa.array(each)) for column in columns]
    columns[FIXED.names.index("row")] = pa.array((np.arange(len(each)) - starts).astype(np.int32))
    return columns


def _of_arms(arms: Sequence[Arm]) -> dict[str, pa.Array]:
    """Hundreds of requests have a handful of arms: their words are made once, then taken."""
    places: dict[Arm, int] = {}
    index = _places(arms, places)
    words = {"environment": "environment", "arm": "name", "version": "version", "epoch": "epoch"}
    found = {column: _text([getattr(arm, field) or None for arm in places]) for column, field in words.items()}
    found["weight"] = pa.array([arm.weight for arm in places], pa.float64())
    return {column: values.take(index) for column, values in found.items()}


def _places(values: Sequence[Any], places: dict[Any, int]) -> pa.Array:
    if values.count(values[0]) == len(values):  # the usual, in a tenth of the time
        places[values[0]] = 0
        return pa.array(np.zeros(len(values), dtype=np.int32))
    return pa.array(np.array([places.setdefault(value, len(places)) for value in values], dtype=np.int32))


def _words(values: Sequence[str]) -> pa.Array:
    """Words of which there are few; an empty one is none."""
    places: dict[str, int] = {}
    index = _places(values, places)
    return _text([word or None for word in places]).take(index)


def _milliseconds(seconds: Sequence[float | None]) -> pa.Array:
    return pa.array(np.array(seconds, dtype=np.float32) * np.float32(1000), from_pandas=True)


def _answered(times: Sequence[float | None]) -> pa.Array:
    seconds = np.array(times, dtype=np.float64)  # None becomes NaN
    return pa.array(_micros(seconds), mask=~np.isfinite(seconds)).cast(MOMENT)


def _micros(times: Any) -> np.ndarray[Any, Any]:
    seconds = np.array(times, dtype=np.float64)
    seconds = np.where(np.isfinite(seconds), seconds, FIRST).clip(FIRST, LAST)
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
