"""A request and its answer as rows of an Arrow table.

Format 2, which is written, has a row for each row of an answered request, and one row for a request without an answer.
Format 1, of earlier releases, had answers alone; ``upgraded`` gives its rows the columns of format 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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
FIRST, LAST = 0.0, 253402300799.0  # 1970 to 9999


class Encoded(NamedTuple):
    """Features as the model took them, or its answers: a matrix (n, columns), and what makes columns of it by name when
    there is time for it.

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

    ``features`` and ``output``: column → the n values (an array of shape (n, …) or a list), or ``Encoded``; they are
    kept, not copied: nobody may write to them afterwards. ``unit`` is what the router
    chose by, ``caller`` the name of the token. ``arrived`` and ``answered`` are seconds since 1970 UTC, ``answered`` is
    None where no answer was given; ``latency`` is in seconds. ``size``: bytes of the request, to bound memory by.
    ``reason`` says why an ``outcome`` is not `ok`; ``asked`` is then how many rows the request had, 0 if unknown.
    """

    request_id: str
    caller: str
    unit: str | None
    arm: Arm
    features: Mapping[str, Any] | Encoded
    output: Mapping[str, Any] | Encoded
    latency: float | None
    arrived: float
    answered: float | None
    size: int = 0
    outcome: str = "ok"
    reason: str = ""
    asked: int = 0

    @property
    def rows(self) -> int:
        if isinstance(self.output, Encoded):
            return len(self.output.rows)
        for values in self.output.values():
            return len(values)
        return 1


def day_number(time: float) -> float:
    """Days since 1970; of a clock gone mad the first or the last."""
    return (time if FIRST <= time <= LAST else moment(time)) // 86400


def moment(time: float) -> float:
    """Within the years 1970 to 9999; the first where it is no moment."""
    return min(max(time, FIRST), LAST) if math.isfinite(time) else FIRST


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
