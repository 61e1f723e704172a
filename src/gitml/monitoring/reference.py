"""What a version's live traffic is held against: how its inputs and its answers were distributed when it was made.

Inputs are those of exactly the rows of the training window, answers those of the rows it was evaluated on. The file is
written once, by the stage that evaluates, and named by the version's record. When it is written its own periods are
left out in turn, and it says which of them would alarm.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from gitml.errors import UsageError
from gitml.files import write_file
from gitml.monitoring.drift.leaveout import OwnPeriods, own_periods
from gitml.monitoring.drift.scan import Floors
from gitml.monitoring.promise import Promise
from gitml.sketches.gather import RowCounter, Source
from gitml.sketches.layout import CALENDAR, Stratum
from gitml.sketches.moments import moments_of
from gitml.sketches.recoded import frequent_strata, only_lacks_counts, recoded
from gitml.sketches.reference import Read, ReferenceSketch, read_reference, reference_bytes, reference_of
from gitml.sketches.sketch import CLUSTERS

FEATURE, OUTPUT = "feature_", "output_"
_WEEK = timedelta(weeks=1)
_LOOKS = 53


@dataclass(frozen=True)
class Part:
    """Rows of a reference, and the columns of them that count; ``time`` and ``unit`` name theirs, '' for none.

    ``since`` ≤ time < ``until`` are the rows taken; without both, all. ``context``: columns, or `hour`, `weekday`,
    `month` of the time, whose values are held fixed when windows are compared; the rows of the outputs have them too.
    ``zone``: of times that say none, such as Europe/Vienna; '' is UTC, in which the traffic is.
    """

    rows: Any
    columns: Sequence[str]
    time: str = ""
    unit: str = ""
    since: datetime | None = None
    until: datetime | None = None
    context: Sequence[str] = ()
    zone: str = ""


@dataclass(frozen=True)
class Expected:
    """What its own periods are judged by: as the monitor of the model will."""

    window: timedelta = _WEEK
    looks: int = _LOOKS
    rate: float = 0.05
    floors: Floors = field(default_factory=Floors)
    clusters: Sequence[str] = CLUSTERS


@dataclass(frozen=True)
class VersionReference:
    """``features`` have columns ``feature_…``, ``outputs`` ``output_…``; ``own`` is None where no row has a time."""

    features: ReferenceSketch | None
    outputs: ReferenceSketch | None
    own: OwnPeriods | None = None

    @property
    def parts(self) -> tuple[ReferenceSketch, ...]:
        return tuple(part for part in (self.features, self.outputs) if part is not None)


def write(
    path: str | Path,
    features: Part | None,
    outputs: Part | None = None,
    expected: Expected = Expected(),
    *,
    recode: bool = False,
) -> VersionReference:
    """Write the reference of a version to ``path``; equal rows give equal bytes. ``recode``: so that it tells nothing
    of a single row, as it must where rows are of people and the file lies in Git.

    ``rows`` of a part are a pandas or Arrow table, or a function that gives record batches anew each time it is called.
    Raises UsageError for a column that the rows do not have, and for no rows.
    """
    made = made_of(features, outputs, expected, recode=recode)
    write_file(Path(path), version_reference_bytes(made))
    return made


def made_of(
    features: Part | None, outputs: Part | None, expected: Expected = Expected(), *, recode: bool = False
) -> VersionReference:
    """The same without the file."""
    columns = sum(len(part.columns) for part in (features, outputs) if part)
    if not columns:
        raise UsageError("a reference has a column at least", "name the inputs or outputs that are watched")
    promise = Promise(expected.looks, columns, expected.rate)
    of_features = _part(features, FEATURE, expected, promise, recode=recode) if features else None
    strata = of_features[0].layout.strata if of_features else None
    of_outputs = _part(outputs, OUTPUT, expected, promise, strata, recode=recode) if outputs else None
    own = _both(of_features and of_features[1], of_outputs and of_outputs[1])
    return VersionReference(of_features and of_features[0], of_outputs and of_outputs[0], own)


def _part(
    part: Part,
    prefix: str,
    expected: Expected,
    promise: Promise,
    strata: Sequence[Stratum] | None = None,
    *,
    recode: bool,
) -> tuple[ReferenceSketch, OwnPeriods | None]:
    names = {f"{prefix}{column}": column for column in part.columns}
    context = context_names(part.context)
    of_context = {there: own for there, own in zip(context, part.context, strict=True) if there != own}
    read, source = read_part(part), Source(names | of_context, part.time and MOMENT, part.unit)
    reference = reference_of(read, list(names), source, context, strata)
    told = _recounted(reference, read, source, strata) if recode else reference
    if not part.time:
        return told, None
    floors = replace(expected.floors, columns=prefixed(expected.floors.columns, names))
    return told, own_periods(read, reference, source, expected.window, promise, floors, expected.clusters)


def _recounted(
    reference: ReferenceSketch, read: Read, source: Source, strata: Sequence[Stratum] | None
) -> ReferenceSketch:
    """Recoded, and counted by its own bounds, while the rows are there."""
    once = recoded(reference, strata)
    counted = RowCounter(once.layout, source).of(read())
    return recoded(replace(once, sketch=counted), once.layout.strata)


def context_names(context: Sequence[str]) -> tuple[str, ...]:
    """As layouts and the traffic call them.

    >>> context_names(["hour", "origin"])
    ('hour', 'feature_origin')
    """
    return tuple(name if name in CALENDAR else f"{FEATURE}{name}" for name in context)


MOMENT = "gitml moment"


def prefixed(floors: Mapping[str, float], names: Mapping[str, str]) -> dict[str, float]:
    """Floors by the name of a column in the traffic; ``names``: that one → the model's own."""
    return {there: floors[own] for there, own in names.items() if own in floors}


def read_part(part: Part) -> Read:
    """The rows with their moment as a column of its own, and only those of the window."""

    def read() -> Iterator[pa.RecordBatch]:
        for batch in _batches(part.rows):
            if part.unit and part.unit in batch.schema.names:
                place = batch.schema.get_field_index(part.unit)
                batch = batch.set_column(place, part.unit, batch.column(place).cast(pa.string()))
            yield _inside(batch, part) if part.time else batch

    return read


def _inside(batch: pa.RecordBatch, part: Part) -> pa.RecordBatch:
    if part.time not in batch.schema.names:
        raise UsageError(f"the rows have no column {part.time}", f"they have {', '.join(batch.schema.names)}")
    try:
        moments = moments_of(batch[part.time], part.zone)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
        hint = "write them like 2026-01-31T08:00:00, and zones like Europe/Vienna"
        raise UsageError(f"{part.time} holds no times: {exc}", hint) from exc
    if moments.null_count:
        raise UsageError(f"{part.time} is missing in {moments.null_count:,} rows", "give every row its time")
    batch = batch.append_column(MOMENT, moments)
    inside = pc.and_(_compared(pc.greater_equal, moments, part.since), _compared(pc.less, moments, part.until))
    return batch.filter(inside)


def _compared(compare: Any, moments: Any, bound: datetime | None) -> Any:
    if bound is None:
        return pa.repeat(pa.scalar(value=True), len(moments))
    return compare(moments, pa.scalar(bound, moments.type))


def _batches(rows: Any) -> Iterator[pa.RecordBatch]:
    if callable(rows):
        yield from rows()
    elif isinstance(rows, pa.RecordBatch):
        yield rows
    else:
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_pandas(rows, preserve_index=False)
        yield from table.combine_chunks().to_batches(65_536)


def _both(features: OwnPeriods | None, outputs: OwnPeriods | None) -> OwnPeriods | None:
    """Of inputs and of answers in one."""
    if outputs is None:
        return features
    first = features or OwnPeriods(outputs.hours, 0)
    alarms, quiet = {**first.alarms, **outputs.alarms}, {**first.quiet, **outputs.quiet}
    return OwnPeriods(outputs.hours, first.periods, alarms, quiet, outputs.periods)


def recoded_reference(reference: VersionReference) -> VersionReference:
    """One that tells nothing of a single row. Both parts keep the same contexts, by the rows of the first."""
    strata = frequent_strata(reference.parts[0]) if reference.parts else ()
    features, outputs = (part and recoded(part, strata) for part in (reference.features, reference.outputs))
    return VersionReference(features, outputs, reference.own)


def lacks_counts_alone(old: bytes, new: bytes) -> bool:
    """Whether the reference ``new`` has counts of ``old`` and nothing else. Raises UsageError for what is none."""
    before, after = read_version_reference(old), read_version_reference(new)
    pairs = ((before.features, after.features), (before.outputs, after.outputs))
    return before.own == after.own and all(
        (one is None and other is None) or (one is not None and other is not None and only_lacks_counts(one, other))
        for one, other in pairs
    )


class _OwnForm(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    hours: int = Field(ge=1)
    periods: int = Field(ge=0)
    alarms: dict[str, int]
    quiet: dict[str, FiniteFloat]
    answers: int = Field(ge=0)


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    format: Literal[1]
    features: dict[str, Any] | None
    outputs: dict[str, Any] | None
    own: _OwnForm | None


def version_reference_bytes(reference: VersionReference) -> bytes:
    """JSON in one canonical form."""
    told = {
        "format": 1,
        "features": reference.features and json.loads(reference_bytes(reference.features)),
        "outputs": reference.outputs and json.loads(reference_bytes(reference.outputs)),
        "own": reference.own and asdict(reference.own),
    }
    return json.dumps(told, sort_keys=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def read_version_reference(raw: bytes) -> VersionReference:
    """Raises UsageError for bytes that are no reference of a version."""
    try:
        form = _Form.model_validate_json(raw)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"no reference of format 1: {where}: {first['msg']}", "write it anew: gitml reference"
        ) from exc
    features, outputs = (
        None if part is None else read_reference(json.dumps(part).encode()) for part in (form.features, form.outputs)
    )
    own = None if form.own is None else OwnPeriods(**form.own.model_dump())
    return VersionReference(features, outputs, own)
