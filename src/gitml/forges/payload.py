"""What a job is told, by variables and by JSON of an event, looked at before it is believed: what is missing or of
another kind reads as nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def load(env: Mapping[str, str], variable: str) -> Any:
    """The JSON of the file that a variable names; an empty object where there is none."""
    try:
        return json.loads(Path(env[variable]).read_bytes())
    except (KeyError, OSError, ValueError, RecursionError):
        return {}


def at(value: Any, *path: str) -> Any:
    """What is there, below objects alone; else None."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def text(value: Any, *path: str) -> str:
    """A text, or an empty one.

    >>> text({"head": {"ref": "main", "id": 7}}, "head", "ref"), text({"head": {"id": 7}}, "head", "id")
    ('main', '')
    """
    found = at(value, *path)
    return found if isinstance(found, str) else ""


def number(value: Any, *path: str) -> int:
    """A positive whole number, in digits or as JSON has it; 0 for anything else.

    >>> number("12"), number({"iid": 12}, "iid"), number("-1"), number(True), number("1" * 19)
    (12, 12, 0, 0, 0)
    """
    found = at(value, *path)
    digits = str(found) if isinstance(found, int | str) and not isinstance(found, bool) else ""
    return int(digits) if re.fullmatch(r"[1-9][0-9]{0,17}", digits, re.ASCII) else 0


def commit(value: Any, *path: str) -> str:
    """The whole id of a commit, or an empty text."""
    found = text(value, *path)
    return found if _COMMIT.fullmatch(found) else ""
