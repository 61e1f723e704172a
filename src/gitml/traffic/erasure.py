"""One person taken out of what was logged. What is counted stays: rows keep their number, arm, version and outcome.

Of a row about the person every input and answer goes, and its ids become others that say nothing: made with a key that
is forgotten when the call ends. So a canary's arms keep their counts, and a unit with five rows is still one unit.

Labels are found by the requests that they belong to, so they go before the requests do. Killed anywhere and called
again, it does what is left. Journals that a server writes to become files within minutes; what is in them is told.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet

from gitml.engines.places import StoragePlace, place_of
from gitml.errors import OutsideError, UsageError
from gitml.traffic.exchange import MODEL
from gitml.traffic.files import ROWS, SKETCHES, SUFFIX
from gitml.traffic.journal import SUFFIX as JOURNAL
from gitml.traffic.journal import frames
from gitml.traffic.marks import completeness
from gitml.traffic.spool import Spool, spool_of

ERASED = "erased"
# What stays of a row about somebody who was erased: what it counts for, and in which minute.
_COUNTED = frozenset(
    ["row", "rows", "environment", "host", "arm", "variant", "version", "weight", "epoch", "latency_ms", "caller",
     "source", "name"]
)  # fmt: skip
_TIMES, _IDS, _MINUTE = ("arrived", "time", "order"), ("request_id", "unit"), 60
_PASSES = 4
_OTHER = re.compile(rf"{ERASED}-[0-9a-f]{{24}}")


@dataclass(frozen=True)
class TrafficErasure:
    """``is_subject`` says of a value whether it is the person's id, in ``columns`` of requests; events have it in
    their unit where ``events`` says so. What arrived from ``until`` on is not of this request."""

    folder: str
    models: Sequence[str]
    is_subject: Callable[[Any], bool]
    columns: Sequence[str]
    until: datetime
    events: bool = True
    spool: Path | None = None


@dataclass(frozen=True)
class TrafficErased:
    """Rows that were made empty. ``waiting``: hosts, and journals here, that may still bring rows of that time."""

    requests: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    events: int = 0
    files: int = 0
    waiting: tuple[str, ...] = ()


def erase_from_traffic(call: TrafficErasure, now: datetime) -> TrafficErased:
    """Called twice it does nothing the second time. Raises OutsideError when files keep changing meanwhile."""
    kinds = ("predictions", "labels", *(["events"] if call.events else []))
    target = place_of(call.folder)
    if spool_of(target, call.spool) is not None:
        for kind in kinds:
            Spool.open(call.folder, kind, call.spool).tidy()
    work, done = _Work(call, target), TrafficErased()
    for _ in range(_PASSES):
        found = work.once()
        if not found.files:
            return replace(done, waiting=(*work.journaled(), *_hosts(call, now)))
        done = _together(done, found)
    raise OutsideError(f"files in {call.folder} change faster than they can be rewritten", "call it again")


def _together(one: TrafficErased, other: TrafficErased) -> TrafficErased:
    def added(some: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
        return {name: some.get(name, 0) + more.get(name, 0) for name in {*some, *more}}

    return TrafficErased(
        added(one.requests, other.requests), added(one.labels, other.labels), one.events + other.events,
        one.files + other.files,
    )  # fmt: skip


def _hosts(call: TrafficErasure, now: datetime) -> tuple[str, ...]:
    missing = completeness(call.folder, call.until - timedelta(days=1), call.until, at=now).missing
    return tuple(f"host {name}" for name in missing)


@dataclass
class _Work:
    call: TrafficErasure
    target: StoragePlace
    # Forgotten with this object: nobody can find the old ids from the new ones, or compare those of two calls.
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    known: dict[Any, bool] = field(default_factory=dict, repr=False)

    def once(self) -> TrafficErased:
        requests, labels, files = dict[str, int](), dict[str, int](), 0
        for model in self.call.models:
            asked = self._asked(model)
            if asked:
                count, some = self._rewrite(f"labels/model={model}", lambda b, a=asked: _labels_of(b, a))  # type: ignore[misc]
                labels, files = labels | ({model: count} if count else {}), files + some
                count, some = self._rewrite(f"predictions/model={model}", self._mine, model)
                requests, files = requests | {model: count}, files + some
        happened, some = self._rewrite("events", self._events) if self.call.events else (0, 0)
        return TrafficErased(requests, labels, happened, files + some)

    def _asked(self, model: str) -> set[tuple[str, str | None]]:
        """Requests with a row of the person: id and caller."""
        found: set[tuple[str, str | None]] = set()
        for place in self._files(f"predictions/model={model}"):
            for batch in self._read(place, [*_IDS, *self.call.columns, "caller", *_TIMES]):
                mine = batch.filter(self._mine(batch))
                callers = mine["caller"].to_pylist() if "caller" in mine.schema.names else [None] * mine.num_rows
                found |= set(zip(mine["request_id"].to_pylist(), callers, strict=True))
        return found

    def _files(self, folder: str) -> list[StoragePlace]:
        """Of days until the request's; a label may come years later."""
        last = f"date={self.call.until.astimezone(UTC) + timedelta(days=1):%Y-%m-%d}"
        place = self.target / folder
        names = (entry.name for entry in place.files() if entry.name.endswith(SUFFIX))
        late = folder.startswith("labels/")
        return [place / name for name in names if late or name.rpartition("/")[0].rpartition("/")[2] <= last]

    def _read(self, place: StoragePlace, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with suppress(FileNotFoundError), place.filesystem.open_input_file(place.path) as stream:
            file = parquet.ParquetFile(stream)
            names = [name for name in file.schema_arrow.names if name in columns]
            yield from file.iter_batches(ROWS, columns=names)

    def _mine(self, batch: pa.RecordBatch) -> pa.Array:
        found = pa.repeat(pa.scalar(value=False), batch.num_rows)
        for name in (name for name in self.call.columns if name in batch.schema.names):
            found = pc.or_(found, self._is_subject(batch[name]))
        return pc.and_(found, self._before(batch))

    def _events(self, batch: pa.RecordBatch) -> pa.Array:
        return pc.and_(self._is_subject(batch["unit"]), self._before(batch, ["time"]))

    def _is_subject(self, column: Any) -> pa.Array:
        if pa.types.is_nested(column.type):
            raise UsageError(f"a declared input of the traffic holds {column.type}", "ids are words, numbers or dates")
        values = column.unique()
        for value in values.to_pylist():
            if value not in self.known:
                self.known[value] = not _is_erased(value) and self.call.is_subject(value)
        return pc.is_in(column, values.filter(pa.array([self.known[v] for v in values.to_pylist()], pa.bool_())))

    def _before(self, batch: pa.RecordBatch, times: Sequence[str] = ("arrived", "time")) -> pa.Array:
        name = next((name for name in times if name in batch.schema.names), None)
        if name is None:
            return pa.repeat(pa.scalar(value=True), batch.num_rows)
        limit = pa.scalar(int(self.call.until.timestamp() * 1e6), pa.int64())
        return pc.fill_null(pc.less(batch[name].cast(pa.int64()), limit), fill_value=True)

    def _rewrite(self, folder: str, chosen: Callable[[Any], Any], model: str = "") -> tuple[int, int]:
        """Rows that were made empty, and files."""
        rows = files = 0
        for place in self._files(folder):
            with suppress(FileNotFoundError):  # merged meanwhile: the next pass finds it
                count = self._rewrite_file(place, chosen)
                rows, files = rows + count, files + bool(count)
                if count and model:
                    self._forget_sketches(model, place)
        return rows, files

    def _rewrite_file(self, place: StoragePlace, chosen: Callable[[Any], Any]) -> int:
        with place.filesystem.open_input_file(place.path) as stream:
            file = parquet.ParquetFile(stream)
            masks = [chosen(batch) for batch in file.iter_batches(ROWS)]
        count = sum(pc.sum(mask).as_py() or 0 for mask in masks)
        if count:
            place.write(lambda target: self._fill(target, place, masks))
        return int(count)

    def _fill(self, target: Any, place: StoragePlace, masks: Sequence[Any]) -> None:
        with place.filesystem.open_input_file(place.path) as stream:
            file = parquet.ParquetFile(stream)
            with parquet.ParquetWriter(target, file.schema_arrow, compression="zstd") as writer:
                for batch, mask in zip(file.iter_batches(ROWS), masks, strict=True):
                    columns = [self._emptied(field, batch[field.name], mask) for field in batch.schema]
                    writer.write_batch(pa.record_batch(columns, schema=file.schema_arrow))

    def _emptied(self, about: pa.Field, column: Any, mask: Any) -> Any:
        if about.name in _COUNTED or not pc.any(mask).as_py():
            return column
        if about.name in _IDS:
            return pc.if_else(mask, pa.array([self._other(v) for v in column.to_pylist()], about.type), column)
        if about.name in _TIMES:
            return pc.if_else(mask, _minute(column), column)
        if about.name == "outcome":
            return pc.if_else(pc.and_(mask, pc.equal(column, "ok")), ERASED, column)
        return pc.if_else(mask, pa.scalar(None, about.type), column)

    def _other(self, value: str | None) -> str | None:
        """Equal for equal ids, within this call."""
        if value is None or _is_erased(value):
            return value
        raw = value.encode("utf-8", "surrogatepass")
        return f"{ERASED}-{hmac.digest(self.key, raw, 'sha256')[:12].hex()}"

    def _forget_sketches(self, model: str, place: StoragePlace) -> None:
        """Of that day: they are counted anew when somebody asks."""
        kept = self.target / SKETCHES / f"model={model}" / place.parent.name
        for entry in kept.files():
            with suppress(FileNotFoundError):
                (kept / entry.name).delete()

    def journaled(self) -> list[str]:
        """Journals on this machine that have rows of the person: a server is writing to them."""
        spool, found = spool_of(self.target, self.call.spool), []
        for kind, chosen in (("predictions", self._mine), *([("events", self._events)] if self.call.events else [])):
            for path in sorted((spool / kind).glob(f"*{JOURNAL}")) if spool else ():
                with suppress(FileNotFoundError), path.open("rb") as stream:
                    if any(self._in_journal(batch, chosen) for batch in frames(stream)):
                        found.append(f"journal {path.name.removesuffix(JOURNAL)}")
        return found

    def _in_journal(self, batch: pa.RecordBatch, chosen: Callable[[Any], Any]) -> bool:
        model = (batch.schema.metadata or {}).get(MODEL, b"").decode()
        return (not model or model in self.call.models) and bool(pc.any(chosen(batch)).as_py())


def _is_erased(value: Any) -> bool:
    return isinstance(value, str) and _OTHER.fullmatch(value) is not None


def _labels_of(batch: pa.RecordBatch, asked: set[tuple[str, str | None]]) -> pa.Array:
    """Labels of these requests: of their callers, or told by nobody in particular."""
    requests = {request for request, _ in asked}
    callers = batch["caller"].to_pylist() if "caller" in batch.schema.names else [None] * batch.num_rows
    pairs = zip(batch["request_id"].to_pylist(), callers, strict=True)
    return pa.array([(r, c) in asked if c else r in requests for r, c in pairs], pa.bool_())


def _minute(column: Any) -> Any:
    """Times to the minute; ``order`` counts nanoseconds."""
    scale = _MINUTE * (1_000_000_000 if pa.types.is_integer(column.type) else 1_000_000)
    whole = column.cast(pa.int64())
    return pc.multiply(pc.divide(whole, pa.scalar(scale, pa.int64())), pa.scalar(scale, pa.int64())).cast(column.type)
