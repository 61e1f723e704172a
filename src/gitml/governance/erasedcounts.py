"""A version's reference without one person: their rows counted by its own cells and subtracted, and what is left told
so that no single row can be seen in it.

Which rows are theirs is known from data that have both an id and the reference's columns. What no data say any more is
not subtracted, and still is told of 30 rows or more together alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from gitml.errors import GitmlError, UsageError
from gitml.governance.dataversions import DataVersion, SubjectData, data_of
from gitml.governance.subjectfind import SubjectTest
from gitml.governance.subjectids import SoughtPerson
from gitml.governance.subjectindex import opened_people
from gitml.governance.subjectremoval import rows_of_subject
from gitml.monitoring.reference import (
    FEATURE,
    OUTPUT,
    VersionReference,
    read_version_reference,
    recoded_reference,
    version_reference_bytes,
)
from gitml.registry.record import Record
from gitml.sketches import recoded
from gitml.sketches.gather import RowCounter, Source
from gitml.sketches.moments import hours_of, moments_of
from gitml.sketches.reference import ReferenceSketch

_ROWS = 65_536


@dataclass(frozen=True)
class _Seen:
    """The person's rows in a version of data, which has so many ``rows``."""

    rows: int
    mine: pa.Table


def reference_without(
    data: SubjectData, record: Record, people: tuple[SoughtPerson, Sequence[SoughtPerson]], raw: bytes
) -> bytes | None:
    """``people``: who is sought, and those whose rows are not counted any more. None where nothing has to change.

    Raises UsageError for bytes that are no reference of a version.
    """
    before, (wanted, gone) = read_version_reference(raw), people
    known = {key.name for key in data.ring.keys}
    tests = [SubjectTest(data.subjects, data.ring, one) for one in (wanted, *(o for o in gone if o.key in known))]
    seen = [one for version in data_of(record, data.subjects) if (one := _seen(data, version, tests))]
    less = VersionReference(
        before.features and _less(before.features, FEATURE, seen),
        before.outputs and _less(before.outputs, OUTPUT, seen),
        before.own,
    )
    made = version_reference_bytes(recoded_reference(less))
    return None if made == raw else made


def tells_of_single_rows(raw: bytes) -> bool:
    """Whether a reference has values that few rows share; of bytes that are none that is not known."""
    try:
        return version_reference_bytes(recoded_reference(read_version_reference(raw))) != raw
    except UsageError:
        return True


def _seen(data: SubjectData, version: DataVersion, tests: Sequence[SubjectTest]) -> _Seen | None:
    """Of the first test, but for rows that another one knows; None for data that cannot be read any more."""
    rows, found, (test, *gone) = 0, list[pa.Table](), tests
    try:
        for file in data.files(version):
            with data.opened(file) as path, opened_people(path, file.columns) as some:
                for batch in some:
                    rows += batch.num_rows
                    mine = batch.filter(rows_of_subject(batch, file.columns, test))
                    for other in gone:
                        mine = mine.filter(pc.invert(rows_of_subject(mine, file.columns, other)))
                    found.append(pa.Table.from_batches([mine]))
        return _Seen(rows, pa.concat_tables(found, promote_options="permissive")) if found else None
    except (GitmlError, pa.ArrowException):
        return None


def _less(part: ReferenceSketch, prefix: str, seen: Iterable[_Seen]) -> ReferenceSketch:
    own = {name: name.removeprefix(prefix) for name in part.layout.columns}
    own |= {name: name.removeprefix(FEATURE) for name in part.layout.context if name not in own}
    rows = int(part.sketch.rows.sum())

    def fits(one: _Seen) -> tuple[int, int]:
        """The most columns; of two tables with these, the one that has as many rows as were counted."""
        return len([*_shared(part, own, one)]), -abs(one.rows - rows)

    best = max(seen, key=fits, default=None)
    columns = [*_shared(part, own, best)] if best else []
    if best is None or not columns or not best.mine.num_rows:
        return part
    source = Source(own, _time(part, best.mine))
    try:
        counted = RowCounter(part.layout, source).of(best.mine.combine_chunks().to_batches(_ROWS))
    except pa.ArrowException:  # columns of a kind that no reference counts
        return part
    return recoded.without(part, counted, columns)


def _shared(part: ReferenceSketch, own: dict[str, str], one: _Seen) -> Iterator[str]:
    return (name for name in part.layout.columns if own[name] in one.mine.column_names)


def _time(part: ReferenceSketch, mine: pa.Table) -> str:
    """The column that says in which hours the rows were counted; '' where none does."""
    hours = {hour for hour, _ in part.sketch.hours}
    names: list[str] = mine.column_names if hours else []
    for name in names:
        kind = mine.schema.field(name).type
        if pa.types.is_temporal(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
            try:
                found = hours_of(moments_of(mine[name].combine_chunks()))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                continue
            if {*found.tolist()} <= hours:
                return name
    return ""
