"""The people that `gitml bias` counts: one answer each, from traffic or a file, joined with their categories."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from gitml.engines.places import place_of
from gitml.engines.tables import format_of, open_table
from gitml.errors import OutsideError, UsageError
from gitml.git.runner import fields
from gitml.monitoring.reference import OUTPUT
from gitml.spec.bias import BiasGroups
from gitml.traffic.reader import Window, requests

_ROWS = 65_536
_ARMS = ("champion", "canary", "asked")
_NEEDED = ("unit", "environment", "arm", "outcome", "version", "arrived")
_HINT = "see `bias` in gitml.yaml"


@dataclass
class AnsweredPeople:
    """By unit the newest answer and its label; None where there is none. ``versions`` gave the answers."""

    answers: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    versions: set[str] = field(default_factory=set)
    nameless: int = 0


def word_of(value: Any) -> str:
    """An id or a category as it is compared: ids of the same letters are the same however Unicode composes them.

    >>> word_of(7.0), word_of(None), word_of(" e\\u0301 ") == word_of("\\u00e9")
    ('7', '', True)
    """
    if value is None or value != value:
        return ""
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return unicodedata.normalize("NFC", text).strip()


def from_traffic(
    place: tuple[str, Path | None], model: str, environment: str, window: Window, output: str
) -> AnsweredPeople:
    """Answers of the window; of a person the one that came last. Shadows answer nobody."""
    found, newest, column = AnsweredPeople(), dict[str, Any](), f"{OUTPUT}{output}"
    folder, spool = place
    for batch in requests(folder, model, window, spool=spool, columns=[*_NEEDED, column]):
        if column not in batch.schema.names:
            continue
        for row in batch.to_pylist():
            if row["outcome"] != "ok" or row["arm"] not in _ARMS or environment not in ("", row["environment"]):
                continue
            unit = word_of(row["unit"])
            if not unit:
                found.nameless += 1
            elif unit not in newest or row["arrived"] >= newest[unit]:
                newest[unit] = row["arrived"]
                label = row["label"] if row.get("label") is not None else row.get("label_text")
                found.answers[unit] = (row[column], label)
            found.versions.add(row["version"] or "")
    return found


def from_file(path: Path, unit: str, output: str, label: str) -> AnsweredPeople:
    """Answers of a file, a person a row. Raises UsageError for a person who stands there twice."""
    found = AnsweredPeople()
    for row in _table_rows(path, [unit, output], [label] if label else [], [unit]):
        name = word_of(row[unit])
        if not name:
            found.nameless += 1
        elif name in found.answers:
            raise UsageError(f"{path} has a {unit} twice: a person is counted once", "keep one row of each")
        else:
            found.answers[name] = (row[output], row.get(label) if label else None)
    return found


def categories(root: Path, spec: BiasGroups, env: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """By unit sex and race, '' for unknown. Raises UsageError, which never shows a value of the table."""
    path = _table_path(root, spec, env)
    _refuse_open(root, path)
    unknown = {word_of(word).lower() for word in spec.unknown}
    found: dict[str, tuple[str, str]] = {}
    columns = [spec.unit, spec.sex, spec.race]
    for row in _table_rows(path, columns, [], columns):
        sex, race = (word if (word := word_of(row[name])).lower() not in unknown else "" for name in columns[1:])
        unit = word_of(row[spec.unit])
        if unit and found.setdefault(unit, (sex, race)) != (sex, race):
            raise UsageError(f"{spec.table} says two different things of one {spec.unit}", "keep one row of each")
    return found


def _table_path(root: Path, spec: BiasGroups, env: Mapping[str, str]) -> Path:
    name = spec.variable
    if name and not env.get(name):
        raise UsageError(f"the variable {name} does not say where the table of groups is", f"set it; {_HINT}")
    return root / (env[name] if name else spec.table)


def _refuse_open(root: Path, path: Path) -> None:
    """Who belongs to which category is for few to read, and nothing for Git, which forgets nothing."""
    if not path.is_file():
        raise UsageError(f"there is no table of groups at {path}", _HINT)
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & stat.S_IROTH:
        raise UsageError(f"everybody on this machine can read {path}", f"take that right away: chmod o-r {path.name}")
    try:
        tracked = [*fields(root, "ls-files", "-z", "--", str(path))]
    except OutsideError:  # it lies outside of the repository, or there is none
        tracked = []
    if tracked:
        raise UsageError(f"{path} is tracked by Git", "take it out, with its history, and keep it elsewhere")


def _table_rows(
    path: Path, needed: Sequence[str], more: Sequence[str], text: Sequence[str]
) -> Iterator[dict[str, Any]]:
    kind = format_of(path.name)
    if kind is None or not path.is_file():
        raise UsageError(f"{path} is not a table that can be read", "name a .csv or .parquet file")
    with open_table(place_of(str(path)), kind, _ROWS, {name: pa.string() for name in text}) as batches:
        for batch in batches:
            if lacking := [name for name in (*needed, *more) if name not in batch.schema.names]:
                raise UsageError(f"{path} has no column {lacking[0]!r}", _HINT)
            yield from batch.select([*needed, *more]).to_pylist()
