"""Which input file becomes which output file, and the notes of what is done: a file is scored once."""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import filelock

from gitml.engines.places import StoragePlace, StoredFile, place_of
from gitml.engines.tables import ENDINGS, format_of
from gitml.errors import LockedError, OutsideError, UsageError
from gitml.jsontext import pretty

_NOTES = "_gitml"
MANIFEST = "_manifest.json"
REJECTED = "_rejected"


@dataclass(frozen=True)
class Scored:
    """The note of one file: ``size`` and ``modified`` of the input as it was, ``unknown`` words by column.

    ``rejected``: rows that were left out, and lie in the file of that name below ``REJECTED``.
    """

    input: str
    size: int
    modified: int
    output: str
    rows: int
    unknown: Mapping[str, int]
    rejected: int = 0


@dataclass(frozen=True)
class Inputs:
    """``files`` by their path below ``base``; ``left_out`` have an ending that is no table's."""

    base: StoragePlace
    files: tuple[StoredFile, ...]
    left_out: tuple[str, ...] = ()


def inputs_at(text: str) -> Inputs:
    """A file, or all tables below a folder. Raises UsageError when there is none."""
    place = place_of(text)
    entry = place.entry()
    if entry is not None:
        if format_of(entry.name) is None:
            raise UsageError(f"{text} has no ending of a table", "rename it: .parquet, .csv, .csv.gz, .arrow, .arrows")
        return Inputs(place.parent, (entry,))
    if not place.exists():
        raise UsageError(f"{text} is not there", "--input takes a file or a folder, or its URL")
    found = place.files()
    tables = tuple(e for e in found if format_of(e.name))
    if not tables:
        raise UsageError(f"{text} holds no table", "tables end with .parquet, .csv, .csv.gz, .arrow or .arrows")
    return Inputs(place, tables, tuple(e.name for e in found if not format_of(e.name)))


def targets(files: Sequence[StoredFile], kind: str) -> dict[str, str]:
    """Input → output, below their folders. Raises UsageError when two inputs would become one output."""
    ending = ENDINGS[kind]
    found: dict[str, str] = {}
    taken: dict[str, str] = {}
    for name, *_ in files:
        target = name if name.endswith(ending) else name + ending
        if target in taken:
            raise UsageError(f"{taken[target]} and {name} would both become {target}", "score them apart")
        taken[target], found[name] = name, target
    return found


class Notes:
    """What is done in the output folder ``place``; one process at a time on a local disk."""

    def __init__(self, place: StoragePlace) -> None:
        self.place = place
        self._folder = place / _NOTES

    @contextmanager
    def held(self) -> Iterator[None]:
        """Raises LockedError when another process scores into the folder, OutsideError when it cannot be written."""
        if self._folder.local is None:
            yield
            return
        try:
            self._folder.local.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self._folder.local / "lock", blocking=False)
            lock.acquire()
        except filelock.Timeout:
            raise LockedError(f"another process scores into {self.place.path}", "wait for it to end") from None
        except OSError as exc:
            raise OutsideError(f"{self.place.path} cannot be written: {exc.strerror}") from exc
        with lock:
            yield

    def bind(self, run: Mapping[str, Any]) -> None:
        """Raise UsageError when the folder holds something else than scores of this model with these options."""
        place = self._folder / "run.json"
        if not place.exists():
            if self.place.is_folder() and self.place.files():
                raise UsageError(f"{self.place.path} holds files already", "name a new folder with --output")
            _write(place, run)
            return
        before = _read(place)
        if before != run and not self._begun():
            _write(place, run)
            return
        for key in {**before, **run}:
            if before.get(key) != run.get(key):
                raise UsageError(
                    f"{self.place.path} holds scores with {key} {before.get(key)}, asked for is {run.get(key)}",
                    "name another folder with --output",
                )

    def _begun(self) -> bool:
        """Whether some file is scored: a call that failed before leaves nothing that another one could mix with."""
        return bool(self.place.files()) or (self._folder / "files").is_folder()

    def done(self, entry: StoredFile, target: str) -> Scored | None:
        """The note of the file if it is scored, and is still what it was then."""
        place = self._note(entry.name)
        if not place.exists():
            return None
        try:
            note = Scored(**_read(place))
        except (TypeError, ValueError):
            return None
        same = (note.input, note.size, note.modified, note.output) == (*entry, target)
        return note if same and (self.place / target).exists() else None

    def clear(self, name: str, target: str) -> None:
        """Before a file is scored: no list of all, no note, and nothing of a process that was killed at it."""
        whole = self.place / MANIFEST
        if whole.exists():
            whole.delete()
        place = self._note(name)
        if place.exists():
            place.delete()
        rejects = self.place / REJECTED / target
        if rejects.exists():
            rejects.delete()
        for output in (self.place / target, rejects):
            name = f".{glob.escape(output.name)}.*.tmp"
            for half in output.local.parent.glob(name) if output.local else ():
                half.unlink(missing_ok=True)

    def add(self, note: Scored) -> None:
        _write(self._note(note.input), asdict(note))

    def finish(self, run: Mapping[str, Any], notes: Sequence[Scored]) -> None:
        """The list of all files, written when all are there. What workers left that were killed at one goes."""
        self._sweep({note.output for note in notes})
        files = [asdict(note) for note in sorted(notes, key=lambda n: n.input)]
        counts = {"rows": sum(n.rows for n in notes), "rejected": sum(n.rejected for n in notes)}
        _write(self.place / MANIFEST, {**run, **counts, "files": files})

    def _sweep(self, outputs: set[str]) -> None:
        for place in (self.place, self.place / REJECTED):
            if place.local is None:
                continue
            for folder in {(place.local / name).parent for name in outputs}:
                for half in folder.glob(".*.tmp"):
                    whole = half.name[1:].rpartition(".tmp")[0].rpartition(".")[0]
                    if (folder / whole).relative_to(place.local).as_posix() in outputs:
                        half.unlink(missing_ok=True)

    def _note(self, name: str) -> StoragePlace:
        return (
            self._folder / "files" / f"{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}.json"
        )


def _write(place: StoragePlace, value: Mapping[str, Any]) -> None:
    raw = pretty(value).encode()
    try:
        place.write(lambda stream: stream.write(raw))
    except OSError as exc:
        raise OutsideError(f"{place.path} cannot be written: {exc}", "make room, and call it again") from exc


def _read(place: StoragePlace) -> dict[str, Any]:
    found = json.loads(place.read_bytes())
    if not isinstance(found, dict):
        raise ValueError(f"{place.path} is no note of gitml")
    return found


def refuse_overlap(inputs: Inputs, output: StoragePlace) -> None:
    """Scores inside the input would be input the next time."""
    if inputs.base.local is None or output.local is None:
        return
    inside, outside = Path(output.local).resolve(), Path(inputs.base.local).resolve()
    single = len(inputs.files) == 1 and inside != outside
    if inside == outside or (inside.is_relative_to(outside) and not single):
        raise UsageError(f"--output {inside} lies in --input", "name a folder beside it")
