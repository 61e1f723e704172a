"""What a request for erasure ends in DVC: objects that hold the person, listed for each store, deleted, and looked for.

On the list are the files of the request in whose index the person is, and what stages made of these data; the indexes
go when no store has any of it. What a version needs that runs somewhere stays, and so does what a version that never
saw the person, or main now, names too. Lists of folders stay: they hold names and digests, and `gitml gc` needs them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gitml.dvc.lockentries import Content, Entry
from gitml.dvc.objects import OID, Store
from gitml.errors import GitmlError
from gitml.git.tree import Tree
from gitml.governance.dataversions import DataFile, DataVersion, SubjectData, contents_now, declared, records_on
from gitml.governance.subjectids import SoughtPerson
from gitml.registry.erasures import Erasure
from gitml.registry.record import Record
from gitml.registry.replacements import ReplacedFile, with_replaced
from gitml.registry.resolve import deployed


@dataclass(frozen=True)
class GoneList:
    """``objects``: name → path, to be deleted wherever they are. ``stays``: what is not on it, and why."""

    objects: Mapping[str, str]
    stays: tuple[str, ...] = ()


@dataclass(frozen=True)
class StoreState:
    """What one store has of the list. ``deleted``: how many went now; ``left``: those that are still there, looked for
    one by one; ``why``: why the store was not reached."""

    store: str
    left: tuple[str, ...] = ()
    deleted: int = 0
    why: str = ""

    @property
    def is_gone(self) -> bool:
        return not self.left and not self.why


def gone_list(tree: Tree, data: SubjectData, erasure: Erasure, replaced: Sequence[ReplacedFile] = ()) -> GoneList:
    """By main and the indexes, so that a request cannot name somebody else's data. ``replaced``: files whose
    place others took, by signed evidence, so that the old ones need not stay."""
    sought = SoughtPerson(request=erasure.request, token=erasure.subject, key=erasure.key)
    stays: list[str] = []
    mine = dict(_verified(data, sought, erasure, stays))
    held = [record for record in records_on(tree) if _saw(record, erasure)]
    others = [record for record in records_on(tree) if not _saw(record, erasure)]
    runs = {(r.model, place.version): place for r in held for place in deployed(tree, r.model)}
    kept = _members(data, [c for r in others for c in r.contents().values()] + [*contents_now(tree)])
    for record in held:
        place = runs.get((record.model, record.version))
        if place:
            own, as_is = {record.artifact, *record.roles.values()}, with_replaced(record, replaced)
            kept |= _members(data, [c for path, c in as_is.contents().items() if path in own])
            but = "" if as_is == record else ", but for rows and counts, of which the person's are gone"
            stays.append(f"{record.reference} runs in {place.environment}: its own files stay until it does not{but}")
    for record in held:
        mine |= {oid: path for oid, path in _derived(data, record, erasure, sought) if oid not in kept}
    now = sorted(mine.keys() & kept)
    stays += [f"{mine[oid]} ({oid[:8]}) is named by main's data now: take the person out of it first" for oid in now]
    mine = {oid: path for oid, path in mine.items() if oid not in kept}
    return GoneList(dict(sorted(mine.items())), tuple(dict.fromkeys(stays)))


def _saw(record: Record, erasure: Erasure) -> bool:
    digests = (c.digest for entry in record.entries().values() for c in (*entry.deps, *entry.outs))
    return erasure.held_by(digests)


def _verified(data: SubjectData, sought: SoughtPerson, erasure: Erasure, stays: list[str]) -> Iterator[tuple[str, str]]:
    """Only what the index says to hold the person: the file of the request is whatever a pull request brought."""
    for oid, path in erasure.objects.items():
        name = declared(path, data.subjects)
        told = data.holds(DataFile(path, oid, data.subjects.data[name]), sought) if name else "is not declared any more"
        if told is True or not data.somewhere(oid):
            yield oid, path
        else:
            why = told if isinstance(told, str) else "no index says that the person is in it"
            stays.append(f"{path} ({oid[:8]}): {why}")


def _derived(data: SubjectData, record: Record, erasure: Erasure, sought: SoughtPerson) -> Iterator[tuple[str, str]]:
    """Files that stages made of data that held the person; of declared data the index knows which these are."""
    for entry in _downstream(record.entries(), set(erasure.data.values())):
        for content in entry.outs:
            known = declared(content.path, data.subjects) is not None
            if known and not data.look(DataVersion(content.path, content.digest), sought).unknown:
                continue
            if content.digest not in erasure.data:
                yield from ((oid, content.path) for oid in _files(data, content))


def _downstream(entries: Mapping[str, Entry], tainted: set[str]) -> Iterator[Entry]:
    reached, left = set(tainted), dict(entries)
    while True:
        names = [n for n, e in left.items() if any(_touches(dep.path, reached) for dep in e.deps)]
        if not names:
            return
        for name in names:
            entry = left.pop(name)
            reached |= {out.path for out in entry.outs}
            yield entry


def _touches(path: str, reached: Iterable[str]) -> bool:
    return any(path == one or path.startswith(f"{one}/") or one.startswith(f"{path}/") for one in reached)


def _files(data: SubjectData, content: Content) -> set[str]:
    """The objects of a content but for a folder's list."""
    oid = content.digest.partition(":")[2]
    if not content.digest.startswith("md5:") or not OID.fullmatch(oid):
        return set()
    if not oid.endswith(".dir"):
        return {oid}
    raw = next((found for store in data.stores if (found := store.read(oid)) is not None), None)
    return {str(one["md5"]) for one in json.loads(raw)} if raw else set()


def _members(data: SubjectData, contents: Iterable[Content]) -> set[str]:
    return {oid for content in set(contents) for oid in _files(data, content)}


def states_of(data: SubjectData, gone: GoneList, *, delete: bool = False) -> tuple[StoreState, ...]:
    """Look for each object in each store, after deleting it where that is asked."""
    states = tuple(_state(data, store, gone, delete=delete) for store in data.stores)
    if delete and all(state.is_gone for state in states):
        _forget_indexes(data, gone)
    return states


def _state(data: SubjectData, store: Store, gone: GoneList, *, delete: bool) -> StoreState:
    try:
        if store is not data.stores[0]:
            store.refuse_unseen()
        there = [oid for oid in gone.objects if store.has(oid)]
        deleted = len([*store.delete(there)]) if delete and there else 0
        left = [oid for oid in gone.objects if store.has(oid)] if deleted else there
        return StoreState(store.name, tuple(left), deleted)
    except GitmlError as exc:
        return StoreState(store.name, why=exc.message)


def _forget_indexes(data: SubjectData, gone: GoneList) -> None:
    """While an object is anywhere, its index is what says that the person is in it."""
    for store in data.stores:
        for name in store.beside.listed():
            if name.partition("-")[0] in gone.objects:
                store.beside.delete(name)


@dataclass(frozen=True)
class ErasedEverywhere:
    """The stores together, with the list that they were held against."""

    gone: GoneList
    states: tuple[StoreState, ...] = field(default=())

    @property
    def is_done(self) -> bool:
        return all(state.is_gone for state in self.states) and not self.gone.stays
