"""The values that templates may name: params.yaml, and what ``vars`` names or says, merged as DVC merges them."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gitml.errors import SpecError
from gitml.spec.templates import UnresolvedError, has_template

PARAMS_FILE = "params.yaml"
Reader = Callable[[str], Mapping[str, Any]]


@dataclass(frozen=True)
class Values:
    """``loaded``: by file the names that were taken of it, None for all. ``reserved``: names that a loop gives."""

    known: Mapping[str, Any] = field(default_factory=dict)
    loaded: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    reserved: frozenset[str] = frozenset()

    def looping(self, given: Mapping[str, Any]) -> Values:
        """The same inside a loop, whose ``item`` and ``key`` go before others of these names."""
        return Values({**self.known, **given}, self.loaded, frozenset(given))


def params_of(folder: str, reader: Reader) -> Values:
    """The values of params.yaml, which DVC reads unasked; none where it cannot be read, which is told elsewhere."""
    file = posixpath.join(folder, PARAMS_FILE)
    try:
        return Values(reader(file), {file: None})
    except SpecError:
        return Values()


def with_entry(values: Values, entry: Any, folder: str, reader: Reader) -> Values:
    """``values`` and those of one entry of ``vars``: a mapping, or a file with or without names.

    Raises UnresolvedError where DVC refuses the entry, SpecError for a file that cannot be read.
    """
    if has_template(entry):
        raise UnresolvedError("vars take no templates", "write the value or the file's name out")
    if isinstance(entry, Mapping):
        return _merged(values, entry, values.loaded)
    if not isinstance(entry, str):
        raise UnresolvedError("an entry of vars is a file or a mapping", "write 'name: value', or a file's name")
    path, _, listed = entry.partition(":")
    file, names = posixpath.normpath(posixpath.join(folder, path)), tuple(n for n in listed.split(",") if n)
    before = values.loaded.get(file, ())
    if before is None and not names:
        return values
    if before is None or (before and (not names or set(before) & set(names))):
        told = f"{file} was read before, {'whole' if before is None else 'in part'}"
        raise UnresolvedError(told, "name each file once, and params.yaml not at all: DVC reads it unasked")
    return _merged(values, _taken(reader(file), file, names), {**values.loaded, file: (*before, *names) or None})


def _taken(found: Mapping[str, Any], file: str, names: tuple[str, ...]) -> Mapping[str, Any]:
    missing = [name for name in names if name not in found]
    if missing:
        raise UnresolvedError(f"{file} has no {missing[0]!r}", "after the colon stand keys of the file's top")
    return {name: found[name] for name in names} if names else found


def _merged(values: Values, more: Mapping[str, Any], loaded: Mapping[str, tuple[str, ...] | None]) -> Values:
    taken = sorted(values.reserved & more.keys())
    if taken:
        raise UnresolvedError(f"{taken[0]} is the loop's own name", "give the value another name")
    return Values(_deep(values.known, more, ""), loaded, values.reserved)


def _deep(known: Mapping[str, Any], more: Mapping[str, Any], above: str) -> dict[str, Any]:
    found = dict(known)
    for name, value in more.items():
        mine = found.get(name)
        if isinstance(mine, Mapping) and isinstance(value, Mapping):
            found[name] = _deep(mine, value, f"{above}{name}.")
        elif name in found:
            hint = "vars add values and replace none: give it another name, or one value in one place"
            raise UnresolvedError(f"{above}{name} has a value already", hint)
        else:
            found[name] = value
    return found
