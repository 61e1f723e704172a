"""Records as files: ``models/<model>/versions/<time>-<digest8>.json``.

A version's name says its time and digest, so finding one is a directory listing; only what is shown gets parsed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pydantic_core

from gitml import clock
from gitml.errors import Problem, RefError, SpecError
from gitml.files import create_file
from gitml.refs import VERSION
from gitml.registry.record import Record, parse_record

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
    where = "/".join(found.path.parts[-4:])
    try:
        record = parse_record(found.path.read_bytes())
    except OSError as exc:
        raise SpecError([Problem(where, 0, "", f"cannot be read: {exc.strerror}")]) from exc
    except ValueError as exc:
        lines = str(exc).splitlines() or [str(exc)]
        hint = "records are never edited: restore it with `git checkout -- FILE` from the commit that brought it"
        raise SpecError([Problem(where, 0, "", line, hint) for line in lines]) from exc
    if record.version != found.version or record.model != found.path.parent.parent.name:
        raise SpecError([Problem(where, 0, "version", f"is the record of {record.model} {record.version}")])
    return record


def read_json(found: Found) -> dict[str, Any] | None:
    """The record's JSON as it stands, unvalidated, for lists; None if it is none."""
    try:
        with open(f"{found.folder}/{found.version}.json", "rb") as stream:
            # A third of the time of json.loads, and pydantic is there anyway.
            data = pydantic_core.from_json(stream.read(), allow_inf_nan=False)
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def with_digest(root: Path, model: str, digest: str) -> tuple[Found, Record] | None:
    """The record of exactly this lineage. Eight digits find candidates; the whole digest decides."""
    candidates = ((f, read_record(f)) for f in find(root, model) if f.digest8 == digest[:8])
    return next(((found, record) for found, record in candidates if record.digest == digest), None)


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
