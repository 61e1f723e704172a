"""Windows of the traffic, cut at a moment, so that a judgement of the past can be repeated to the byte.

A window is bounded by arrival: ``since`` ≤ arrived < ``until``. ``at`` cuts by knowledge: only files that counted by
then, labels and events that had arrived. Rows come in an order, and in batches, that depend on nothing else. Memory is
bounded by the keys of two days (33 bytes a row), a quarter of a million rows and a million labels; with more labels the
window is read several times, a part of the requests each time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gitml.traffic.events import SCHEMA as EVENTS
from gitml.traffic.exchange import MOMENT, upgraded
from gitml.traffic.keys import Hashes, Keys, concatenated, keys_of, mixed, newest, of_words, places_in, repeats
from gitml.traffic.labels import SCHEMA as LABELS
from gitml.traffic.labels import upgraded_labels
from gitml.traffic.stored import StoredRows, storing

_AT_ONCE = 1_000_000
# Rows of a day that are kept in memory while their repeats are looked for.
_SHORT_DAY = 262_144
# Labels may be older than their requests when clocks differ; more than this is no clock but a mistake.
_SKEW = timedelta(days=1)
_KEYS = ("request_id", "caller", "row", "arm", "outcome", "arrived")
_LABELLED = ("label", "label_text", "source", "arrived")
_KEPT = [*_LABELLED, "caller", "order"]


@dataclass(frozen=True)
class Window:
    """``since`` ≤ arrived < ``until``, as known ``at`` a moment. Without ``at``: all that is there now, journals too,
    which cannot be repeated. Times without a zone are UTC."""

    since: datetime | None = None
    until: datetime | None = None
    at: datetime | None = None

    def __post_init__(self) -> None:
        for name in ("since", "until", "at"):
            moment = getattr(self, name)
            if moment is not None and moment.tzinfo is None:
                object.__setattr__(self, name, moment.replace(tzinfo=UTC))

    @property
    def days(self) -> tuple[str, str]:
        """First and last day of what may lie in it. Format 1 has rows of midnight under the day of their answer."""
        first = f"{self.since.astimezone(UTC):%Y-%m-%d}" if self.since else ""
        last = f"{self.until.astimezone(UTC) + timedelta(minutes=1):%Y-%m-%d}" if self.until else "9999"
        return first, last

    def holds(self, moments: Any) -> np.ndarray[Any, Any]:
        micros = moments.cast(pa.int64()).to_numpy(zero_copy_only=False)
        inside = np.ones(len(micros), dtype=bool)
        if self.since:
            inside &= micros >= _micros(self.since)
        if self.until:
            inside &= micros < _micros(self.until)
        return inside


class _Day(NamedTuple):
    """The rows of a day in their order: keys, and which repeat an earlier answer."""

    keys: Keys
    again: np.ndarray[Any, Any]
    answers: Hashes


def requests(
    folder: str | Path,
    model: str,
    window: Window | None = None,
    *,
    spool: Path | None = None,
    columns: Sequence[str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """The rows of the window with the newest label that each has: columns of ``exchange.FIXED``, ``feature_…``,
    ``output_…``, and ``label``, ``label_text``, ``label_source``, ``label_arrived``, missing where none came.

    Of the answers to one request id (of one caller), row and arm the first counts; an id is free again after a day in
    between. Batches of different versions may have different columns. ``columns``: only these, and the labels'.
    """
    window = window or Window()
    wanted = None if columns is None else [*dict.fromkeys([*columns, "outcome", "arrived"])]
    with (
        storing(folder, "labels", model, window.at, spool) as labels,
        storing(folder, "predictions", model, window.at, spool) as stored,
    ):
        days = _label_days(labels, window.since)
        passes = max(1, math.ceil(labels.count(days) / _AT_ONCE))
        for number in range(passes):
            told = _told(labels, days, window, number, passes)
            for batch, keys in _firsts(stored, window, wanted):
                mine = keys.request % np.uint64(passes) == number
                if mine.any():
                    part = batch.filter(pa.array(mine)) if passes > 1 else batch
                    found = _labelled(part, Keys(keys.request[mine], keys.named[mine]), told)
                    yield found if columns is None else _selected(found, columns)


def rows_once(
    folder: str | Path,
    model: str,
    window: Window | None = None,
    *,
    spool: Path | None = None,
    columns: Sequence[str] | None = None,
) -> Iterator[pa.RecordBatch]:
    """The same rows without labels, of which those that come later change nothing."""
    window = window or Window()
    wanted = None if columns is None else [*dict.fromkeys([*columns, "arrived"])]
    with storing(folder, "predictions", model, window.at, spool) as stored:
        for batch, _ in _firsts(stored, window, wanted):
            yield batch


def orphans(folder: str | Path, model: str, *, spool: Path | None = None) -> int:
    """How many rows have a label and no answer."""
    with (
        storing(folder, "labels", model, None, spool) as labels,
        storing(folder, "predictions", model, None, spool) as stored,
    ):
        days, lone = labels.days(), 0
        passes = max(1, math.ceil(labels.count(days) / _AT_ONCE))
        for number in range(passes):
            told = _told(labels, days, Window(), number, passes)
            seen = [np.zeros(len(part.keys), dtype=bool) for part in told[:2]]
            for _, keys in _firsts(stored, Window(), [*_KEYS]):
                for part, mine, marks in zip(told[:2], (keys.named, keys.request), seen, strict=True):
                    places = places_in(mine, part.keys)
                    marks[places[places >= 0]] = True
            lone += sum(int((~marks).sum()) for marks in seen)
        return lone


def events(folder: str | Path, window: Window | None = None, *, spool: Path | None = None) -> Iterator[pa.RecordBatch]:
    """Business events that happened in the window, with the columns of ``events.SCHEMA``; of one source and id the
    first that came."""
    window = window or Window()
    with storing(folder, "events", "", window.at, spool) as stored:
        for day in stored.days(*window.days):
            again = _repeated_ids(stored, day)
            start = 0
            for batch in stored.rows(day):
                inside = window.holds(batch["time"]) & ~again[start : start + batch.num_rows]
                inside &= _arrived_by(batch["arrived"], window.at)
                start += batch.num_rows
                if inside.any():
                    yield batch.select(EVENTS.names).filter(pa.array(inside))


def _repeated_ids(stored: StoredRows, day: str) -> np.ndarray[Any, Any]:
    keys, order, named = [], [], []
    for batch in stored.rows(day, ["id", "source", "order", "arrived"]):
        ids = np.array([hash(i) for i in batch["id"].to_pylist()], dtype=np.int64).view(np.uint64)
        keys.append(mixed(ids, of_words(batch["source"])))
        order.append(batch["order"].to_numpy())
        named.append(batch["id"].is_valid().to_numpy(zero_copy_only=False))
    if not keys:
        return np.array([], dtype=bool)
    again = repeats(np.concatenate(keys), np.concatenate(order), np.array([], dtype=np.uint64))
    found: np.ndarray[Any, Any] = again & np.concatenate(named)
    return found


def _firsts(stored: StoredRows, window: Window, columns: Sequence[str] | None) -> Iterator[tuple[pa.RecordBatch, Keys]]:
    """The rows of the window but for repeated answers."""
    before, passed = np.array([], dtype=np.uint64), ""
    first, last = window.days
    for day in stored.days(day_before(first) if first else "", last):
        if passed != day_before(day):
            before = np.array([], dtype=np.uint64)
        held = _held(stored, day, columns) if day >= first else None
        found = _keyed(stored.rows(day, _KEYS) if held is None else held, before)
        before, passed = found.answers, day
        if day < first:
            continue
        start = 0
        for batch in map(upgraded, stored.rows(day, columns) if held is None else _only(held, columns)):
            part = slice(start, start + batch.num_rows)
            inside = window.holds(batch["arrived"]) & ~found.again[part]
            start += batch.num_rows
            if inside.any():
                keys = Keys(found.keys.request[part][inside], found.keys.named[part][inside])
                yield (batch if inside.all() else batch.filter(pa.array(inside))), keys


def _held(stored: StoredRows, day: str, columns: Sequence[str] | None) -> list[pa.RecordBatch] | None:
    """The rows of a short day with their keys, so that its files are read once; None for a long day."""
    if columns is None or stored.count([day]) > _SHORT_DAY:
        return None
    return [*stored.rows(day, [*dict.fromkeys([*columns, *_KEYS])])]


def _only(held: Sequence[pa.RecordBatch], columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    for batch in held:
        # A file of format 1 is whole: what its columns are called now is not known yet.
        names = [name for name in batch.schema.names if columns is None or name in columns]
        yield batch.select(names) if "arrived" in batch.schema.names else batch


def _keyed(rows: Iterable[pa.RecordBatch], before: Hashes) -> _Day:
    keys, arms, moments, answered = [], [], [], []
    for batch in map(upgraded, rows):
        keys.append(keys_of(batch))
        arms.append(of_words(batch["arm"]))
        moments.append(batch["arrived"].cast(pa.int64()).to_numpy(zero_copy_only=False))
        answered.append(pc.equal(batch["outcome"], "ok").to_numpy(zero_copy_only=False))
    request, named = (concatenated(getattr(key, field) for key in keys) for field in Keys._fields)
    if not keys:
        return _Day(Keys(request, named), np.array([], dtype=bool), named)
    by_arm, ok = mixed(named, np.concatenate(arms)), np.concatenate(answered)
    again = np.zeros(len(ok), dtype=bool)
    again[ok] = repeats(by_arm[ok], np.concatenate(moments)[ok], before)
    return _Day(Keys(request, named), again, np.sort(by_arm[ok]))


class _Newest(NamedTuple):
    """Labels by key, sorted, each the newest of its key; ``rows``: where each stands."""

    keys: Hashes
    order: np.ndarray[Any, Any]
    rows: np.ndarray[Any, Any]


class _Told(NamedTuple):
    """Labels for requests of a named caller, and those for anybody's; ``rows`` are all that came."""

    mine: _Newest
    anybody: _Newest
    rows: pa.RecordBatch


def _label_days(labels: StoredRows, since: datetime | None) -> list[str]:
    return labels.days(f"{since.astimezone(UTC) - _SKEW:%Y-%m-%d}" if since else "")


def _told(labels: StoredRows, days: Sequence[str], window: Window, number: int, passes: int) -> _Told:
    parts: list[pa.RecordBatch] = []
    keys: list[Keys] = []
    for day in days:
        for batch in map(upgraded_labels, labels.rows(day)):
            found = keys_of(batch)
            mine = (found.request % np.uint64(passes) == number) & _arrived_by(batch["arrived"], window.at)
            some = batch.select(_KEPT)
            parts.append(some if mine.all() else some.filter(pa.array(mine)))
            keys.append(Keys(found.request[mine], found.named[mine]))
    rows = pa.concat_batches([pa.RecordBatch.from_pylist([], schema=LABELS).select(_KEPT), *parts])
    named = rows["caller"].is_valid().to_numpy(zero_copy_only=False)
    by_name = concatenated(key.named for key in keys)
    by_request = concatenated(key.request for key in keys)
    order = rows["order"].to_numpy(zero_copy_only=False)
    return _Told(_sorted(by_name, order, named), _sorted(by_request, order, ~named), rows)


def _sorted(keys: Hashes, order: np.ndarray[Any, Any], chosen: np.ndarray[Any, Any]) -> _Newest:
    mine = np.flatnonzero(chosen)
    last = mine[newest(keys[mine], order[mine])]
    return _Newest(keys[last], order[last], last)


def _labelled(batch: pa.RecordBatch, keys: Keys, told: _Told) -> pa.RecordBatch:
    ok = pc.equal(batch["outcome"], "ok").to_numpy(zero_copy_only=False)
    mine, anybody = told.mine, told.anybody
    at, other = places_in(keys.named, mine.keys), places_in(keys.request, anybody.keys)
    # The newer of the two counts.
    first = _order(mine, at) >= _order(anybody, other)
    places = np.where(first, _row(mine, at), _row(anybody, other))
    index = pa.array(places, mask=~ok | (places < 0))
    for name in _LABELLED:
        target = name if name.startswith("label") else f"label_{name}"
        values = told.rows[name]
        nothing = values.null_count == len(values)
        found = pa.nulls(len(index), values.type) if nothing else values.take(index)
        batch = batch.append_column(target, found)
    return batch


def _row(told: _Newest, places: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if not len(told.keys):
        return np.full(len(places), -1)
    return np.where(places >= 0, told.rows[places], -1)


def _order(told: _Newest, places: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if not len(told.keys):
        return np.full(len(places), -1)
    return np.where(places >= 0, told.order[places], -1)


def _selected(batch: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
    names = [name for name in batch.schema.names if name in columns or name.startswith("label")]
    return batch.select(names)


def _arrived_by(arrived: Any, at: datetime | None) -> np.ndarray[Any, Any]:
    micros = arrived.cast(MOMENT).cast(pa.int64()).to_numpy(zero_copy_only=False)
    return np.ones(len(micros), dtype=bool) if at is None else micros <= _micros(at)


def day_before(day: str) -> str:
    return f"{datetime.strptime(day, '%Y-%m-%d') - timedelta(days=1):%Y-%m-%d}"


def _micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6)
