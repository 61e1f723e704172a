"""``gitml traffic export``: answered requests and their labels as partitions that are never changed, for training.

A partition is the requests that arrived on one day (UTC). It is written when the labels of that day have come, from
what was known at one moment, so that the same call gives the same bytes later. Training reads partitions, never the
traffic itself: what a version learnt from is then a digest in DVC like any other data.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet

from gitml import clock
from gitml.errors import UsageError
from gitml.files import write_file
from gitml.inference.exportlineage import (
    ExportedDay,
    ExportedVersion,
    ExportLineage,
    ExportSettings,
    lineage_path,
    read_lineage,
    write_lineage,
)
from gitml.traffic.marks import Completeness, completeness
from gitml.traffic.private import EVERY_COLUMN
from gitml.traffic.reader import Window, requests
from gitml.traffic.stored import storing

DayState = Literal["written", "kept", "revised", "unchanged", "waiting", "incomplete", "altered"]
_FEATURE, _OUTPUT, _OWN = "feature_", "output_", "traffic_"
_TOLD = ("request_id", "row", "arrived", "environment", "arm", "version", "weight")
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class ExportPlace:
    """``folder`` of the traffic and the local one that it is gathered in; ``target``: of the partitions."""

    folder: str
    target: Path
    spool: Path | None = None


@dataclass(frozen=True)
class ExportCall:
    """``since`` and ``until`` are days, the latter not included; None: all that are there and ready. ``at``: now, if
    it is None. ``private`` columns are left out. ``revise``: partitions that exist are written again. ``incomplete``:
    also days of which a host did not tell all."""

    settings: ExportSettings
    since: datetime | None = None
    until: datetime | None = None
    at: datetime | None = None
    private: tuple[str, ...] = ()
    revise: bool = False
    incomplete: bool = False


@dataclass(frozen=True)
class DayOutcome:
    """What became of one day; ``why`` says what it waits for, or what a revision changed."""

    day: str
    state: DayState
    rows: int = 0
    unlabelled: int = 0
    why: str = ""


@dataclass(frozen=True)
class ExportResult:
    """``at``: the moment of the cut. ``left`` are days that were asked for and could not be written."""

    target: Path
    lineage: Path
    at: datetime
    days: tuple[DayOutcome, ...]

    @property
    def left(self) -> tuple[DayOutcome, ...]:
        return tuple(d for d in self.days if d.state in ("waiting", "incomplete", "altered"))


@dataclass(frozen=True)
class _Rows:
    """The rows of a partition, and what was counted beside them."""

    table: pa.Table | None
    counts: Counter[str]
    hidden: tuple[str, ...]


@dataclass
class _Work:
    place: ExportPlace
    call: ExportCall
    at: datetime
    lineage: ExportLineage
    done: list[DayOutcome] = field(default_factory=list)


def export_traffic(
    place: ExportPlace, call: ExportCall, tell: Callable[[DayOutcome], None] = lambda day: None
) -> ExportResult:
    """Write the partitions that are due, one after the other: a run that is killed goes on with the next one.

    Raises UsageError for settings that are not those of the folder, for a moment in the future, and for columns that
    cannot stand side by side.
    """
    now = clock.now()
    at = (call.at or now).replace(microsecond=0)
    if at > now:
        raise UsageError(f"{at:%Y-%m-%d %H:%M} UTC is in the future", "nothing is known of it yet")
    work = _Work(place, call, at, _lineage(place, call.settings))
    for day in _days(work):
        work.done.append(_day(work, day))
        tell(work.done[-1])
    return ExportResult(place.target, lineage_path(place.target), at, tuple(work.done))


def _lineage(place: ExportPlace, wanted: ExportSettings) -> ExportLineage:
    if {wanted.label} & {f"{_OWN}{name}" for name in _TOLD}:
        raise UsageError(f"{wanted.label} is a column that gitml writes itself", "name another one with --label")
    found = read_lineage(lineage_path(place.target))
    if found is None:
        return ExportLineage(settings=wanted)
    was = found.settings.model_dump()
    for name, value in wanted.model_dump().items():
        if was[name] != value:
            raise UsageError(
                f"{place.target} was exported with {name.replace('_', ' ')} {_word(was[name])}, not {_word(value)}",
                "partitions of one folder have the same settings: name another folder with --to",
            )
    return found


def _word(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple | list) else str(value)


def _days(work: _Work) -> list[str]:
    """Those with traffic in the window; without an end, those whose labels had time to come."""
    call = work.call
    first = f"{call.since:%Y-%m-%d}" if call.since else ""
    last = f"{(call.until or work.at) - timedelta(microseconds=1):%Y-%m-%d}"
    with storing(work.place.folder, "predictions", call.settings.model, work.at, work.place.spool) as stored:
        found = stored.days(first, last)
    return [day for day in found if call.until or _ripe(work, day) <= work.at]


def _ripe(work: _Work, day: str) -> datetime:
    return _begin(day) + _DAY + timedelta(seconds=work.call.settings.labels_within)


def _begin(day: str) -> datetime:
    return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)


def _day(work: _Work, day: str) -> DayOutcome:
    before = work.lineage.days.get(day)
    if before is not None and not work.call.revise:
        if _is_altered(work.place.target / f"day={day}.parquet", before):
            why = "these are not the bytes that were exported: take them from DVC again, or write the day with --revise"
            return DayOutcome(day, "altered", why=why)
        return DayOutcome(day, "kept", before.rows, before.unlabelled)
    if (ripe := _ripe(work, day)) > work.at:
        return DayOutcome(day, "waiting", why=f"its labels come until {ripe:%Y-%m-%d %H:%M} UTC")
    found = completeness(
        work.place.folder, _begin(day), _begin(day) + _DAY, at=work.at, environment=work.call.settings.environment
    )
    if found.state != "complete" and not work.call.incomplete:
        return DayOutcome(day, "incomplete", why=str(found))
    return _written(work, day, found, before)


def _is_altered(path: Path, told: ExportedDay) -> bool:
    """A partition that is not here is not altered: a job of CI need not have them all."""
    return path.is_file() and (not told.sha256 or sha256(path.read_bytes()).hexdigest() != told.sha256)


def _written(work: _Work, day: str, whole: Completeness, before: ExportedDay | None) -> DayOutcome:
    rows = _rows(work, day)
    raw = _bytes(rows.table) if rows.table is not None else b""
    path = work.place.target / f"day={day}.parquet"
    told = _told(work, rows, raw, whole)
    if before is not None and before.sha256 == told.sha256:
        if raw and _is_altered(path, before):
            write_file(path, raw)
        return DayOutcome(day, "unchanged", before.rows, before.unlabelled)
    why = _changes(path, before, rows.table) if before is not None else ""
    # The partition first: one without lineage is written again, lineage without its partition would be believed.
    if raw:
        write_file(path, raw)
    else:
        path.unlink(missing_ok=True)
    work.lineage = work.lineage.with_day(day, told)
    write_lineage(lineage_path(work.place.target), work.lineage)
    return DayOutcome(day, "revised" if before is not None else "written", told.rows, told.unlabelled, why)


def _rows(work: _Work, day: str) -> _Rows:
    counts: Counter[str] = Counter()
    hidden: set[str] = set()
    parts = list(_parts(work, day, counts, hidden))
    if not parts:
        return _Rows(None, counts, tuple(sorted(hidden)))
    try:
        table = pa.concat_tables(parts, promote_options="permissive").combine_chunks()
    except pa.ArrowException as exc:
        raise UsageError(
            f"rows of {day} do not fit into one table: {str(exc).splitlines()[0]}",
            "versions that answered that day disagree on the type of a column: export one --arm at a time",
        ) from exc
    return _Rows(table, counts, tuple(sorted(hidden)))


def _parts(work: _Work, day: str, counts: Counter[str], hidden: set[str]) -> Iterator[pa.Table]:
    settings, window = work.call.settings, Window(_begin(day), _begin(day) + _DAY, work.at)
    for batch in requests(work.place.folder, settings.model, window, spool=work.place.spool):
        here = pc.fill_null(pc.equal(batch["environment"], settings.environment), fill_value=True)
        mine = batch.filter(here)
        fine = pc.equal(mine["outcome"], "ok")
        counts["unanswered"] += pc.sum(pc.invert(fine)).as_py() or 0
        answered = mine.filter(fine)
        exported = answered.filter(pc.is_in(answered["arm"], pa.array(settings.arms)))
        counts["other_arms"] += answered.num_rows - exported.num_rows
        labelled = exported.filter(pc.is_valid(exported["label_arrived"]))
        counts["unlabelled"] += exported.num_rows - labelled.num_rows
        hidden |= {name for name in _own_names(batch) if _is_private(work.call, name)}
        if labelled.num_rows:
            yield _columns(labelled, work.call)


def _own_names(batch: Any) -> list[str]:
    return [name.partition("_")[2] for name in batch.schema.names if name.startswith((_FEATURE, _OUTPUT))]


def _is_private(call: ExportCall, name: str) -> bool:
    return name in call.private or EVERY_COLUMN in call.private


def _columns(batch: Any, call: ExportCall) -> pa.Table:
    """Features by their own names, then the label, then what is known of the request, as ``traffic_…``."""
    label = call.settings.label
    found: dict[str, Any] = {}
    for name in batch.schema.names:
        short = name.removeprefix(_FEATURE)
        if short != name and not _is_private(call, short):
            found[short] = batch[name]
    clash = [name for name in found if name == label or name.startswith(_OWN)]
    if clash:
        raise UsageError(f"the model takes a column {clash[0]}, which the export names too", "name --label otherwise")
    is_text = pc.any(pc.is_valid(batch["label_text"])).as_py()
    found[label] = batch["label_text"] if is_text else batch["label"]
    found |= {f"{_OWN}{name}": batch[name] for name in _TOLD}
    for name in batch.schema.names:
        short = name.removeprefix(_OUTPUT)
        if short != name and not _is_private(call, short):
            found[f"{_OWN}answer_{short}"] = batch[name]
    return pa.table(found)


def _bytes(table: pa.Table) -> bytes:
    stream = io.BytesIO()
    parquet.write_table(table.replace_schema_metadata(None), stream, compression="zstd")
    return stream.getvalue()


def _told(work: _Work, rows: _Rows, raw: bytes, whole: Completeness) -> ExportedDay:
    return ExportedDay(
        at=work.at,
        rows=rows.table.num_rows if rows.table is not None else 0,
        sha256=sha256(raw).hexdigest() if raw else "",
        size=len(raw),
        versions=_versions(rows.table),
        private=rows.hidden,
        missing=whole.missing,
        dropped=whole.dropped,
        **{name: rows.counts[name] for name in ("unlabelled", "unanswered", "other_arms")},
    )


def _versions(table: pa.Table | None) -> Mapping[str, ExportedVersion]:
    if table is None:
        return {}
    grouped = table.select([f"{_OWN}version", f"{_OWN}weight"]).group_by(f"{_OWN}version")
    found = grouped.aggregate([(f"{_OWN}weight", "distinct"), (f"{_OWN}version", "count")]).to_pylist()
    return {
        row[f"{_OWN}version"] or "": ExportedVersion(
            rows=row[f"{_OWN}version_count"],
            weights=tuple(sorted(w for w in row[f"{_OWN}weight_distinct"] if w is not None)),
        )
        for row in sorted(found, key=lambda row: row[f"{_OWN}version"] or "")
    }


def _changes(path: Path, before: ExportedDay, table: pa.Table | None) -> str:
    """What a revision changes; row by row where the partition that it replaces lies here."""
    if not path.is_file() or _is_altered(path, before):
        return f"{before.rows:,} rows before; which ones changed is not known: the partition was not here"
    label = _labels(parquet.read_table(path)), _labels(table)
    old, new = label
    more, less = len(new.keys() - old.keys()), len(old.keys() - new.keys())
    other = sum(old[key] != new[key] for key in old.keys() & new.keys())
    return f"{more:,} rows more, {less:,} fewer, {other:,} with another label or answer"


def _labels(table: pa.Table | None) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Request, row and arm → all else."""
    if table is None:
        return {}
    key = [f"{_OWN}{name}" for name in ("request_id", "row", "arm")]
    rest = [name for name in table.schema.names if name not in key]
    return dict(zip(_tuples(table.select(key)), _tuples(table.select(rest)), strict=True))


def _tuples(table: pa.Table) -> Sequence[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))
