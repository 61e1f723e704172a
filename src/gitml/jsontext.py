"""The one way from values to JSON: what each kind of value becomes, and the two texts that files hold."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any


def plain(value: Any) -> Any:
    """A value as JSON has it, so that it is the same before and after it was written down.

    An object with a method ``to_dict`` says itself what it tells; of another dataclass every field is told.

    >>> from pathlib import PurePath
    >>> plain({10: 0.5, "since": datetime.date(2013, 1, 31), "folder": PurePath("models")})
    {'10': 0.5, 'since': '2013-01-31', 'folder': 'models'}
    """
    if value is None or type(value) in (str, int, float, bool):
        return value
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return _told(value)


def _told(value: Any) -> Any:
    if hasattr(value, "model_dump"):  # pydantic is too heavy to import for `gitml --help`
        return value.model_dump(mode="json", by_alias=True)
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if dataclasses.is_dataclass(value):
        return picked(value, *(field.name for field in dataclasses.fields(value)))
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def picked(value: object, *names: str) -> dict[str, Any]:
    """The named attributes of an object, each as JSON has it.

    >>> picked(datetime.date(2013, 1, 31), "year", "month")
    {'year': 2013, 'month': 1}
    """
    return {name: plain(getattr(value, name)) for name in names}


def once_each(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The `object_pairs_hook` of `json.loads` that refuses a key twice, with ValueError.

    Of two values under one key readers take the first or the last, as they like: nobody knows which was meant.

    >>> json.loads('{"a": 1, "a": 2}', object_pairs_hook=once_each)
    Traceback (most recent call last):
        ...
    ValueError: the key 'a' stands twice
    """
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {name[:100]!r} stands twice")
        found[name] = value
    return found


def canonical(value: Any) -> bytes:
    """One text per value, for digests: sorted keys, no spaces, UTF-8. Raises ValueError on NaN and infinities.

    >>> canonical({"b": 1, "a": "é"}).decode()
    '{"a":"é","b":1}'
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def pretty(value: Any, *, indent: int = 1) -> str:
    """The text of a file that people read too; ends with a newline. Raises ValueError on NaN and infinities."""
    return json.dumps(plain(value), indent=indent, ensure_ascii=False, allow_nan=False) + "\n"
