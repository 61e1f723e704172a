"""What a version goes by, as `gitml importance` writes it, the record keeps it by its digest, and reports show it."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from gitml.jsontext import plain, pretty
from gitml.reports.rowfacts import STRICT, Count, Name

MAX_BYTES = 1_000_000
MOST_INPUTS, MOST_CURVES, MOST_POINTS = 1000, 10, 20


@dataclass(frozen=True)
class InputImportance:
    """By how much the metric gets worse when the values of the input change places among the rows, in the metric's own
    unit, with a 95 % interval; without one there are too few rows. Below zero the model is better without it."""

    __pydantic_config__ = STRICT
    name: Name
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class DependencePoint:
    """The mean answer where the input is ``label``."""

    __pydantic_config__ = STRICT
    label: Name
    mean: float


@dataclass(frozen=True)
class DependenceCurve:
    """Points in the order of numbers, or the most frequent words first."""

    __pydantic_config__ = STRICT
    name: Name
    points: Annotated[tuple[DependencePoint, ...], Field(max_length=MOST_POINTS)] = ()


@dataclass(frozen=True)
class ReportedImportance:
    """``inputs``, the most important first, of ``rows`` that were held out, in ``units`` that count as one observation
    each: rows, days, or units. ``repeats``: how often the values of each input changed places."""

    __pydantic_config__ = STRICT
    metric: Name
    better: Literal["higher", "lower"]
    rows: Count
    unit: Literal["row", "day", "unit"]
    units: Count
    repeats: Count
    inputs: Annotated[tuple[InputImportance, ...], Field(max_length=MOST_INPUTS)] = ()
    curves: Annotated[tuple[DependenceCurve, ...], Field(max_length=MOST_CURVES)] = ()
    format: Literal["gitml importance 1"] = "gitml importance 1"

    def rank(self, name: str) -> int | None:
        """From 1."""
        return next((n for n, one in enumerate(self.inputs, 1) if one.name == name), None)


def importance_json(told: ReportedImportance) -> str:
    return pretty(plain(told))


def parse_importance(raw: bytes | None) -> ReportedImportance | None:
    """None for a file that is not there, or that `gitml importance` did not write."""
    if raw is None or len(raw) > MAX_BYTES:
        return None
    try:
        return _adapter().validate_json(raw)
    except ValidationError:
        return None


@functools.cache
def _adapter() -> TypeAdapter[ReportedImportance]:
    return TypeAdapter(ReportedImportance)
