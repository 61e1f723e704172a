"""Facts added up by day: each fact once, in the day of its zone, as far as it was known at a moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gitml.success.days import Days
from gitml.success.once import CountedOnce, micros_of
from gitml.traffic.keys import mixed, of_words

# Larger values, added up, are no numbers any more.
LARGEST = 1e100


@dataclass(frozen=True)
class DailyFacts:
    """Of each day: how many ``facts``, the sum of their values (``total``), how many ``units``, and how many facts have
    no value that can be added up (``unfit``). ``broken``: days of which something is missing, and what."""

    facts: tuple[int, ...]
    total: tuple[float, ...]
    units: tuple[int, ...]
    unfit: tuple[int, ...]
    broken: Mapping[int, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Rows:
    day: NDArray[np.int64]
    value: NDArray[np.float64]
    unit: NDArray[np.uint64]
    named: NDArray[np.bool_]
    time: NDArray[np.int64]

    def only(self, chosen: NDArray[np.bool_]) -> _Rows:
        return _Rows(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def daily_facts(batches: Iterable[pa.RecordBatch], days: Days, at: datetime | None = None) -> DailyFacts:
    """``batches`` as ``facttable.fitted`` gives them; ``at``: what had not arrived by then is not known."""
    counted = CountedOnce(batches, at)
    parts, untimed = [], 0
    for batch in counted.batches():
        parts.append(_rows(batch, days))
        untimed += batch["time"].null_count
    if not parts:
        nothing = (0,) * len(days)
        return DailyFacts(nothing, tuple(map(float, nothing)), nothing, nothing)
    rows = _Rows(*(np.concatenate([getattr(p, name) for p in parts]) for name in _Rows.__dataclass_fields__))
    notes = [f"{untimed:,} facts have no time, and belong to no day"] if untimed else []
    if counted.repeated:
        notes.append(f"{counted.repeated:,} facts repeat an id, and count once")
    elif not counted.has_ids and (copies := _copies(rows)):
        notes.append(f"{copies:,} facts are the same as another in unit, time and value: an `id` makes them count once")
    return _added(rows, len(days), tuple(notes))


def _added(rows: _Rows, count: int, notes: tuple[str, ...]) -> DailyFacts:
    fit = np.abs(rows.value) <= LARGEST  # NaN is not
    total = np.bincount(rows.day[fit], rows.value[fit], count)
    named = rows.named
    pairs = np.unique(np.stack([rows.day[named].view(np.uint64), rows.unit[named]]), axis=1)[0]
    units = np.bincount(pairs.view(np.int64), minlength=count)
    return DailyFacts(
        tuple(np.bincount(rows.day, minlength=count).tolist()),
        tuple(total.tolist()),
        tuple(units.tolist()),
        tuple(np.bincount(rows.day[~fit], minlength=count).tolist()),
        notes=notes,
    )


def _copies(rows: _Rows) -> int:
    if not len(rows.day):
        return 0
    bits = np.nan_to_num(rows.value).view(np.uint64)
    keys = mixed(mixed(rows.unit, rows.time.view(np.uint64)), bits)
    return len(keys) - len(np.unique(keys))


def _rows(batch: pa.RecordBatch, days: Days) -> _Rows:
    time = micros_of(batch["time"])
    place = days.places(time)
    rows = _Rows(
        place,
        batch["value"].fill_null(float("nan")).to_numpy(zero_copy_only=False),
        of_words(batch["unit"]),
        batch["unit"].is_valid().to_numpy(zero_copy_only=False),
        time,
    )
    return rows.only(place >= 0)
