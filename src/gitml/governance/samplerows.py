"""Rows that a version which runs keeps, without those of one person: samples, rows of the reference, evaluated ones.

A server compares its answers with sample rows at each start, and estimates need evaluated ones, so they cannot simply
go. What is left are rows of the same file with their recorded answers: whoever signs can see that nothing was put in,
and the model is held against them as before. A row stays only if it is shown to be of somebody else: by an id in the
file itself, or because the data that the version was made of have a row with these inputs, and none of the person's,
or so many of others that it points to nobody.
"""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet

from gitml.errors import GitmlError, InconclusiveError, IntegrityError
from gitml.governance.dataversions import DataFile, SubjectData, data_of
from gitml.governance.subjectfind import SubjectTest
from gitml.governance.subjectids import SoughtPerson
from gitml.governance.subjectindex import opened_people, plain_ids
from gitml.monitoring.evaluated import INPUT, LABEL, OUTPUT, TIME
from gitml.registry.record import Record
from gitml.sketches.coarse import FEW

Row = tuple[Any, ...]


def without_subject(data: SubjectData, record: Record, wanted: SoughtPerson, raw: bytes) -> bytes | None:
    """None where no row is, or may be, of the person. ``raw`` is the file of rows as it is now.

    Raises InconclusiveError where it cannot be told of any row that it is of somebody else.
    """
    table = _table(raw)
    kept = _kept(data, record, wanted, table)
    if all(kept):
        return None
    if not any(kept):
        raise InconclusiveError(
            f"of no row of {record.reference} it is known that it is somebody else's",
            "promote a version that was trained without them: these rows go with the old one",
        )
    stream = io.BytesIO()
    parquet.write_table(table.filter(pa.array(kept)).replace_schema_metadata(None), stream)
    return stream.getvalue()


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
    try:
        return parquet.read_table(io.BytesIO(raw))
    except (OSError, ValueError) as exc:
        raise IntegrityError(f"the rows are not Parquet: {str(exc).splitlines()[0][:200]}") from exc


def _kept(data: SubjectData, record: Record, wanted: SoughtPerson, table: pa.Table) -> list[bool]:
    test = SubjectTest(data.subjects, data.ring, wanted)
    ids = _id_columns(data) & {*table.column_names}
    if ids:
        return [
            not any(test(value) for value in row)
            for row in zip(*(table[n].to_pylist() for n in sorted(ids)), strict=True)
        ]
    table = _as_the_data_call_them(table)
    told = [_Told() for _ in range(table.num_rows)]
    inputs = {str(field["name"]) for field in (record.signature or {}).get("inputs", ())}
    met = [_compare(data, file, test, (table, inputs), told) for file in _files(data, record)]
    if not any(met):
        raise InconclusiveError(
            f"no data of {record.reference} that are still here have both the inputs and the person",
            "let the job run before `gitml subject gc`: afterwards nobody can tell whose they are",
        )
    return [one.stays for one in told]


def _as_the_data_call_them(table: pa.Table) -> pa.Table:
    """Columns of evaluated rows by their own names; an input goes before an output that is called the same."""
    names = table.column_names
    if LABEL not in names or not all(n in (LABEL, TIME) or n.startswith((INPUT, OUTPUT)) for n in names):
        return table
    found: dict[str, Any] = {}
    for name, column in zip(names, table.columns, strict=True):
        found.setdefault(name.removeprefix(INPUT).removeprefix(OUTPUT), column)
    return pa.table(found)


@dataclass
class _Told:
    """What data say of a row: that somebody else has it, that the person has it; ``alike``: how many rows of others in
    one file have all of its inputs."""

    others: bool = False
    mine: bool = False
    alike: int = 0

    @property
    def stays(self) -> bool:
        return self.others and (not self.mine or self.alike >= FEW)


def _id_columns(data: SubjectData) -> set[str]:
    return {name for names in data.subjects.data.values() for name in names} | {*data.subjects.traffic.features}


def _files(data: SubjectData, record: Record) -> Iterator[DataFile]:
    for one in data_of(record, data.subjects):
        try:
            yield from data.files(one)
        except GitmlError:
            continue  # what is gone shows of nobody that a row is theirs


def _compare(
    data: SubjectData, file: DataFile, test: SubjectTest, rows: tuple[pa.Table, set[str]], told: Sequence[_Told]
) -> bool:
    """Look for the rows in one file, by what it shares with them; whether the person is in it."""
    table, inputs = rows
    met, places, alike = False, dict[tuple[str, ...], dict[Row, list[int]]](), Counter[int]()
    try:
        with data.opened(file) as path, opened_people(path, file.columns) as batches:
            for batch in batches:
                shared = tuple(name for name in table.column_names if name in batch.schema.names)
                ids = [name for name in file.columns if name in batch.schema.names]
                if shared and ids:
                    if shared not in places:
                        places[shared] = _places(table, shared)
                    whole = bool(inputs) and inputs <= {*shared}
                    met = _mark(batch, (shared, ids), test, places[shared], told, alike if whole else None) or met
    except GitmlError:
        return False
    for number, rows_alike in alike.items():
        told[number].alike = max(told[number].alike, rows_alike)
    return met


def _places(table: pa.Table, names: Sequence[str]) -> dict[Row, list[int]]:
    found: dict[Row, list[int]] = {}
    for number, row in enumerate(_rows(table, names)):
        found.setdefault(row, []).append(number)
    return found


def _mark(
    batch: Any, names: tuple[Sequence[str], Sequence[str]], test: SubjectTest, places: dict[Row, list[int]],
    told: Sequence[_Told], alike: Counter[int] | None,
) -> bool:  # fmt: skip
    shared, ids = names
    columns = [plain_ids(batch, name) for name in ids]
    people = {value: test(value) for column in columns for value in column.unique().to_pylist()}
    rows = zip(*(column.to_pylist() for column in columns), strict=True)
    for row, values in zip(_rows(batch, shared), rows, strict=True):
        is_mine = any(people.get(value, False) for value in values)  # no NaN is the one before, and none is an id
        for number in places.get(row, ()):
            told[number].mine = told[number].mine or is_mine
            told[number].others = told[number].others or not is_mine
            if alike is not None:
                alike[number] += not is_mine
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
    if isinstance(value, dict):
        return tuple((name, _plain(inner)) for name, inner in value.items())
    return value
