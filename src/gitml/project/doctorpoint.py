"""What `gitml doctor` says of one thing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    OK = "ok"
    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Point:
    """One point: ``what`` was found, and what ``todo``."""

    name: str
    mark: Mark
    what: str
    todo: str = ""
