"""What differs between two versions, as their records alone say it; pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gitml.dvc.lockentries import same_value
from gitml.registry.lineage import external
from gitml.registry.record import Record


@dataclass(frozen=True)
class DiffLine:
    """Something that differs: ``old`` or ``new`` is None where one side lacks it."""

    name: str
    old: str | None
    new: str | None


def lineage_changes(old: Record, new: Record) -> dict[str, tuple[DiffLine, ...]]:
    """By kind: params, data, code, stages and signature; kinds without a change have no line."""
    return {
        "params": tuple(_param_changes(_params(old), _params(new))),
        "data": changed_lines(_data(old), _data(new)),
        "code": changed_lines(_code(old), _code(new)),
        "stages": changed_lines(_commands(old), _commands(new)),
        "signature": changed_lines(_signature(old), _signature(new)),
    }


def changed_lines(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[DiffLine, ...]:
    names: Iterable[str] = dict.fromkeys([*old, *new])
    return tuple(DiffLine(n, old.get(n), new.get(n)) for n in names if old.get(n) != new.get(n))


def _params(record: Record) -> dict[str, Any]:
    return {name: value for entry in record.entries().values() for name, value in entry.single_params()}


def _param_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[DiffLine]:
    for name in dict.fromkeys([*old, *new]):
        if name not in old or name not in new:
            yield DiffLine(name, *(str(side[name]) if name in side else None for side in (old, new)))
        elif not same_value(old[name], new[name]):
            # The number 1 and the word 1 look alike unless the word has its quotes.
            write = json.dumps if str(old[name]) == str(new[name]) else str
            yield DiffLine(name, write(old[name]), write(new[name]))


def _data(record: Record) -> dict[str, str]:
    """What the stages hand on to each other: every output that does not describe the model itself."""
    own = {record.artifact, *record.roles.values()}
    outs = [c for e in record.entries().values() for c in e.outs if c.path not in own]
    return {c.path: _content(record, c.path, c.digest, c.files) for c in outs}


def _content(record: Record, path: str, digest: str, files: int) -> str:
    known = record.files.get(path)
    parts = [f"{known.rows} rows"] if known and known.rows is not None else []
    parts += [f"{files} files"] if files else []
    return ", ".join([*parts, digest.partition(":")[2][:8]])


def _code(record: Record) -> dict[str, str]:
    skip = {record.packages.path} if record.packages else set()
    entries = record.entries()
    # Where `dvc import` took data from is told by the data.
    skip |= {dep.path for entry in entries.values() if not entry.cmd for dep in entry.deps}
    contents = external(entries)
    return {c.path: _content(record, c.path, c.digest, c.files) for c in contents if c.path not in skip}


def _commands(record: Record) -> dict[str, str]:
    """Of the stages; what `dvc add` or `dvc import` took in has none and is data."""
    return {name: " && ".join(entry.cmd) for name, entry in record.entries().items() if entry.cmd}


def _signature(record: Record) -> dict[str, str]:
    sides = record.signature or {}
    return {
        f"{side}.{column['name']}": column["type"] + _categories(column)
        for side in ("inputs", "outputs")
        for column in sides.get(side, ())
    }


def _categories(column: Mapping[str, Any]) -> str:
    known = column.get("categories")
    return f" ({len(known)} categories)" if isinstance(known, list) else ""
