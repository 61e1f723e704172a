"""Sample rows of a version that runs, without those of one person.

A server compares its answers with these rows at each start, so they cannot simply go. What is left are rows of the same
file with their recorded answers: whoever signs can see that nothing was put in, and the model is held against them as
before. A row stays only if it is shown to be of somebody else: by an id in the samples themselves, or because the data
that the version was made of have a row with these inputs, and none of the person's.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet

from gitml.engines.places import place_of
from gitml.engines.tables import format_of, open_table
from gitml.errors import GitmlError, InconclusiveError, IntegrityError
from gitml.governance.dataversions import DataFile, SubjectData, data_of
from gitml.governance.subjectfind import SubjectTest
from gitml.governance.subjectids import SoughtPerson
from gitml.registry.record import Record
from gitml.registry.replacements import ROLE, ReplacedFile

_ROWS = 65_536
_MOST = 64_000_000  # bytes of a file of samples
Row = tuple[Any, ...]


@dataclass(frozen=True)
class NewSamples:
    """``content`` takes the place of ``replaced.old``; ``rows`` went."""

    replaced: ReplacedFile
    content: bytes
    rows: int


def without_subject(data: SubjectData, record: Record, wanted: SoughtPerson, raw: bytes) -> NewSamples | None:
    """None where no row is, or may be, of the person. ``raw`` is the file of samples as it is now.

    Raises InconclusiveError where it cannot be told of any row that it is of somebody else.
    """
    table = _table(raw)
    kept = _kept(data, record, wanted, table)
    rows = table.num_rows - sum(kept)
    if not rows:
        return None
    if not any(kept):
        raise InconclusiveError(
            f"of no sample row of {record.reference} it is known that it is somebody else's",
            "promote a version that was trained without them: these rows go with the old one",
        )
    stream = io.BytesIO()
    parquet.write_table(table.filter(pa.array(kept)).replace_schema_metadata(None), stream)
    content = stream.getvalue()
    return NewSamples(_replaced(record, raw, content), content, rows)


def _replaced(record: Record, raw: bytes, content: bytes) -> ReplacedFile:
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    old, new = (hashlib.sha256(one).hexdigest() for one in (raw, content))
    return ReplacedFile(
        model=record.model, version=record.version, path=record.roles[ROLE], old=old, new=new, dvc=f"md5:{md5}",
        size=len(content),
    )  # fmt: skip


def only_lacks_rows(old: bytes, new: bytes) -> bool:
    """Whether ``new`` has rows of ``old`` in their order, at least one, and nothing else."""
    before, after = _table(old), _table(new)
    if after.schema.remove_metadata() != before.schema.remove_metadata() or not 0 < after.num_rows < before.num_rows:
        return False
    left = _exact(before)
    return all(any(row == other for other in left) for row in _exact(after))


def _exact(table: pa.Table) -> Iterator[Row]:
    return zip(*(map(_plain, table[name].to_pylist()) for name in table.column_names), strict=True)


def _table(raw: bytes) -> pa.Table:
    if len(raw) > _MOST:
        raise InconclusiveError(f"the samples have {len(raw):,} bytes, more than are looked through")
    try:
        return parquet.read_table(io.BytesIO(raw))
    except (OSError, ValueError) as exc:
        raise IntegrityError(f"the samples are not Parquet: {str(exc).splitlines()[0][:200]}") from exc


def _kept(data: SubjectData, record: Record, wanted: SoughtPerson, table: pa.Table) -> list[bool]:
    test = SubjectTest(data.subjects, data.ring, wanted)
    ids = _id_columns(data) & {*table.column_names}
    if ids:
        return [
            not any(test(value) for value in row)
            for row in zip(*(table[n].to_pylist() for n in sorted(ids)), strict=True)
        ]
    others, mine = [False] * table.num_rows, [False] * table.num_rows
    met = [_compare(data, file, test, table, (others, mine)) for file in _files(data, record)]
    if not any(met):
        raise InconclusiveError(
            f"no data of {record.reference} that are still here have both the inputs and the person",
            "replace sample rows before `gitml subject gc`: afterwards nobody can tell whose they are",
        )
    return [one and not other for one, other in zip(others, mine, strict=True)]


def _id_columns(data: SubjectData) -> set[str]:
    return {name for names in data.subjects.data.values() for name in names} | {*data.subjects.traffic.features}


def _files(data: SubjectData, record: Record) -> Iterator[DataFile]:
    for one in data_of(record, data.subjects):
        try:
            yield from data.files(one)
        except GitmlError:
            continue  # what is gone shows of nobody that a row is theirs


def _compare(
    data: SubjectData, file: DataFile, test: SubjectTest, table: pa.Table, told: tuple[list[bool], list[bool]]
) -> bool:
    """Which rows of ``table`` somebody else has in the file, and which the person has; whether the person is in it."""
    met = False
    try:
        with data.opened(file) as path, open_table(place_of(path), format_of(path.name) or "", _ROWS, {}) as batches:
            for batch in batches:
                shared = [name for name in table.column_names if name in batch.schema.names]
                ids = [name for name in file.columns if name in batch.schema.names]
                if shared and ids:
                    met = _mark(batch, (shared, ids), test, table, told) or met
    except GitmlError:
        return False
    return met


def _mark(
    batch: Any, names: tuple[list[str], list[str]], test: SubjectTest, table: pa.Table,
    told: tuple[list[bool], list[bool]],
) -> bool:  # fmt: skip
    shared, ids = names
    places: dict[Row, list[int]] = {}
    for number, row in enumerate(_rows(table, shared)):
        places.setdefault(row, []).append(number)
    people = {value: test(value) for name in ids for value in batch[name].unique().to_pylist()}
    rows = zip(*(batch[name].to_pylist() for name in ids), strict=True)
    for row, values in zip(_rows(batch, shared), rows, strict=True):
        if row in places:
            for number in places[row]:
                told[any(people[value] for value in values)][number] = True
    return any(people.values())


def _rows(table: Any, names: Sequence[str]) -> Iterator[Row]:
    """Values that can be compared: the same number is the same, whatever a column stores it as."""
    if not names:
        return iter(())
    return zip(*(map(_plain, _values(table[name])) for name in names), strict=True)


def _values(column: Any) -> Iterable[Any]:
    # 32 bits of a float are another number than 64 of it: both are compared as 32.
    if pa.types.is_floating(column.type):
        column = pc.cast(column, pa.float32(), safe=False)
    return column.to_pylist()  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, list):
        return tuple(map(_plain, value))
    return value
