"""What is told of two versions that answered the same rows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from gitml.reports.rowfacts import STRICT, ComparisonRole, Count, Line, Name, Row

_Share = Annotated[float, Field(ge=0, le=1)]


class RowSet(StrEnum):
    """Which rows both versions answered."""

    NEW = "new hold-out"
    OLD = "old hold-out"
    TRAFFIC = "recent traffic"


@dataclass(frozen=True)
class Flips:
    """The share of decisions that differ, with its 95 % interval; how many of them are right now, and were right."""

    __pydantic_config__ = STRICT
    share: _Share
    low: _Share
    high: _Share
    gained: Count = 0
    lost: Count = 0


@dataclass(frozen=True)
class CalibrationPair:
    """Probabilities of both versions: their means beside the share of positives, and their calibration errors."""

    __pydantic_config__ = STRICT
    old_mean: _Share
    new_mean: _Share
    old_error: _Share
    new_error: _Share


@dataclass(frozen=True)
class SameRows:
    """One set of rows. ``unit`` says what counts as one observation, ``units`` how many there are.

    ``seen``: rows of it that the new version was trained on, for which it can be no test. ``left_out``: rows that
    either version was trained on and that are not counted at all. ``why``: it was not compared.
    """

    __pydantic_config__ = STRICT
    rowset: RowSet
    rows: Count = 0
    unit: Literal["row", "day", "unit"] = "row"
    units: Count = 0
    first: Name = ""
    last: Name = ""
    positives: _Share | None = None
    seen: Count = 0
    left_out: Count = 0
    metrics: Annotated[tuple[Row, ...], Field(max_length=50)] = ()
    flips: Flips | None = None
    calibration: CalibrationPair | None = None
    why: Line = ""


@dataclass(frozen=True)
class SliceRow:
    """One group of the new hold-out; without a row there are too few of it."""

    __pydantic_config__ = STRICT
    column: Name
    value: Name
    rows: Count
    row: Row | None = None


@dataclass(frozen=True)
class WindowPart:
    """A stretch of training data; ``positives`` is the share of rows with the label 1."""

    __pydantic_config__ = STRICT
    rows: Count = 0
    days: Count = 0
    first: Name = ""
    last: Name = ""
    positives: _Share | None = None


@dataclass(frozen=True)
class WindowChange:
    """The windows of both versions, and what the new one gained and lost."""

    __pydantic_config__ = STRICT
    old: WindowPart = WindowPart()
    new: WindowPart = WindowPart()
    gained: WindowPart = WindowPart()
    lost: WindowPart = WindowPart()
    why: Line = ""


@dataclass(frozen=True)
class InputApart:
    """An input whose distribution in the hold-out is not that of live traffic: the distance, its interval, and the
    floor from which on it is told. ``shown``: which way it lies, in words."""

    __pydantic_config__ = STRICT
    column: Name
    of: Literal["values", "missing"]
    estimate: _Share
    low: _Share
    high: _Share
    floor: _Share
    shown: Name = ""


@dataclass(frozen=True)
class LikeTraffic:
    """The new hold-out beside so many ``rows`` of recent traffic; ``why``: that could not be told."""

    __pydantic_config__ = STRICT
    rows: Count = 0
    columns: Count = 0
    first: Name = ""
    last: Name = ""
    apart: Annotated[tuple[InputApart, ...], Field(max_length=50)] = ()
    why: Line = ""


@dataclass(frozen=True)
class ReportedHoldOut:
    """A new version and the one that runs, on the same rows. ``role`` and ``name`` say what the other one is.

    ``why``: they could not be compared, which is no reason to call either better.
    """

    __pydantic_config__ = STRICT
    role: ComparisonRole
    name: Name
    version: Name
    why: Line = ""
    changed: bool = True
    sets: Annotated[tuple[SameRows, ...], Field(max_length=3)] = ()
    slices: Annotated[tuple[SliceRow, ...], Field(max_length=500)] = ()
    window: WindowChange | None = None
    notes: Annotated[tuple[Line, ...], Field(max_length=20)] = ()
    like_traffic: LikeTraffic | None = None

    def rows_of(self, which: RowSet) -> SameRows | None:
        return next((found for found in self.sets if found.rowset is which), None)
