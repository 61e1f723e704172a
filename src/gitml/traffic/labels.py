"""What really happened, told after the answer: labels keyed by request id and row.

A label for the same row is a correction: the one that came last counts. One that nothing was predicted for is kept,
and joins as soon as the prediction is there. What ``add`` returned for is on the disk.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet

from gitml import clock
from gitml.errors import OutsideError, UsageError
from gitml.refs import NAME
from gitml.traffic.eventcolumns import DATE, MODEL
from gitml.traffic.journal import SUFFIX, frames
from gitml.traffic.spool import Spool

SCHEMA = pa.schema(
    [
        ("request_id", pa.string()),
        ("row", pa.int32()),
        ("label", pa.float64()),
        ("label_text", pa.string()),
        ("order", pa.int64()),
    ]
)
MOST = 10_000
LONGEST = 1000
_ROLL_SECONDS, _ROLL_BYTES = 300.0, 16 << 20


class Label(NamedTuple):
    """``value`` is a finite number, or a word; ``row`` counts the rows of the request from 0."""

    request_id: str
    value: float | str
    row: int = 0


class LabelStore:
    """Labels below ``folder``, the same as the prediction log's; ``spool`` as there. Safe for many threads."""

    def __init__(self, folder: str | Path, *, spool: Path | None = None) -> None:
        self._spool = Spool.open(folder, "labels", spool, now=lambda: self._order / 1e9)
        self._lock = threading.Lock()
        self._order = newest_order(self._spool)
        self._tidy()

    def add(self, model: str, labels: Sequence[Label]) -> int:
        """Keep the labels, all or none; their number. Raises OutsideError when the disk does not take them."""
        if not labels:
            return 0
        if not NAME.fullmatch(model):
            raise UsageError(f"{model!r} names no model", "take the name from gitml.yaml")
        with self._lock:
            # A clock that was set back must not let an old label win over its correction.
            order = max(int(clock.timestamp() * 1e9), self._order + 1)
            self._order = order + len(labels) - 1
            try:
                self._spool.append(_batch(model, labels, order))
            except OSError as exc:
                raise OutsideError(f"the labels were not kept: {exc}", "make room, and send them again") from exc
            self._roll_when_due()
        return len(labels)

    def close(self) -> None:
        """Close the journal into Parquet; where the folder does not take it, it is kept for the next server."""
        with self._lock:
            self._tidy()
            self._spool.close()

    def _roll_when_due(self) -> None:
        if time.monotonic() - self._rolled > _ROLL_SECONDS or self._spool.size > _ROLL_BYTES:
            self._tidy()

    def _tidy(self) -> None:
        self._rolled = time.monotonic()
        with suppress(OSError):  # they are safe in their journals, and the next time comes
            self._spool.tidy()


def newest_order(spool: Spool) -> int:
    """The highest order given so far, in journals and in the files whose names say that they are the newest."""
    found = [0]
    for path in spool.folder.glob(f"*{SUFFIX}"):
        with suppress(FileNotFoundError), path.open("rb") as file:
            found += [pc.max(batch["order"]).as_py() for batch in frames(file) if batch.num_rows]
    times = {name: _seconds(name) for name, *_ in spool.target.files()}
    newest = max(times.values(), default=0.0)
    for name in (name for name, at in times.items() if at >= newest - 2 * _ROLL_SECONDS):
        place = spool.target / name
        with place.filesystem.open_input_file(place.path) as stream:
            found += [pc.max(batch["order"]).as_py() for batch in parquet.ParquetFile(stream).iter_batches()]
    return max(found)


def _seconds(name: str) -> float:
    try:
        moment = datetime.strptime(name.rpartition("/")[2][:16], "%Y%m%dT%H%M%SZ")
    except ValueError:
        return 0.0
    return moment.replace(tzinfo=UTC).timestamp()


def _batch(model: str, labels: Sequence[Label], order: int) -> pa.RecordBatch:
    numbers = [None if isinstance(label.value, str) else float(label.value) for label in labels]
    words = [label.value if isinstance(label.value, str) else None for label in labels]
    day = f"{datetime.fromtimestamp(order / 1e9, UTC):%Y-%m-%d}"
    # Within one call the later label wins too.
    orders = range(order, order + len(labels))
    columns = [[label.request_id for label in labels], [label.row for label in labels], numbers, words, list(orders)]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)]
    return pa.record_batch(arrays, schema=SCHEMA.with_metadata({MODEL: model.encode(), DATE: day.encode()}))


class Problem(NamedTuple):
    """What is wrong with one label of a request; ``number`` counts them from 0."""

    number: int
    field: str
    expected: str
    got: str


def receive(store: LabelStore, model: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """Answer ``POST /models/{model}/labels``: the HTTP status, and the JSON to send.

    ``{"labels": [{"request_id": "r-1", "label": 1, "row": 0}, …]}``; ``row`` may be left out. All are kept or none.
    """
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as exc:
        return 400, {"error": f"the body is not JSON: {exc}"}
    entries = data.get("labels") if isinstance(data, dict) else None
    if not isinstance(entries, list):
        return 400, {"error": 'expected {"labels": [{"request_id": …, "label": …}, …]}'}
    if len(entries) > MOST:
        return 413, {"error": f"{len(entries)} labels at once, at most {MOST} are taken"}
    labels = [_checked(index, entry) for index, entry in enumerate(entries)]
    problems = [label for label in labels if isinstance(label, Problem)]
    if problems:
        listed = [problem._asdict() for problem in problems[:10]]
        return 422, {"error": f"{len(problems)} of {len(entries)} labels are wrong, none was kept", "problems": listed}
    try:
        return 200, {"kept": store.add(model, [label for label in labels if isinstance(label, Label)])}
    except UsageError as exc:
        return 404, {"error": exc.message}
    except OutsideError as exc:
        return 503, {"error": exc.message}


def _checked(index: int, entry: Any) -> Label | Problem:
    if not isinstance(entry, dict):
        return Problem(index, "", "an object", type(entry).__name__)
    unknown = sorted(set(entry) - {"request_id", "label", "row"})
    if unknown:
        return Problem(index, unknown[0][:LONGEST], "request_id, label or row", "another field")
    return checked(index, entry.get("request_id"), entry.get("label"), entry.get("row", 0))


def checked(index: int, request_id: Any, value: Any, row: Any) -> Label | Problem:
    """One label from what somebody sent."""
    if not _is_word(request_id) or not request_id:
        return Problem(index, "request_id", f"text of 1 to {LONGEST} characters", _shown(request_id))
    if isinstance(row, bool) or not isinstance(row, int) or not 0 <= row < 2**31:
        return Problem(index, "row", "a whole number from 0 on", _shown(row))
    if not (_is_word(value) if isinstance(value, str) else _is_number(value)):
        return Problem(
            index, "label", f"a finite number, true, false, or text up to {LONGEST} characters", _shown(value)
        )
    return Label(request_id, value if isinstance(value, str) else float(value), row)


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
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def from_table(batches: Iterator[pa.RecordBatch]) -> Iterator[list[Label]]:
    """The labels of a file with the columns request_id, label and perhaps row, some thousands at a time.

    Raises UsageError that names the first wrong row.
    """
    first = 0
    for batch in batches:
        columns = _columns(batch)
        for start in range(0, batch.num_rows, MOST):
            yield _labels(columns, first, start, min(start + MOST, batch.num_rows))
        first += batch.num_rows


def _columns(batch: pa.RecordBatch) -> Mapping[str, pa.Array]:
    names = batch.schema.names
    lacking = [name for name in ("request_id", "label") if name not in names]
    if lacking:
        raise UsageError(f"there is no column {lacking[0]}", f"columns: {', '.join(names)}")
    return {name: batch.column(name) for name in ("request_id", "label", "row") if name in names}


def _labels(columns: Mapping[str, pa.Array], first: int, start: int, stop: int) -> list[Label]:
    part = {name: column.slice(start, stop - start).to_pylist() for name, column in columns.items()}
    rows = part.get("row", [0] * (stop - start))
    found = []
    for index, (request_id, value, row) in enumerate(zip(part["request_id"], part["label"], rows, strict=True)):
        label = checked(first + start + index, _as_text(request_id), value, row)
        if isinstance(label, Problem):
            raise UsageError(f"row {label.number}: {label.field}: expected {label.expected}, got {label.got}")
        found.append(label)
    return found


def _as_text(value: Any) -> Any:
    """CSV readers take ids of digits for numbers."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value
