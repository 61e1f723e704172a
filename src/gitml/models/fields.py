"""One input or output of a model, and the way from a JSON value to a cell of the encoded matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite, isnan, nan
from typing import Any

import numpy as np

UNKNOWN, MISSING = -1.0, -2.0
# Whole numbers beyond this are not all float64: a model would silently see a neighbour.
EXACT = 2**53

INTEGERS = {name: np.iinfo(name) for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")}
FLOATS = {name: float(np.finfo(name).max) for name in ("float16", "float32", "float64")}
TYPES = (*INTEGERS, *FLOATS, "bool", "string")


@dataclass(frozen=True)
class Field:
    """One input or output."""

    name: str
    type: str
    categories: tuple[str, ...] | None = None
    nullable: bool = False

    @property
    def expected(self) -> str:
        """What a value must be, in words."""
        kind = "a word" if self.type == "string" else "true or false" if self.type == "bool" else "a number"
        kind = "a whole number" if self.type in INTEGERS else kind
        return f"{kind} or null" if self.nullable else kind


def converter(wanted: Field) -> Callable[[Any], Any]:
    """Function from a JSON value to a cell; its ValueError says what was expected, or nothing for the usual."""
    if wanted.type == "string":
        return _word(wanted) if wanted.categories is not None else _text(wanted)
    if wanted.type == "bool":
        return _boolean(wanted)
    return _integer(wanted) if wanted.type in INTEGERS else _number(wanted)


def _none(wanted: Field, missing: Any) -> Any:
    if not wanted.nullable:
        raise ValueError
    return missing


def _word(wanted: Field) -> Callable[[Any], float]:
    codes = {word: float(place) for place, word in enumerate(wanted.categories or ())}

    def convert(value: Any) -> float:
        if isinstance(value, str):
            return codes.get(value, UNKNOWN)
        if value is None or (isinstance(value, float) and isnan(value)):
            return float(_none(wanted, MISSING))
        raise ValueError

    return convert


def _text(wanted: Field) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if isinstance(value, str):
            return value
        if value is None or (isinstance(value, float) and isnan(value)):
            return _none(wanted, None)
        raise ValueError

    return convert


def _boolean(wanted: Field) -> Callable[[Any], float]:
    def convert(value: Any) -> float:
        if isinstance(value, bool):
            return float(value)
        if value is None or (isinstance(value, float) and isnan(value)):
            return float(_none(wanted, nan))
        raise ValueError

    return convert


def bounds(kind: str) -> tuple[int, int]:
    """Least and greatest whole number of the type that float64 holds exactly."""
    info = INTEGERS[kind]
    return max(int(info.min), -EXACT), min(int(info.max), EXACT)


def _integer(wanted: Field) -> Callable[[Any], float]:
    low, high = bounds(wanted.type)

    def convert(value: Any) -> float:
        if type(value) is int:
            if low <= value <= high:
                return float(value)
            raise ValueError(f"a whole number from {low} to {high}")
        if value is None or (isinstance(value, float) and isnan(value)):
            return float(_none(wanted, nan))
        if isinstance(value, float) and value.is_integer() and low <= value <= high:
            return value
        raise ValueError

    return convert


def _number(wanted: Field) -> Callable[[Any], float]:
    limit = FLOATS[wanted.type]

    def convert(value: Any) -> float:
        if type(value) is float or type(value) is int:
            if -limit <= value <= limit:
                return float(value)
            if isfinite(value):
                raise ValueError(f"a number from {-limit:.4g} to {limit:.4g}")
            if isnan(value):
                return float(_none(wanted, nan))
            raise ValueError(f"a finite number{' or null' if wanted.nullable else ''}")
        if value is None:
            return float(_none(wanted, nan))
        raise ValueError

    return convert
