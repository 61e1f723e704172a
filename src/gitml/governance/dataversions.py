"""Versions of the data that hold people: which there are, which files they are made of, and the index of each file."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from gitml.dvc.lockentries import Content
from gitml.dvc.objects import OID, Store
from gitml.dvc.repository import Dvc
from gitml.dvc.safety import check_listing
from gitml.errors import GitmlError, InconclusiveError, OutsideError, SpecError
from gitml.git.repository import FOLDER
from gitml.git.tree import Tree
from gitml.governance.subjectids import KeyRing, SoughtPerson, SubjectKey, columns_digest
from gitml.governance.subjectindex import columns_in, ids_in, opened_index, write_index
from gitml.registry.record import Record
from gitml.registry.store import record_in, versions
from gitml.spec.dvcfiles import LOCK_FILE
from gitml.spec.subjects import Subjects
from gitml.spec.yamlfile import parse


@dataclass(frozen=True, order=True)
class DataVersion:
    """One state of a declared data set. ``digest`` as DVC has it, ``md5:…``."""

    path: str
    digest: str

    @property
    def oid(self) -> str:
        return self.digest.partition(":")[2]


@dataclass(frozen=True, order=True)
class DataFile:
    """A file of a version: its path, the object that has its bytes, and the columns that may hold ids."""

    path: str
    oid: str
    columns: tuple[str, ...] = ()


def records_on(tree: Tree) -> Iterator[Record]:
    """Of every model, oldest first."""
    for model in (entry.name for entry in tree.entries("models") if entry.mode == FOLDER):
        for version in versions(tree, model):
            yield record_in(tree, model, version)


def data_of(record: Record, subjects: Subjects) -> tuple[DataVersion, ...]:
    """The declared data that a version was made of, sorted. A file inside of a declared folder counts too."""
    contents = [c for entry in record.entries().values() for c in (*entry.deps, *entry.outs)]
    return tuple(sorted({DataVersion(c.path, c.digest) for c in contents if _holds_declared(c.path, subjects)}))


def _holds_declared(path: str, subjects: Subjects) -> bool:
    return declared(path, subjects) is not None or any(name.startswith(f"{path}/") for name in subjects.data)


def declared(path: str, subjects: Subjects) -> str | None:
    """The data set of gitml.yaml that ``path`` is, or lies in."""
    places = (str(place) for place in (PurePosixPath(path), *PurePosixPath(path).parents))
    return next((place for place in places if place in subjects.data), None)


def current_data(tree: Tree, subjects: Subjects) -> tuple[DataVersion, ...]:
    """What dvc.lock and .dvc files have now, sorted."""
    found = {DataVersion(c.path, c.digest) for c in contents_now(tree) if _holds_declared(c.path, subjects)}
    return tuple(sorted(found))


def contents_now(tree: Tree) -> Iterator[Content]:
    """What each dvc.lock and .dvc file of the tree names."""
    for entry in tree.walk():
        name = entry.path.rpartition("/")[2]
        if entry.is_file and (name == LOCK_FILE or name.endswith(".dvc")) and not entry.path.startswith("."):
            try:
                data = parse(tree.read(entry.path) or b"", entry.path, empty=True).data
            except SpecError:
                continue
            folder = entry.path.rpartition("/")[0]
            for item in _outs(data if isinstance(data, dict) else {}):
                path = str(item.get("path") or "")
                place = f"{folder}/{path}" if folder else path
                yield Content(place, f"md5:{item.get('md5')}")


def _outs(data: dict[str, object]) -> Iterator[dict[str, object]]:
    """Of a .dvc file, and of a dvc.lock: a stage's inputs too, since a stage may read what another folder makes."""
    stages = data.get("stages")
    groups = [data, *(stages.values() if isinstance(stages, dict) else ())]
    for group in (group for group in groups if isinstance(group, dict)):
        for kind in ("outs", "deps"):
            items = group.get(kind)
            yield from (i for i in (items if isinstance(items, list) else ()) if isinstance(i, dict) and i.get("md5"))


@dataclass(frozen=True)
class Looked:
    """What became of looking for one person in a version. ``unknown``: why a file could not be looked into."""

    data: DataVersion
    files: tuple[DataFile, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass
class SubjectData:
    """Data of people in a repository of DVC, with the indexes beside it. ``erased``: objects that requests for erasure
    ended; where nobody has one any more, nobody is in it. ``remotes``: whether they are asked."""

    dvc: Dvc
    subjects: Subjects
    ring: KeyRing
    erased: frozenset[str] = frozenset()
    remotes: bool = True
    _looked: dict[tuple[str, str, SoughtPerson], bool | str] = field(default_factory=dict)

    @cached_property
    def stores(self) -> tuple[Store, ...]:
        """The cache, then the remotes, the default one first."""
        names = self.dvc.remote_names() if self.remotes else ()
        return (self.dvc.store(), *(self.dvc.store(name) for name in names))

    def files(self, data: DataVersion) -> tuple[DataFile, ...]:
        """The declared ones. Raises InconclusiveError where the list of a folder is to be had nowhere, or DVC has no
        digest for it."""
        if not OID.fullmatch(data.oid):
            raise InconclusiveError(f"{data.path} has no digest of DVC ({data.digest[:40]})", "`dvc add` it, or import")
        if not data.oid.endswith(".dir"):
            return self._declared([(data.path, data.oid)])
        listed = json.loads(self.listing(data))
        return self._declared([(f"{data.path}/{one['relpath']}", one["md5"]) for one in listed])

    def listing(self, data: DataVersion) -> bytes:
        """Which files a folder has, as DVC writes it."""
        raw = self._first(lambda store: store.read(data.oid))
        if raw is None:
            raise InconclusiveError(f"the listing of {data.path} ({data.oid}) is neither here nor on a remote")
        check_listing(raw, data.path)
        return raw

    def size(self, file: DataFile) -> int:
        """Bytes of a file."""
        with self.opened(file) as path:
            return path.stat().st_size

    def _declared(self, files: Iterable[tuple[str, str]]) -> tuple[DataFile, ...]:
        named = ((path, oid, declared(path, self.subjects)) for path, oid in files)
        return tuple(DataFile(path, oid, self.subjects.data[name]) for path, oid, name in named if name)

    def _first(self, ask: Callable[[Store], bytes | None]) -> bytes | None:
        failed: OutsideError | None = None
        for store in self.stores:
            try:
                found = ask(store)
            except OutsideError as exc:
                failed = exc
                continue
            if found is not None:
                return found
        if failed:
            raise failed
        return None

    @contextmanager
    def opened(self, file: DataFile) -> Iterator[Path]:
        """The bytes of a file, under a name with its own ending. Raises InconclusiveError where nobody has them."""
        with tempfile.TemporaryDirectory(prefix="gitml-data-", dir=self._scratch()) as folder:
            target = Path(folder, f"it{_ending(file.path)}")
            if not self._fetched(file, target):
                raise InconclusiveError(
                    f"{file.path} ({file.oid}) is neither in DVC's cache nor on a remote",
                    "fetch it from whoever has it, and push it",
                )
            yield target

    def _fetched(self, file: DataFile, target: Path) -> bool:
        failed: OutsideError | None = None
        for store in self.stores:
            try:
                if store.fetch(file.oid, target):
                    return True
            except OutsideError as exc:
                failed = exc
        if failed:
            raise failed
        return False

    def _scratch(self) -> Path:
        folder = self.dvc.root / ".dvc" / "tmp" / "gitml"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def name(self, file: DataFile, key: SubjectKey) -> str:
        """Of the index of a file, beside the objects."""
        return f"{file.oid}-{columns_digest(file.columns, self.subjects.form)}-{key.name}"

    def index(self, data: Iterable[DataVersion], *, again: bool = False) -> tuple[int, tuple[str, ...]]:
        """Make the indexes that are missing under the current key, here and on the default remote.

        Returns how many were made, and why others could not be. ``again``: make all of them anew.
        """
        made, problems, done = 0, list[str](), set[str]()
        for one in data:
            try:
                files = self.files(one)
                self._check_columns(one, files, done, again=again)
            except GitmlError as exc:
                problems.append(exc.message)
                continue
            for file in files:
                name = self.name(file, self.ring.current)
                try:
                    made += name not in done and not self._ended(file) and self._brought(file, name, again=again)
                except GitmlError as exc:
                    problems.append(f"{file.path}: {exc.message}")
                done.add(name)
        return made, tuple(problems)

    def _check_columns(self, data: DataVersion, files: Sequence[DataFile], done: set[str], *, again: bool) -> None:
        """A column that no file has is misspelled: without this nobody would ever be found in it."""
        names = [self.name(file, self.ring.current) for file in files]
        if not again and all(name in done or self._has(name) for name in names):
            return
        seen: set[str] = set()
        files = [file for file in files if not self._ended(file)]
        wanted = {name for file in files for name in file.columns}
        for file in files:
            if seen >= wanted:
                return
            with self.opened(file) as path:
                seen |= set(columns_in(path, file.columns) or ())
        if lacking := sorted(wanted - seen):
            raise InconclusiveError(
                f"{data.path} ({data.oid[:8]}) has no column {lacking[0]!r}", "see subjects.data in gitml.yaml"
            )

    def _ended(self, file: DataFile) -> bool:
        """Whether it went with an erasure. A store that does not answer may have it."""
        return file.oid in self.erased and not self.somewhere(file.oid)

    def somewhere(self, oid: str) -> bool:
        """Whether a store has an object, or cannot be asked."""
        for store in self.stores:
            try:
                if store is not self.stores[0]:
                    store.refuse_unseen()
                if store.has(oid):
                    return True
            except OutsideError:
                return True
        return False

    def _has(self, name: str) -> bool:
        return all(store.beside.has(name) for store in self.stores[:2])

    def _brought(self, file: DataFile, name: str, *, again: bool) -> bool:
        """Whether the index had to be made. What only one of the two places has is copied."""
        places = [store.beside for store in self.stores[:2]]
        there = [] if again else [place for place in places if place.has(name)]
        if len(there) == len(places):
            return False
        with tempfile.TemporaryDirectory(prefix="gitml-index-", dir=self._scratch()) as folder:
            target = Path(folder, "index")
            if not (there and there[0].fetch(name, target)):
                with self.opened(file) as path:
                    write_index(target, ids_in(path, file.columns), self.ring.current, self.subjects.form)
            with opened_index(target, self.ring.current):
                pass
            for place in places:
                if place not in there:
                    place.put(name, target)
        return not there

    def look(self, data: DataVersion, wanted: SoughtPerson) -> Looked:
        """The files of a version that hold the person."""
        try:
            files = self.files(data)
        except GitmlError as exc:
            return Looked(data, unknown=(exc.message,))
        found, unknown = [], []
        for file in files:
            told = self.holds(file, wanted)
            if isinstance(told, str):
                unknown.append(told)
            elif told:
                found.append(file)
        return Looked(data, tuple(found), tuple(unknown))

    def holds(self, file: DataFile, wanted: SoughtPerson) -> bool | str:
        """Whether the person is in a file, or why that is not known."""
        key = (file.oid, columns_digest(file.columns, self.subjects.form), wanted)
        if key not in self._looked:
            self._looked[key] = self._held(file, wanted)
        return self._looked[key]

    def _held(self, file: DataFile, wanted: SoughtPerson) -> bool | str:
        other = None
        for key in self.ring.keys:
            if wanted.token and key.name != wanted.key:
                continue
            try:
                held = self._in_index(file, key, wanted)
            except GitmlError as exc:
                other = exc.message
                continue
            if held is not None:
                return held
        if self._ended(file):
            return False
        names = sorted({name.rpartition("-")[2] for name in self._others(file)} - {k.name for k in self.ring.keys})
        if names:
            return f"{file.path} ({file.oid[:8]}) is indexed with the key {', '.join(names)}, which is not here"
        return other or f"{file.path} ({file.oid[:8]}) has no index: run `gitml subject index`"

    def _others(self, file: DataFile) -> list[str]:
        names = [name for store in self.stores[:2] for name in store.beside.listed()]
        return [name for name in names if name.startswith(f"{file.oid}-")]

    def _in_index(self, file: DataFile, key: SubjectKey, wanted: SoughtPerson) -> bool | None:
        name = self.name(file, key)
        with tempfile.TemporaryDirectory(prefix="gitml-index-", dir=self._scratch()) as folder:
            target = Path(folder, name)
            if not any(store.beside.fetch(name, target) for store in self.stores):
                return None
            with opened_index(target, key) as index:
                return index.holds(wanted)


def _ending(path: str) -> str:
    name = path.rpartition("/")[2].lower()
    return ".csv.gz" if name.endswith(".csv.gz") else PurePosixPath(name).suffix
