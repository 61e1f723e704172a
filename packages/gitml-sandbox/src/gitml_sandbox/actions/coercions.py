"""How GitHub's expressions compare and convert values, and the functions they can call."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gitml_sandbox.errors import UsageError

Value = Any  # None, bool, float, int, str, list or dict: what JSON can say
Function = Callable[[Sequence[Value]], Value]
MAX_TEXT = 4 << 20


class ExpressionError(UsageError):
    """An expression that GitHub would refuse; the message quotes it."""


def is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def truthy(value: Value) -> bool:
    return not (
        value is None or value is False or value == "" or (is_number(value) and (value == 0 or math.isnan(value)))
    )


def to_string(value: Value) -> str:
    """GitHub's coercion to a string: null is empty, whole numbers have no point, objects say `Object`."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if math.isfinite(value) and value == int(value) else f"{value:.15g}"
    if isinstance(value, list):
        return "Array"
    return "Object" if isinstance(value, dict) else str(value)


def to_number(value: Value) -> float:
    if value is None or value == "":
        return 0.0
    if isinstance(value, bool | int | float):
        return float(value)
    if not isinstance(value, str):
        return math.nan
    try:
        return float(int(value, 16)) if value.strip().lower().startswith("0x") else float(value)
    except ValueError:
        return math.nan


def same(left: Value, right: Value) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left.casefold() == right.casefold()
    if isinstance(left, dict | list) or isinstance(right, dict | list):
        return left is right
    if type(left) is type(right) and not is_number(left):
        return bool(left == right)
    return to_number(left) == to_number(right)


def ordered(left: Value, op: str, right: Value) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        a, b = left.casefold(), right.casefold()
        return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[op]
    x, y = to_number(left), to_number(right)
    return {"<": x < y, "<=": x <= y, ">": x > y, ">=": x >= y}[op]


def _contains(args: Sequence[Value]) -> Value:
    where, what = args
    if isinstance(where, list):
        return any(same(item, what) for item in where)
    return to_string(what).casefold() in to_string(where).casefold()


def _format(args: Sequence[Value]) -> Value:
    values = [to_string(a) for a in args[1:]]

    def put(match: re.Match[str]) -> str:
        if match[0] in {"{{", "}}"}:
            return match[0][0]
        if int(match[1]) >= len(values):
            raise ExpressionError(f"format({to_string(args[0])!r}) has no value for {match[0]}")
        return values[int(match[1])]

    pattern = to_string(args[0])
    # A format in a format in a format doubles each time: its length is known before it is made.
    longest = max((len(v) for v in values), default=0)
    _check_length(len(pattern) + longest * pattern.count("{"))
    return re.sub(r"\{\{|\}\}|\{([0-9]{1,4})\}", put, pattern)


def _check_length(length: int) -> None:
    if length > MAX_TEXT:
        raise ExpressionError(f"an expression yields more than {MAX_TEXT} characters")


def bounded(text: str) -> str:
    """The text, unless it is longer than any value of a workflow may be. Raises ExpressionError."""
    _check_length(len(text))
    return text


def _join(args: Sequence[Value]) -> Value:
    items = args[0] if isinstance(args[0], list) else [args[0]]
    glue = to_string(args[1]) if len(args) > 1 else ","
    _check_length(len(glue) * len(items))
    return bounded(glue.join(to_string(i) for i in items))


def _from_json(args: Sequence[Value]) -> Value:
    try:
        return json.loads(to_string(args[0]))
    except (ValueError, RecursionError) as exc:
        raise ExpressionError(f"fromJSON got no JSON: {to_string(args[0])[:80]!r}") from exc


BUILTIN: Mapping[str, tuple[int, int, Function]] = {
    "contains": (2, 2, _contains),
    "startswith": (2, 2, lambda a: to_string(a[0]).casefold().startswith(to_string(a[1]).casefold())),
    "endswith": (2, 2, lambda a: to_string(a[0]).casefold().endswith(to_string(a[1]).casefold())),
    "format": (1, 99, _format),
    "join": (1, 2, _join),
    "tojson": (1, 1, lambda a: json.dumps(a[0], indent=2, ensure_ascii=False)),
    "fromjson": (1, 1, _from_json),
}
