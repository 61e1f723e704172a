"""A request and its answer as rows of an Arrow table.

Format 2, which is written, has a row for each row of an answered request, and one row for a request without an answer.
Format 1, of earlier releases, had answers alone; ``upgraded`` gives its rows the columns of format 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gitml.traffic.private import EVERY_COLUMN

MOMENT = pa.timestamp("us", tz="UTC")
FIXED = pa.schema(
    [
        ("request_id", pa.string()),
        ("caller", pa.string()),
        ("row", pa.int32()),
        ("rows", pa.int32()),
        ("unit", pa.string()),
        ("environment", pa.string()),
        ("host", pa.string()),
        ("arm", pa.string()),
        ("version", pa.string()),
        ("weight", pa.float64()),
        ("epoch", pa.string()),
        ("outcome", pa.string()),
        ("reason", pa.string()),
        ("latency_ms", pa.float32()),
        ("arrived", MOMENT),
        ("answered", MOMENT),
    ]
)
MODEL, DATE, FORMAT = b"model", b"date", b"format"
OUTCOMES = ("ok", "invalid", "refused", "busy", "failed", "dropped", "timed out")
ARMS = ("champion", "canary", "shadow", "asked")
_FIRST, _LAST = 0.0, 253402300799.0  # 1970 to 9999


class Encoded(NamedTuple):
    """Features as the model took them: a matrix (n, inputs), and what makes columns of it when there is time for it.

    ``decode`` is called on the rows of many requests at once: those whose ``decode`` is the same.
    """

    rows: np.ndarray[Any, Any]
    decode: Callable[[np.ndarray[Any, Any]], Mapping[str, Any]]


class Arm(NamedTuple):
    """Who answers, the same for many requests. ``name`` is one of ``ARMS``: `asked` is a version that the caller chose
    or the champion in place of a canary that failed, empty that none was chosen yet.

    ``weight``: percent of the units that the arm is drawn for, None for `asked`. ``epoch`` changes with whatever the
    routing depends on. Columns in ``private`` are not written.
    """

    model: str
    environment: str = ""
    name: str = ""
    version: str = ""
    weight: float | None = None
    epoch: str = ""
    private: frozenset[str] = frozenset()


class Exchange(NamedTuple):
    """One request, of one row or more, and what became of it.

    ``features`` and ``output``: column → the n values (an array of shape (n, …) or a list); they are kept, not
    copied: nobody may write to them afterwards. ``features`` may be ``Encoded`` instead. ``unit`` is what the router
    chose by, ``caller`` the name of the token. ``arrived`` and ``answered`` are seconds since 1970 UTC, ``answered`` is
    None where no answer was given; ``latency`` is in seconds. ``size``: bytes of the request, to bound memory by.
    ``reason`` says why an ``outcome`` is not `ok`; ``asked`` is then how many rows the request had, 0 if unknown.
    """

    request_id: str
    caller: str
    unit: str | None
    arm: Arm
    features: Mapping[str, Any] | Encoded
    output: Mapping[str, Any]
    latency: float | None
    arrived: float
    answered: float | None
    size: int = 0
    outcome: str = "ok"
    reason: str = ""
    asked: int = 0

    @property
    def rows(self) -> int:
        for values in self.output.values():
            return len(values)
        return 1


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
    features = event.features
    columns = features.decode if isinstance(features, Encoded) else tuple(features)
    time = event.arrived
    day = (time if _FIRST <= time <= _LAST else _moment(time)) // 86400
    return event.arm.model, day, columns, tuple(event.output), event.arm.private


def _moment(time: float) -> float:
    return min(max(time, _FIRST), _LAST) if math.isfinite(time) else _FIRST


def _date(time: float) -> str:
    return f"{datetime.fromtimestamp(_moment(time), UTC):%Y-%m-%d}"


def _batch(events: Sequence[Exchange], host: str) -> pa.RecordBatch:
    counts = [event.rows for event in events]
    arrays = _fixed(events, np.array(counts), host)
    names = list(FIXED.names)
    arm = events[0].arm
    for name, array in _features([e.features for e in events], arm.private):
        arrays.append(array)
        names.append(f"feature_{name}")
    for name in events[0].output:
        if not _hidden(name, arm.private):
            arrays.append(_column([e.output[name] for e in events], nan_is_missing=False))
            names.append(f"output_{name}")
    lengths = {name: len(array) for name, array in zip(names, arrays, strict=True)}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns of {arm.model} have different numbers of rows: {lengths}")
    if len(set(names)) < len(names):
        raise ValueError(f"two columns of {arm.model} have one name")
    fields = [*FIXED, *(pa.field(n, a.type) for n, a in zip(names[len(FIXED) :], arrays[len(FIXED) :], strict=True))]
    metadata = {MODEL: arm.model.encode(), DATE: _date(events[0].arrived).encode(), FORMAT: b"2"}
    return pa.record_batch(arrays, schema=pa.schema(fields, metadata=metadata))


def _hidden(name: str, private: frozenset[str]) -> bool:
    return name in private or EVERY_COLUMN in private


def _features(parts: Sequence[Any], private: frozenset[str]) -> Iterator[tuple[str, pa.Array]]:
    if not isinstance(parts[0], Encoded):
        for name in (name for name in parts[0] if not _hidden(name, private)):
            yield name, _column([part[name] for part in parts], nan_is_missing=True)
        return
    rows = parts[0].rows if len(parts) == 1 else np.concatenate([part.rows for part in parts])
    for name, values in parts[0].decode(rows).items():
        if not _hidden(name, private):
            yield name, _decoded(values)


def _decoded(values: Any) -> pa.Array:
    try:
        return pa.array(values, from_pandas=True)
    except (UnicodeEncodeError, pa.ArrowException):
        return _column([values], nan_is_missing=True)


def _fixed(events: Sequence[Exchange], counts: np.ndarray[Any, Any], host: str) -> list[pa.Array]:
    made = {
        "request_id": _text([e.request_id for e in events]),
        "caller": _text([e.caller or None for e in events]),
        "row": pa.array(np.zeros(len(events), dtype=np.int32)),
        "rows": pa.array([(e.rows if e.output else e.asked) or None for e in events], pa.int32()),
        "unit": _text([e.unit for e in events]),
        "host": pa.repeat(pa.scalar(host or None, pa.string()), len(events)),
        **_of_arms([e.arm for e in events]),
        "outcome": _text([e.outcome for e in events]),
        "reason": _text([e.reason or None for e in events]),
        "latency_ms": _milliseconds([e.latency for e in events]),
        "arrived": pa.array(_micros([e.arrived for e in events])).cast(MOMENT),
        "answered": _answered([e.answered for e in events]),
    }
    columns = [made[name] for name in FIXED.names]
    if int(counts.max()) == 1 == int(counts.min()):
        return columns
    each = np.repeat(np.arange(len(events)), counts)
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    columns = [column.take(pa.array(each)) for column in columns]
    columns[FIXED.names.index("row")] = pa.array((np.arange(len(each)) - starts).astype(np.int32))
    return columns


def _of_arms(arms: Sequence[Arm]) -> dict[str, pa.Array]:
    """Hundreds of requests have a handful of arms: their words are made once, then taken."""
    places: dict[Arm, int] = {}
    index = pa.array(np.array([places.setdefault(arm, len(places)) for arm in arms], dtype=np.int32))
    words = {"environment": "environment", "arm": "name", "version": "version", "epoch": "epoch"}
    found = {column: _text([getattr(arm, field) or None for arm in places]) for column, field in words.items()}
    found["weight"] = pa.array([arm.weight for arm in places], pa.float64())
    return {column: values.take(index) for column, values in found.items()}


def _milliseconds(seconds: Sequence[float | None]) -> pa.Array:
    return pa.array(np.array(seconds, dtype=np.float32) * np.float32(1000), from_pandas=True)


def _answered(times: Sequence[float | None]) -> pa.Array:
    seconds = np.array(times, dtype=np.float64)  # None becomes NaN
    return pa.array(_micros(seconds), mask=~np.isfinite(seconds)).cast(MOMENT)


def _micros(times: Any) -> np.ndarray[Any, Any]:
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


def upgraded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """A batch of format 1 with the columns of format 2, as far as they are known; others as they are."""
    if "variant" not in batch.schema.names or "arrived" in batch.schema.names:
        return batch
    micros = pc.fill_null(pc.round(pc.multiply(batch["latency_ms"].cast(pa.float64()), 1000.0)), 0.0)
    known = {name: batch[name] for name in ("request_id", "row", "unit", "version", "latency_ms")}
    known |= {"arm": batch["variant"], "answered": batch["time"]}
    known["arrived"] = pc.subtract(batch["time"].cast(pa.int64()), micros.cast(pa.int64(), safe=False)).cast(MOMENT)
    known["outcome"] = pa.repeat(pa.scalar("ok"), batch.num_rows)
    rest = [name for name in batch.schema.names if name.startswith(("feature_", "output_"))]
    fixed = [known.get(name, pa.nulls(batch.num_rows, FIXED.field(name).type)) for name in FIXED.names]
    fields = [*FIXED, *(batch.schema.field(name) for name in rest)]
    metadata = {**(batch.schema.metadata or {}), FORMAT: b"2"}
    return pa.record_batch([*fixed, *(batch[name] for name in rest)], schema=pa.schema(fields, metadata=metadata))
