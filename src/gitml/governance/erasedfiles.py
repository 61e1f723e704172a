"""Files that versions keep of one person, and what takes their place: rows without theirs, counts without theirs.

A version that runs needs its samples, its reference, and rows that its estimates are made from, so these files are
replaced; what runs nowhere goes as a whole, with ``gitml subject gc``. A file that lies in Git stays there for good.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitml.errors import GitmlError, InconclusiveError
from gitml.git.tree import Tree
from gitml.governance.dataversions import SubjectData, records_on
from gitml.governance.erasedcounts import reference_without, tells_of_single_rows
from gitml.governance.samplerows import only_lacks_rows, without_subject
from gitml.governance.subjectids import SoughtPerson
from gitml.monitoring.reference import lacks_counts_alone
from gitml.registry.erasures import Erasure
from gitml.registry.record import Record
from gitml.registry.replacements import OF_COUNTS, REPLACEABLE, ReplacedFile, role_of, with_replaced
from gitml.registry.resolve import deployed

MOST_BYTES = 64_000_000


@dataclass(frozen=True)
class ReplacedFiles:
    """``files`` took the place of others. ``stays``: why a version that runs keeps one; ``in_git``: files with rows or
    values of people that the history of Git has."""

    files: tuple[ReplacedFile, ...] = ()
    stays: tuple[str, ...] = ()
    in_git: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReplacementOrder:
    """``signed``: what all requests replaced so far, oldest first; ``others``: what each of the other requests did.
    ``original``: the files that a record came with."""

    tree: Tree
    data: SubjectData
    erasure: Erasure
    signed: Sequence[ReplacedFile]
    others: Sequence[tuple[Erasure, Sequence[ReplacedFile]]]
    original: Callable[[Record], Tree]


def replace_files(order: ReplacementOrder, before: Sequence[ReplacedFile] = ()) -> ReplacedFiles:
    """New files in the cache and on the default remote. ``before``: what an earlier call replaced for this request: it
    is told again."""
    tree, erasure = order.tree, order.erasure
    found, stays, in_git = [*before], list[str](), list[str]()
    for record in records_on(tree):
        if not erasure.held_by(c.digest for e in record.entries().values() for c in (*e.deps, *e.outs)):
            continue
        runs = any(place.version == record.version for place in deployed(tree, record.model))
        for role in REPLACEABLE:
            path = record.roles.get(role, "")
            if role_of(record, path) != role:
                continue
            if path not in record.contents():
                in_git += [f"{path} of {record.reference}"] if _tells(order, record, role) else []
            elif runs:
                try:
                    found += _replaced(order, record, role, found)
                except GitmlError as exc:
                    stays.append(f"{path} of {record.reference} stays while it runs: {exc.message}")
    return ReplacedFiles(tuple(found), tuple(stays), tuple(in_git))


def may_replace(role: str, old: bytes, new: bytes) -> bool:
    """Whether a file of that role only lacks something of the old one. Raises GitmlError for what cannot be read."""
    return lacks_counts_alone(old, new) if role == OF_COUNTS else only_lacks_rows(old, new)


def _tells(order: ReplacementOrder, record: Record, role: str) -> bool:
    """Whether a file in Git may tell of single people. A reference that was written not to does not."""
    if role != OF_COUNTS:
        return True
    try:
        raw = order.original(record).read(record.roles[role])
    except GitmlError:
        raw = None
    is_that = raw is not None and hashlib.sha256(raw).hexdigest() == record.files[record.roles[role]].sha256
    return raw is None or not is_that or tells_of_single_rows(raw)


def _replaced(
    order: ReplacementOrder, record: Record, role: str, found: Sequence[ReplacedFile]
) -> Iterator[ReplacedFile]:
    path = record.roles[role]
    if role == OF_COUNTS and _is_among(record, path, found):
        return  # counts are subtracted once
    now = with_replaced(record, (*order.signed, *found))
    raw, wanted = _read(order.data, now, path), _person(order.erasure)
    if role == OF_COUNTS:
        # A row may be of two people, and somebody may ask twice.
        done = [_person(e) for e, files in order.others if _is_among(record, path, files)]
        made = reference_without(order.data, now, (wanted, done), raw)
    else:
        made = without_subject(order.data, now, wanted, raw)
    if made is not None:
        if not may_replace(role, raw, made):
            raise InconclusiveError("too little would be left: train again without them, and promote that")
        yield _put(order.data, now, path, made)


def _person(erasure: Erasure) -> SoughtPerson:
    return SoughtPerson(request=erasure.request, token=erasure.subject, key=erasure.key)


def _is_among(record: Record, path: str, files: Sequence[ReplacedFile]) -> bool:
    return any((one.model, one.version, one.path) == (record.model, record.version, path) for one in files)


def _read(data: SubjectData, record: Record, path: str) -> bytes:
    content = record.contents()[path]
    if record.files[path].size > MOST_BYTES:
        raise InconclusiveError(f"it has {record.files[path].size:,} bytes, more than are looked through")
    raw = next((got for store in data.stores if (got := store.read(content.digest[4:])) is not None), None)
    if raw is None or hashlib.sha256(raw).hexdigest() != record.files[path].sha256:
        raise InconclusiveError(f"it is not to be had as it was recorded ({content.digest})")
    return raw


def _put(data: SubjectData, record: Record, path: str, content: bytes) -> ReplacedFile:
    oid = hashlib.md5(content, usedforsecurity=False).hexdigest()
    with tempfile.TemporaryDirectory(prefix="gitml-replaced-") as folder:
        file = Path(folder, "file")
        file.write_bytes(content)
        for store in data.stores[:2]:
            if not store.has(oid):
                store.put(oid, file)
    return ReplacedFile(
        model=record.model, version=record.version, path=path, old=record.files[path].sha256,
        new=hashlib.sha256(content).hexdigest(), dvc=f"md5:{oid}", size=len(content),
    )  # fmt: skip
