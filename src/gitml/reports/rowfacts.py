"""The small facts that larger ones are made of: texts with bounds, and the row of one metric."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from gitml.stats.comparison import Difference, Reading

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

Name = Annotated[str, Field(max_length=200)]
Line = Annotated[str, Field(max_length=1000)]
Log = Annotated[str, Field(max_length=20_000)]
Url = Annotated[str, Field(max_length=500)]
# A file below the assets' folder: no scheme, no dot-dot, nothing that Markdown or a URL gives a meaning.
Asset = Annotated[
    str, Field(max_length=300, pattern=r"^(?:[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)?$")
]
Count = Annotated[int, Field(ge=0, le=10**15)]
Seconds = Annotated[float, Field(ge=0, le=10**9)]


@dataclass(frozen=True)
class Row:
    """``new - old`` of one metric: ``gitml.stats.comparison.Difference`` with bounds."""

    __pydantic_config__ = STRICT
    metric: Name
    new: float | None
    old: float | None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    paired: bool = False
    reading: Reading = Reading.UNKNOWN
    freedom: Annotated[int, Field(ge=1, le=1000)] | None = None

    @classmethod
    def of(cls, found: Difference) -> Row:
        bounds = found.low, found.high
        return cls(found.metric, found.new, found.old, found.value, *bounds, found.paired, found.reading, found.freedom)


class ComparisonRole(StrEnum):
    """What the other version of a comparison is."""

    BASE = "base"
    ENVIRONMENT = "environment"
    BEFORE = "before"
