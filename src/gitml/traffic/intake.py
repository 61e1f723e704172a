"""Labels and business events as callers send them: over HTTP or in tables, checked, all kept or none."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa

from gitml import clock
from gitml.errors import OutsideError, UsageError
from gitml.jsontext import once_each
from gitml.traffic.events import BusinessEvent, EventStore
from gitml.traffic.labels import Label, LabelStore

MOST = 10_000
LONGEST = 1000
LABEL_FIELDS = ("request_id", "label", "row", "caller")
EVENT_FIELDS = ("unit", "time", "name", "value", "id")
_TEXT = f"text of 1 to {LONGEST} characters"
# Events may be a little ahead of this machine's clock.
_AHEAD = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
T = TypeVar("T")


class WrongEntry(NamedTuple):
    """What is wrong with one entry of a request; ``number`` counts them from 0."""

    number: int
    field: str
    expected: str
    got: str


def receive_labels(
    store: LabelStore, model: str, body: bytes, source: str = "", own: str | None = None
) -> tuple[int, dict[str, Any]]:
    """Answer ``POST /models/{model}/labels``: the HTTP status, and the JSON to send.

    ``{"labels": [{"request_id": "r-1", "label": 1, "row": 0}, …]}``; ``row`` may be left out. All are kept or none.
    ``own``: the only caller whose requests the sender may label, None for all.
    """

    def read(number: int, entry: Any) -> Label | WrongEntry:
        found = _read(number, entry, LABEL_FIELDS, checked_label)
        if isinstance(found, WrongEntry) or own is None:
            return found
        if found.caller not in (None, own):
            return WrongEntry(number, "caller", f"{own}: this token labels its own requests only", _shown(found.caller))
        return found._replace(caller=own)

    return _receive(body, "labels", read, lambda found: store.add(model, found, source))


def receive_events(store: EventStore, body: bytes, source: str = "") -> tuple[int, dict[str, Any]]:
    """Answer ``POST /events``: ``{"events": [{"unit": "N1", "time": "2026-04-01T09:30:00Z", "name": "missed", "value":
    120}, …]}``; ``value`` is 1 where it is left out, and ``id`` makes it count once."""
    return _receive(
        body,
        "events",
        lambda number, entry: _read(number, entry, EVENT_FIELDS, checked_event),
        lambda found: store.add(found, source),
    )


def _receive(
    body: bytes, key: str, read: Callable[[int, Any], T | WrongEntry], keep: Callable[[list[T]], int]
) -> tuple[int, dict[str, Any]]:
    try:
        data = json.loads(body, object_pairs_hook=once_each)
    except (ValueError, RecursionError) as exc:
        return 400, {"error": f"the body is not JSON: {exc}"}
    entries = data.get(key) if isinstance(data, dict) else None
    if not isinstance(entries, list):
        return 400, {"error": f'expected {{"{key}": [{{…}}, …]}}'}
    if len(entries) > MOST:
        return 413, {"error": f"{len(entries)} {key} at once, at most {MOST} are taken"}
    found = [read(number, entry) for number, entry in enumerate(entries)]
    problems = [each for each in found if isinstance(each, WrongEntry)]
    if problems:
        listed = [problem._asdict() for problem in problems[:10]]
        return 422, {"error": f"{len(problems)} of {len(entries)} {key} are wrong, none was kept", "problems": listed}
    try:
        return 200, {"kept": keep([each for each in found if not isinstance(each, WrongEntry)])}
    except UsageError as exc:
        return 404, {"error": exc.message}
    except OutsideError as exc:
        return 503, {"error": exc.message}


def _read(
    number: int, entry: Any, fields: Sequence[str], check: Callable[[int, Mapping[str, Any]], T | WrongEntry]
) -> T | WrongEntry:
    if not isinstance(entry, dict):
        return WrongEntry(number, "", "an object", type(entry).__name__)
    unknown = sorted(set(entry) - set(fields))
    if unknown:
        expected = f"{', '.join(fields[:-1])} or {fields[-1]}"
        return WrongEntry(number, unknown[0][:LONGEST].encode("utf-8", "replace").decode(), expected, "another field")
    return check(number, entry)


def checked_label(number: int, entry: Mapping[str, Any]) -> Label | WrongEntry:
    """One label from what somebody sent."""
    found: list[Any] = [entry.get(name) for name in LABEL_FIELDS]
    request_id, value, row, caller = found
    row = 0 if "row" not in entry else row
    if not _is_word(request_id) or not request_id:
        return WrongEntry(number, "request_id", _TEXT, _shown(request_id))
    if isinstance(row, bool) or not isinstance(row, int) or not 0 <= row < 2**31:
        return WrongEntry(number, "row", "a whole number from 0 on", _shown(row))
    if caller is not None and not _is_word(caller):
        return WrongEntry(number, "caller", "a caller's name", _shown(caller))
    if not (_is_word(value) if isinstance(value, str) else _is_number(value)):
        expected = f"a finite number, true, false, or text up to {LONGEST} characters"
        return WrongEntry(number, "label", expected, _shown(value))
    return Label(request_id, value if isinstance(value, str) else float(value), row, caller)


def checked_event(number: int, entry: Mapping[str, Any]) -> BusinessEvent | WrongEntry:
    """One business event from what somebody sent. A time without a zone is UTC."""
    found: list[Any] = [entry.get(field) for field in EVENT_FIELDS]
    unit, time, name, value, own = found
    value = 1.0 if value is None else value
    for field, word in (("unit", unit), ("name", name)):
        if not _is_word(word) or not word:
            return WrongEntry(number, field, _TEXT, _shown(word))
    if own is not None and not _is_word(own):
        return WrongEntry(number, "id", _TEXT, _shown(own))
    moment = _moment(time)
    if moment is None or not _EPOCH <= moment <= clock.now() + _AHEAD:
        return WrongEntry(number, "time", "a time that has been, such as 2026-04-01T09:30:00Z", _shown(time))
    if not _is_number(value):
        return WrongEntry(number, "value", "a finite number", _shown(value))
    return BusinessEvent(unit, moment, name, float(value), own or "")


def _moment(value: Any) -> datetime | None:
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None


def _is_word(value: Any) -> bool:
    if not isinstance(value, str) or len(value) > LONGEST:
        return False
    return not any("\ud800" <= c <= "\udfff" for c in value)


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:
        return False


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def labels_from(batches: Iterator[pa.RecordBatch]) -> Iterator[list[Label]]:
    """The labels of a table with the columns request_id, label and perhaps row and caller, some thousands at a time.

    Raises UsageError that names the first wrong row.
    """
    return _from_table(batches, LABEL_FIELDS, ("request_id", "label"), checked_label)


def events_from(batches: Iterator[pa.RecordBatch]) -> Iterator[list[BusinessEvent]]:
    """The business events of a table with the columns unit, time, name and perhaps value and id. Raises UsageError."""
    return _from_table(batches, EVENT_FIELDS, ("unit", "time", "name"), checked_event)


def _from_table(
    batches: Iterator[pa.RecordBatch],
    fields: Sequence[str],
    needed: Sequence[str],
    check: Callable[[int, Mapping[str, Any]], T | WrongEntry],
) -> Iterator[list[T]]:
    first = 0
    for batch in batches:
        names = batch.schema.names
        lacking = [name for name in needed if name not in names]
        if lacking:
            raise UsageError(f"there is no column {lacking[0]}", f"columns: {', '.join(names)}")
        part = batch.select([name for name in fields if name in names])
        for start in range(0, part.num_rows, MOST):
            rows = part.slice(start, MOST).to_pylist()
            yield [_checked(first + start + number, row, check) for number, row in enumerate(rows)]
        first += batch.num_rows


def _checked(number: int, row: dict[str, Any], check: Callable[[int, Mapping[str, Any]], T | WrongEntry]) -> T:
    # CSV readers take ids of digits for numbers.
    words: dict[str, Any] = {
        key: _as_text(row[key]) for key in ("request_id", "caller", "unit", "name", "id") if key in row
    }
    found = check(number, {**row, **words})
    if isinstance(found, WrongEntry):
        raise UsageError(f"row {found.number}: {found.field}: expected {found.expected}, got {found.got}")
    return found


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
