"""Rows of one person taken out of data that `dvc add` brought in: new objects, and the .dvc file that names them.

Rows of others stay as they are: lines of CSV to the byte, values of Parquet and Arrow files in their order. What a
stage makes is made again by the stage.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc

from gitml.engines.places import place_of
from gitml.engines.tables import ENDINGS, format_of, open_table, schema_of, write_table
from gitml.errors import GitmlError, UsageError
from gitml.git.tree import Tree
from gitml.governance.dataversions import DataFile, DataVersion, Looked, SubjectData
from gitml.governance.subjectfind import SubjectTest
from gitml.governance.subjectindex import plain_ids

_ROWS = 65_536


@dataclass(frozen=True)
class RemovedRows:
    """``content`` is what ``file``, a .dvc file, becomes; ``rows`` were taken out of ``data``."""

    data: DataVersion
    rows: int
    file: str
    content: bytes


def remove_rows(tree: Tree, data: SubjectData, looked: Looked, test: SubjectTest) -> RemovedRows | str:
    """New objects in the cache and on the default remote; or why these data cannot be changed here."""
    version = looked.data
    file = f"{version.path}.dvc"
    content = tree.read(file)
    if content is None:
        return f"{version.path} is made by a stage, which makes it again from what it reads"
    if re.search(rb"^(deps|cmd):", content, re.M):
        return f"{version.path} comes from outside: remove the person there, and `dvc update {file}`"
    try:
        changed, rows = {}, 0
        for one in looked.files:
            oid, size, count = _without(data, one, test)
            changed[one] = (oid, size)
            rows += count
        return RemovedRows(version, rows, file, _pointer(data, version, changed, content))
    except (GitmlError, csv.Error, UnicodeError, EOFError) as exc:
        return f"{version.path} cannot be rewritten: {exc.message if isinstance(exc, GitmlError) else exc}"


def _without(data: SubjectData, file: DataFile, test: SubjectTest) -> tuple[str, int, int]:
    """The new object, its bytes, and how many rows it lacks."""
    with data.opened(file) as path, _beside(path) as target:
        kind = format_of(path.name)
        rows = _csv(path, target, file, test) if kind == "csv" else _table(path, target, kind, file, test)
        oid = _md5(target)
        for store in data.stores[:2]:
            if not store.has(oid):
                store.put(oid, target)
        return oid, target.stat().st_size, rows


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gitml-without-", dir=path.parent) as folder:
        yield Path(folder, path.name)


def _table(path: Path, target: Path, kind: str | None, file: DataFile, test: SubjectTest) -> int:
    if kind not in ENDINGS:
        raise UsageError(f"{file.path} is of a kind that is not written here", f"as {', '.join(ENDINGS)} it can be")
    removed = 0

    def kept(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        nonlocal removed
        for batch in batches:
            mine = rows_of_subject(batch, file.columns, test)
            removed += pc.sum(mine).as_py() or 0
            yield batch.filter(pc.invert(mine))

    schema = schema_of(place_of(path), kind, {})
    with open_table(place_of(path), kind, _ROWS, {}) as batches:
        write_table(place_of(target), kind, schema, kept(batches))
    return removed


def rows_of_subject(batch: pa.RecordBatch, columns: Sequence[str], test: SubjectTest) -> Any:
    """A mask of the rows with an id of the person in one of these columns."""
    found = pa.repeat(pa.scalar(value=False), batch.num_rows)
    for name in (name for name in columns if name in batch.schema.names):
        column = plain_ids(batch, name)
        values = column.unique()
        mine = values.filter(pa.array([test(value) for value in values.to_pylist()], pa.bool_()))
        found = pc.or_(found, pc.is_in(column, mine))
    return found


def _csv(path: Path, target: Path, file: DataFile, test: SubjectTest) -> int:
    """Line by line, as they are: another writer would quote and round otherwise."""
    opened: Any = gzip.open if path.name.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8", newline="") as source, _written(target) as copy:
        lines: list[str] = []

        def read() -> Iterator[str]:
            for line in source:
                lines.append(line)
                yield line

        head, places, removed = True, [], 0
        for row in csv.reader(read()):
            raw = "".join(lines)
            lines.clear()
            if head:
                names = [name.lstrip("\ufeff") for name in row]
                places, head = [number for number, name in enumerate(names) if name in file.columns], False
            elif any(number < len(row) and test(row[number]) for number in places):
                removed += 1
                continue
            copy.write(raw.encode())
        return removed


@contextmanager
def _written(target: Path) -> Iterator[IO[bytes]]:
    if not target.name.endswith(".gz"):
        with target.open("wb") as stream:
            yield stream
        return
    # Without a time: the same rows are the same bytes.
    with target.open("wb") as stream, gzip.GzipFile("", "wb", fileobj=stream, mtime=0) as packed:
        yield packed  # type: ignore[misc]


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _pointer(
    data: SubjectData, version: DataVersion, changed: dict[DataFile, tuple[str, int]], content: bytes
) -> bytes:
    """The .dvc file with the new digest; a folder gets a new listing."""
    oid, grown = version.oid, 0
    if not oid.endswith(".dir"):
        ((new, size),) = changed.values()
        return _renamed(version, content, new, size)
    entries = json.loads(data.listing(version))
    by_path = {file.path.removeprefix(f"{version.path}/"): (file, to) for file, to in changed.items()}
    for entry in entries:
        if entry["relpath"] in by_path:
            file, (entry["md5"], size) = by_path[entry["relpath"]]
            grown += size - data.size(file)
    raw = json.dumps(entries, sort_keys=True).encode()
    with tempfile.TemporaryDirectory(prefix="gitml-listing-") as folder:
        listing = Path(folder, "listing")
        listing.write_bytes(raw)
        name = f"{_md5(listing)}.dir"
        for store in data.stores[:2]:
            store.put(name, listing)
    before = re.search(rb"^[ -]*size: (\d+)\s*$", content, re.M)
    return _renamed(version, content, name, int(before[1]) + grown if before else None)


def _renamed(version: DataVersion, content: bytes, oid: str, size: int | None) -> bytes:
    if content.count(version.oid.encode()) != 1:
        raise UsageError(f"{version.path}.dvc has more than one output", "give each data set a .dvc file of its own")
    found = content.replace(version.oid.encode(), oid.encode())
    return found if size is None else re.sub(rb"^([ -]*size: )\d+", rb"\g<1>%d" % size, found, count=1, flags=re.M)
