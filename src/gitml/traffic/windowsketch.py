"""The sketch of a window of traffic, kept beside the data day by day.

What is kept is derived: deleting it costs time, no more. A day's file is named by the digest of all that its counts
follow from: model, bounds, layout, which rows are counted, and the stretches of rows that were known at the moment of
the cut. Rows that came later, or another cut that knows others, are another name; so nothing stale is ever read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gitml import clock
from gitml.engines.places import StoragePlace, place_of
from gitml.errors import UsageError
from gitml.jsontext import canonical
from gitml.sketches.form import layout_digest, read_sketch, sketch_bytes
from gitml.sketches.gather import RowCounter, Source
from gitml.sketches.layout import Layout
from gitml.sketches.sketch import Route, Sketch
from gitml.sketches.words import encoded
from gitml.traffic.files import SKETCHES
from gitml.traffic.marks import GRACE
from gitml.traffic.reader import Window, day_before, rows_once
from gitml.traffic.stored import StoredRows, storing

_FORMAT = 1
_NEEDED = ("environment", "arm", "version", "outcome", "row", "unit", "arrived")


@dataclass(frozen=True)
class CountedRows:
    """Of which rows the columns are counted: those that were answered in ``environment``, by ``version``, through one
    of ``arms``; '' is any. A shadow sees the rows that the champion sees, and who asks for a version chose it."""

    environment: str = ""
    version: str = ""
    arms: tuple[str, ...] = ("champion", "canary")


@dataclass(frozen=True)
class _Job:
    folder: str | Path
    model: str
    layout: Layout
    counted: CountedRows
    spool: Path | None


def sketch_of_window(
    folder: str | Path,
    model: str,
    window: Window,
    layout: Layout,
    counted: CountedRows = CountedRows(),
    *,
    spool: Path | None = None,
) -> Sketch:
    """The same bytes for the same window and moment, whatever came or was merged since. Without ``at`` all that is
    there counts, journals too, and nothing is kept. Raises UsageError for a window without both ends."""
    if window.since is None or window.until is None or window.since >= window.until:
        raise UsageError("a window has a beginning and a later end", "name them with --since and --until")
    job = _Job(folder, model, layout, counted, spool)
    if window.at is None or window.at > clock.now():
        return _counted_anew(job, [window])[window]
    with storing(folder, "predictions", model, window.at) as stored:
        places = {part: _place(job, stored, part) for part in _by_day(window)}
    found = {part: sketch for part, place in places.items() if (sketch := _kept(place, layout))}
    for run in _runs([part for part in places if part not in found]):
        for part, sketch in _counted_anew(job, run).items():
            found[part] = sketch
            if part.until and part.until + GRACE <= window.at:
                _keep(places[part], sketch)
    return reduce(add, found.values())


def inputs_digest(
    folder: str | Path, model: str, window: Window, layout: Layout, counted: CountedRows = CountedRows()
) -> str:
    """Of all that the sketch of the window follows from: its bounds, what is counted, and which stretches of rows were
    known at its moment. Equal however files were merged since."""
    job = _Job(folder, model, layout, counted, None)
    with storing(folder, "predictions", model, window.at) as stored:
        return hashlib.sha256(canonical([_place(job, stored, part).name for part in _by_day(window)])).hexdigest()


def _by_day(window: Window) -> Iterator[Window]:
    """The parts of the window that lie in one day, in UTC."""
    start, end = window.since, window.until
    while start and end and start < end:
        night = datetime.combine(start.astimezone(UTC).date(), datetime.min.time(), UTC) + timedelta(days=1)
        yield Window(start, min(night, end), window.at)
        start = night


def _runs(parts: Sequence[Window]) -> list[list[Window]]:
    """Parts that follow each other are read in one go: repeated answers are found with the day before."""
    runs: list[list[Window]] = []
    for part in parts:
        if runs and runs[-1][-1].until == part.since:
            runs[-1].append(part)
        else:
            runs.append([part])
    return runs


def _place(job: _Job, stored: StoredRows, part: Window) -> StoragePlace:
    first, last = part.days
    days = stored.days(day_before(first), last)
    known = {day: [(stretch.name, stretch.rows) for stretch in stored.known(day)] for day in days}
    told = {
        "format": _FORMAT,
        "model": job.model,
        "since": str(part.since and part.since.astimezone(UTC)),
        "until": str(part.until and part.until.astimezone(UTC)),
        "layout": layout_digest(job.layout),
        "counted": asdict(job.counted),
        "stretches": {day: stretches for day, stretches in known.items() if stretches},
    }
    digest = hashlib.sha256(canonical(told)).hexdigest()
    return place_of(job.folder) / SKETCHES / f"model={job.model}" / f"date={first}" / f"{digest}.json"


def _kept(place: StoragePlace, layout: Layout) -> Sketch | None:
    """None where there is none, or not the one that was written."""
    try:
        head, _, raw = place.read_bytes().partition(b"\n")
        if json.loads(head) != _head(place, raw):
            return None
        return read_sketch(raw, layout)
    except (OSError, ValueError, UsageError):
        return None


def _keep(place: StoragePlace, sketch: Sketch) -> None:
    raw = sketch_bytes(sketch)
    head = canonical(_head(place, raw))
    with suppress(OSError, pa.ArrowException):  # who may only read counts anew each time
        place.write(lambda stream: stream.write(head + b"\n" + raw))


def _head(place: StoragePlace, raw: bytes) -> Mapping[str, Any]:
    return {"format": _FORMAT, "key": place.name.removesuffix(".json"), "sketch": hashlib.sha256(raw).hexdigest()}


def _counted_anew(job: _Job, parts: Sequence[Window]) -> dict[Window, Sketch]:
    """Reads the rows once, for parts that follow each other."""
    whole = Window(parts[0].since, parts[-1].until, parts[0].at)
    count = RowCounter(job.layout, Source(time="arrived", unit="unit"))
    found = dict.fromkeys(parts, count.nothing())
    columns = [*dict.fromkeys([*_NEEDED, *job.layout.columns, *job.layout.context])]
    for batch in rows_once(job.folder, job.model, whole, spool=job.spool, columns=columns):
        for part in parts:
            inside = _among(batch, part)
            if inside.num_rows:
                here = _where(inside, _is("environment", job.counted.environment, inside, unknown=True))
                found[part] += replace(count(counted_rows(here, job.counted)), routes=routes_of(here))
    return found


def _among(batch: pa.RecordBatch, part: Window) -> pa.RecordBatch:
    inside = part.holds(batch["arrived"])
    return batch if inside.all() else batch.filter(pa.array(inside))


def _where(batch: pa.RecordBatch, chosen: Any) -> pa.RecordBatch:
    return batch if pc.all(chosen).as_py() is not False else batch.filter(chosen)


def counted_rows(batch: pa.RecordBatch, counted: CountedRows) -> pa.RecordBatch:
    """Those of a batch, whatever their environment."""
    return _where(batch, _chosen(batch, counted))


def _chosen(batch: pa.RecordBatch, counted: CountedRows) -> Any:
    arms = pc.is_in(batch["arm"], pa.array(counted.arms, pa.string()))
    answered = pc.and_(pc.equal(batch["outcome"], "ok"), arms)
    return pc.and_(answered, _is("version", counted.version, batch))


def _is(name: str, wanted: str, batch: pa.RecordBatch, *, unknown: bool = False) -> Any:
    """Rows of format 1 do not say their environment."""
    if not wanted:
        return pa.repeat(pa.scalar(value=True), batch.num_rows)
    return pc.fill_null(pc.equal(batch[name], wanted), unknown)


def routes_of(batch: pa.RecordBatch) -> dict[Route, tuple[int, int]]:
    """Rows and requests by arm, version and outcome."""
    columns = [encoded(batch[name]) for name in ("arm", "version", "outcome")]
    index = np.zeros(batch.num_rows, dtype=np.int64)
    for words, codes in columns:
        index = index * (len(words) + 1) + codes + 1
    keys, places = np.unique(index, return_inverse=True)
    rows = np.bincount(places, minlength=len(keys)).tolist()
    first = batch["row"].to_numpy(zero_copy_only=False) == 0
    requests = np.bincount(places[first], minlength=len(keys)).tolist()
    found = {}
    for key, counts in zip(keys.tolist(), zip(rows, requests, strict=True), strict=True):
        route = []
        for words, _ in reversed(columns):
            key, code = divmod(key, len(words) + 1)
            route.append(words[code - 1] if code else "")
        found[route[2], route[1], route[0]] = counts
    return found
