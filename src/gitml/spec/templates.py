"""``${…}``, foreach and matrix of dvc.yaml, as DVC fills them in."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

_TEMPLATE = re.compile(r"(?<!\\)\$\{(?P<inner>.*?)\}")
_PART = re.compile(r"[^.\[\]]+")
_INDEX = re.compile(r"-?[0-9]{1,9}")
_MOST = 10_000


class UnresolvedError(ValueError):
    """A template whose value is not known, or a loop over something that is no list; ``hint`` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def resolve(text: str, scope: Mapping[str, Any]) -> Any:
    """``text`` with its templates filled in; a text that is one template keeps the type of its value.

    >>> resolve("data/${item.year}.csv", {"item": {"year": 2013}})
    'data/2013.csv'
    """
    whole = _TEMPLATE.fullmatch(text)
    if whole and text.count("${") == 1:
        return _lookup(whole["inner"], scope)
    return _TEMPLATE.sub(lambda m: _as_text(_lookup(m["inner"], scope), m["inner"]), text).replace("\\${", "${")


def resolve_text(text: str, scope: Mapping[str, Any]) -> str:
    """The same where only a text will do, as in paths: DVC fails on a number that is all of one."""
    value = resolve(text, scope)
    if not isinstance(value, str | Mapping | list):
        raise UnresolvedError(f"{text} is no text", "quote the value where it stands, such as '2013'")
    return _as_text(value, text.removeprefix("${").removesuffix("}"))


def has_template(value: Any) -> bool:
    """Whether one stands in a text of ``value``, however deep."""
    if isinstance(value, Mapping):
        return any(has_template(item) for item in value.values())
    if isinstance(value, list):
        return any(has_template(item) for item in value)
    return isinstance(value, str) and bool(_TEMPLATE.search(value))


def look_up_all(value: Any, scope: Mapping[str, Any]) -> None:
    """Raises UnresolvedError for a template in a text of ``value`` that DVC cannot fill in, however deep."""
    if isinstance(value, str):
        _as_text(resolve(value, scope), value.removeprefix("${").removesuffix("}"))
    for item in value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ():
        look_up_all(item, scope)


def look_up_command(text: str, scope: Mapping[str, Any]) -> None:
    """The same for a command, where DVC writes mappings out as options."""
    for found in _TEMPLATE.finditer(text):
        value = _lookup(found["inner"], scope)
        if not isinstance(value, Mapping):
            _as_text(value, found["inner"])
        elif not _is_option(value):
            raise UnresolvedError(f"${{{found['inner']}}} has lists in a list, of which no options can be made")


def _is_option(value: Mapping[str, Any]) -> bool:
    items = [_is_option(v) for v in value.values() if isinstance(v, Mapping)]
    inner = [i for v in value.values() if isinstance(v, list) for i in v]
    return all(items) and not any(isinstance(i, Mapping | list) for i in inner)


def _as_text(value: Any, name: str) -> str:
    if isinstance(value, Mapping | list):
        raise UnresolvedError(
            f"${{{name}}} is {'a mapping' if isinstance(value, Mapping) else 'a list'}, not one value"
        )
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _lookup(name: str, scope: Mapping[str, Any]) -> Any:
    value: Any = scope
    for part in _PART.findall(name.strip()) or [""]:
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif isinstance(value, list) and _INDEX.fullmatch(part) and -len(value) <= int(part) < len(value):
            value = value[int(part)]
        else:
            raise UnresolvedError(f"${{{name}}} has no value")
    return value


def expand(over: Any, scope: Mapping[str, Any], *, matrix: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
    """For each stage that foreach (or matrix) makes: what stands behind the @, and its ``item`` and ``key``.

    >>> [name for name, _ in expand({"a": [1, 2], "b": ["x"]}, {}, matrix=True)]
    ['1-x', '2-x']
    """
    value = deep(over, scope)
    if matrix:
        yield from _matrix(value)
    elif isinstance(value, Mapping):
        yield from ((name, {"key": name, "item": item}) for name, item in value.items())
    elif isinstance(value, list):
        # One that is no single value, and all are counted.
        plain = not any(isinstance(item, Mapping | list) for item in value)
        for number, item in enumerate(value):
            yield (_as_text(item, "item") if plain else str(number)), {"item": item}
    else:
        raise UnresolvedError("foreach must go over a list or a mapping")


def _matrix(axes: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if not all(isinstance(values, list) for values in axes.values()):
        raise UnresolvedError("each key of matrix must have a list")
    for count, choice in enumerate(itertools.product(*(enumerate(values) for values in axes.values()))):
        if count >= _MOST:
            raise UnresolvedError(f"matrix makes more than {_MOST} stages")
        item = {axis: value for axis, (_, value) in zip(axes, choice, strict=True)}
        parts = (
            f"{axis}{i}" if isinstance(value, Mapping | list) else _as_text(value, axis)
            for axis, (i, value) in zip(axes, choice, strict=True)
        )
        name = "-".join(parts)
        yield name, {"key": name, "item": item}


def deep(value: Any, scope: Mapping[str, Any]) -> Any:
    """``value`` with the templates in all its texts filled in."""
    if isinstance(value, str):
        return resolve(value, scope)
    if isinstance(value, Mapping):
        return {k: deep(v, scope) for k, v in value.items()}
    return [deep(v, scope) for v in value] if isinstance(value, list) else value
