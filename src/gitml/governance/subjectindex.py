"""Who is in a file: the entries of its ids, sorted, in a file of their own.

Memory is bounded whatever the number of ids: entries are spread over 256 parts by their first byte, which for an HMAC
are of the same size, and each part is sorted alone. Layout: a line of JSON, the entries of 16 bytes, a seal of 32 bytes
(HMAC-SHA-256 of all before it), so that an index that was swapped or cut off is not believed.
"""

from __future__ import annotations

import json
import mmap
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gitml.engines.places import place_of
from gitml.engines.tables import format_of, open_table, schema_of
from gitml.errors import IntegrityError, UsageError
from gitml.governance.subjectids import ENTRY, SoughtPerson, SubjectKey, entry_of
from gitml.jsontext import canonical
from gitml.spec.subjects import IdForm

_SPILL = 16 << 20  # bytes of entries in memory
_ROWS = 65_536
_SEAL = 32
_BLOCK = 1 << 20
_HEAD = 4096


def columns_in(path: Path, columns: Iterable[str]) -> tuple[str, ...] | None:
    """Those of ``columns`` that the table has; None where the file is no table."""
    kind = format_of(path.name)
    if kind is None:
        return None
    names = schema_of(place_of(path), kind, {}).names
    return tuple(name for name in columns if name in names)


@contextmanager
def opened_people(path: Path, columns: Iterable[str]) -> Iterator[Iterator[pa.RecordBatch]]:
    """The batches of a table in which these columns may hold ids. Raises UsageError for what is no table."""
    kind = format_of(path.name)
    if kind is None:
        raise UsageError(f"{path.name} is not a table that can be read", "see the formats that `gitml score` reads")
    # A number in text keeps its leading zeros, and all of its digits.
    with open_table(place_of(path), kind, _ROWS, dict.fromkeys(columns, pa.string())) as batches:
        yield batches


def ids_in(path: Path, columns: Iterable[str]) -> Iterator[Any]:
    """Values of the columns, batch by batch each value once. Raises UsageError for what cannot be read as a table."""
    names = list(columns)
    with opened_people(path, names) as batches:
        for batch in batches:
            for name in (name for name in names if name in batch.schema.names):
                yield from plain_ids(batch, name).unique().to_pylist()


def plain_ids(batch: pa.RecordBatch, name: str) -> pa.Array:
    """A column of ids without its dictionary, as pandas writes categories. Raises UsageError for lists and structs."""
    column = batch[name]
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_nested(column.type):
        raise UsageError(f"the column {name} holds {column.type}", "ids are words, numbers or dates")
    return column


def write_index(target: Path, ids: Iterable[Any], key: SubjectKey, form: Iterable[IdForm]) -> int:
    """Write the index of ``ids``; how many different ones there are."""
    wanted, count, held, parts = tuple(form), 0, 0, [bytearray() for _ in range(256)]
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".subjects-") as folder:
        for value in ids:
            entry = entry_of(key, value, wanted)
            if entry is None:
                continue
            parts[entry[0]] += entry
            held += ENTRY
            if held >= _SPILL:
                _spill(Path(folder), parts)
                held = 0
        body = Path(folder, "body")
        with body.open("wb") as stream:
            for number, part in enumerate(parts):
                entries = _sorted(Path(folder, f"{number:02x}"), part)
                stream.write(entries)
                count += len(entries) // ENTRY
        _seal(target, body, key, count)
    return count


def _spill(folder: Path, parts: list[bytearray]) -> None:
    for number, part in enumerate(parts):
        if part:
            with (folder / f"{number:02x}").open("ab") as stream:
                stream.write(part)
            part.clear()


def _sorted(spilled: Path, part: bytearray) -> bytes:
    """Different entries of one part. As texts of 16 bytes they compare like bytes."""
    raw = (spilled.read_bytes() if spilled.exists() else b"") + bytes(part)
    return bytes(np.unique(np.frombuffer(raw, dtype=f"S{ENTRY}")).tobytes())


def _seal(target: Path, body: Path, key: SubjectKey, count: int) -> None:
    seal = key.seal()
    head = canonical({"format": "gitml subjects 1", "key": key.name, "ids": count}) + b"\n"
    hidden = target.with_name(f".{target.name}.tmp")
    try:
        with body.open("rb") as source, hidden.open("wb") as stream:
            for block in (head, *iter(lambda: source.read(_BLOCK), b"")):
                seal.update(block)
                stream.write(block)
            stream.write(seal.digest())
        hidden.replace(target)
    finally:
        hidden.unlink(missing_ok=True)


@dataclass(frozen=True)
class SubjectIndex:
    """An open index whose seal was checked. ``ids``: how many people it knows."""

    key: SubjectKey
    ids: int
    _raw: Any
    _first: int

    def _entry(self, number: int) -> bytes:
        start = self._first + number * ENTRY
        return bytes(self._raw[start : start + ENTRY])

    def holds(self, wanted: SoughtPerson) -> bool:
        """By an id a search in the order of entries; by the token of a request each of them is tried."""
        if wanted.token:
            return any(wanted.is_entry(self.key, self._entry(number)) for number in range(self.ids))
        entry = wanted.entries.get(self.key.name)
        if entry is None:
            return False
        low, high = 0, self.ids
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._entry(middle) < entry else (low, middle)
        return low < self.ids and self._entry(low) == entry


@contextmanager
def opened_index(path: Path, key: SubjectKey) -> Iterator[SubjectIndex]:
    """Raises IntegrityError for an index that is not whole, or that another key made."""
    with path.open("rb") as stream:
        head = stream.readline(_HEAD)
        told = _told(head)
        size = path.stat().st_size
        if told.get("key") != key.name or size != len(head) + told["ids"] * ENTRY + _SEAL:
            raise _damaged(path)
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as raw:
            seal = key.seal()
            for start in range(0, size - _SEAL, _BLOCK):
                seal.update(raw[start : min(start + _BLOCK, size - _SEAL)])
            if seal.digest() != raw[size - _SEAL :]:
                raise _damaged(path)
            yield SubjectIndex(key, told["ids"], raw, len(head))


def _told(head: bytes) -> Mapping[str, Any]:
    try:
        told = json.loads(head)
        if told["format"] == "gitml subjects 1" and isinstance(told["ids"], int) and told["ids"] >= 0:
            return dict(told)
    except (ValueError, TypeError, KeyError):
        pass
    return {"ids": 0}


def _damaged(path: Path) -> IntegrityError:
    return IntegrityError(
        f"the index {path.name} is damaged, or was made with another key of that name",
        "it was not used; `gitml subject index --again` makes it anew from the data",
    )
