"""Records as files: ``models/<model>/versions/<time>-<digest8>.json``.

A version's name says its time and digest, so finding one is a directory listing; only what is shown gets parsed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pydantic_core

from gitml import clock
from gitml.dvc.lockentries import Entry
from gitml.errors import IntegrityError, Problem, RefError, SpecError
from gitml.files import create_file
from gitml.git.tree import Tree
from gitml.refs import VERSION
from gitml.registry.record import Record, parse_record
from gitml.spec.deployment import Pin

TIME = "%Y-%m-%dT%H:%M:%SZ"


class Found(NamedTuple):
    """A record's file, known by its name alone. Sorts by time. Light, because lists make thousands of them."""

    version: str
    folder: str

    @property
    def path(self) -> Path:
        return Path(self.folder, f"{self.version}.json")

    @property
    def digest8(self) -> str:
        return self.version.rpartition("-")[2]

    @property
    def time(self) -> str:
        """``2026-11-24T21:15:00Z``."""
        t = self.version
        return f"{t[:4]}-{t[4:6]}-{t[6:8]}T{t[9:11]}:{t[11:13]}:{t[13:15]}Z"


def folder(root: Path, model: str) -> Path:
    return root / "models" / model / "versions"


def record_path(model: str, version: str) -> str:
    """Where the record lies, from the folder of gitml.yaml."""
    return f"models/{model}/versions/{version}.json"


def versions(tree: Tree, model: str) -> tuple[str, ...]:
    """Names of the model's versions in ``tree``, oldest first."""
    found = tree.entries(f"models/{model}/versions")
    stems = (e.name.removesuffix(".json") for e in found if e.is_file and e.name.endswith(".json"))
    return tuple(stem for stem in stems if VERSION.fullmatch(stem))


def record_in(tree: Tree, model: str, version: str) -> Record:
    """Raises SpecError when ``tree`` lacks it, or has something else under its name."""
    path = record_path(model, version)
    raw = tree.read(path)
    if raw is None:
        raise SpecError([Problem(path, 0, "", "is not there", f"see the versions of {model} with `gitml models`")])
    return _checked(raw, model, version)


def pinned(tree: Tree, model: str, pin: Pin) -> Record:
    """The record that ``pin`` names.

    Raises RefError when there is none, SpecError when it does not hold together, IntegrityError for another artifact.
    """
    if tree.entry(record_path(model, pin.version)) is None:
        raise RefError(f"{model} has no version {pin.version}, which is pinned", "its record is to be committed first")
    record = record_in(tree, model, pin.version)
    found = record.files[record.artifact].sha256
    if found != pin.digest:
        raise IntegrityError(
            f"{pin.version} of {model} is pinned with the artifact {pin.digest[:12]}, its record says {found[:12]}",
            "one of the two was edited: look at their history",
        )
    return record


def _checked(raw: bytes, model: str, version: str) -> Record:
    """The record, if it holds together and is the one that its name says."""
    where = record_path(model, version)
    try:
        record = parse_record(raw)
    except ValueError as exc:
        lines = str(exc).splitlines() or [str(exc)]
        hint = "records are never edited: restore it with `git checkout -- FILE` from the commit that brought it"
        raise SpecError([Problem(where, 0, "", line, hint) for line in lines]) from exc
    if (record.model, record.version) != (model, version):
        raise SpecError([Problem(where, 0, "version", f"is the record of {record.model} {record.version}")])
    return record


def find(root: Path, model: str) -> list[Found]:
    """All records of the model, oldest first, unread. Files with other names are for ``check_records``."""
    try:
        with os.scandir(folder(root, model)) as entries:
            names = [entry.name for entry in entries if entry.is_file()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    stems = (name[:-5] for name in names if name.endswith(".json"))
    base = str(folder(root, model))
    return sorted(Found(stem, base) for stem in stems if VERSION.fullmatch(stem))


def next_time(root: Path, model: str) -> str:
    """Now, in UTC to the second; but after the newest record, so that a clock set back does not hide a new version."""
    now = clock.now()
    records = find(root, model)
    if records:
        newest = datetime.strptime(records[-1].time, TIME).replace(tzinfo=UTC)
        now = max(now, newest + timedelta(seconds=1))
    return f"{now:{TIME}}"


def read_record(found: Found) -> Record:
    """Raises SpecError when the file is not the record that its name says."""
    model = found.path.parent.parent.name
    try:
        raw = found.path.read_bytes()
    except OSError as exc:
        where = record_path(model, found.version)
        raise SpecError([Problem(where, 0, "", f"cannot be read: {exc.strerror}")]) from exc
    return _checked(raw, model, found.version)


def read_json(found: Found) -> dict[str, Any] | None:
    """The record's JSON as it stands, unvalidated, for lists; None if it is none."""
    try:
        with open(f"{found.folder}/{found.version}.json", "rb") as stream:
            # A third of the time of json.loads, and pydantic is there anyway.
            data = pydantic_core.from_json(stream.read(), allow_inf_nan=False)
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def with_digest(
    root: Path, model: str, digest: str, stages: Mapping[str, Entry] | None = None
) -> tuple[Found, Record] | None:
    """The record of exactly this lineage. Eight digits find candidates; the whole digest decides.

    Two branches that trained one lineage leave two records: the one whose artifact ``stages`` gave goes first.
    """
    candidates = [(f, read_record(f)) for f in find(root, model) if f.digest8 == digest[:8]]
    found = [(f, record) for f, record in candidates if record.digest == digest]
    made = {out for entry in (stages or {}).values() for out in _named(entry)}
    return next((f for f in found if _artifact(f[1]) in made), found[0] if found else None)


def _named(entry: Entry) -> Iterator[tuple[str, str]]:
    return ((out.path, out.digest) for out in entry.outs)


def _artifact(record: Record) -> tuple[str, str] | None:
    content = record.contents().get(record.artifact)
    return (content.path, content.digest) if content else None


def write_record(root: Path, record: Record) -> Path:
    """Write the record once. It appears whole or not at all; one that is there is never replaced."""
    refuse_file_in_the_way(root, record.model)
    target = folder(root, record.model) / f"{record.version}.json"
    try:
        create_file(target, record.to_json().encode())
    except FileExistsError as exc:
        raise RefError(f"{target.name} exists already", "a version's record is written once") from exc
    return target


def refuse_file_in_the_way(root: Path, model: str) -> None:
    """Raise SpecError when a file lies where the folder of the model's records belongs."""
    for place in (folder(root, model), folder(root, model).parent, root / "models"):
        if os.path.lexists(place) and not place.is_dir():
            where = place.relative_to(root).as_posix()
            raise SpecError(
                [Problem(where, 0, "", "is a file, the version records need a folder here", "move it away")]
            )


def check_records(root: Path, models: Sequence[str]) -> list[Problem]:
    """Everything wrong with the records of these models, for ``gitml check``."""
    problems: list[Problem] = []
    for model in models:
        try:
            refuse_file_in_the_way(root, model)
        except SpecError as exc:
            problems += exc.problems
            continue
        known = {f.path for f in find(root, model)}
        base = folder(root, model)
        for path in sorted(base.iterdir()) if base.is_dir() else ():
            if path not in known and not path.name.startswith("."):
                where = path.relative_to(root).as_posix()
                problems.append(Problem(where, 0, "", "is not named like a record", "expected <time>-<digest8>.json"))
        for found in find(root, model):
            try:
                read_record(found)
            except SpecError as exc:
                problems += exc.problems
    return problems
