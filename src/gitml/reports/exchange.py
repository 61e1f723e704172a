"""A report as JSON: cut to its bounds when it is written, refused when it is read and breaks one."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from annotated_types import MaxLen
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from gitml.errors import Problem, SpecError
from gitml.jsontext import pretty
from gitml.reports.facts import Report, ReportedModel
from gitml.reports.holdoutfacts import ReportedHoldOut

MAX_BYTES = 8_000_000
_MOST_PROBLEMS = 5
_CHANGES = ("params", "code", "packages", "signature")


def to_json(report: Report) -> str:
    """Indented, ends with a newline; never longer or stranger than what ``parse_report`` takes."""
    return pretty(fitted(report))


def parse_report(raw: bytes, path: str = "report.json") -> Report:
    """Read a report that anyone may have written. Raises SpecError; nothing it holds is repeated in the message."""
    if len(raw) > MAX_BYTES:
        raise SpecError([Problem(path, 0, "", f"is {len(raw):,} bytes long, at most {MAX_BYTES:,} are read")])
    try:
        return _adapter().validate_json(raw)
    except ValidationError as exc:
        found = exc.errors(include_input=False, include_url=False, include_context=False)
        raise SpecError([_problem(path, error["loc"], error["msg"]) for error in found[:_MOST_PROBLEMS]]) from exc


def holdout_json(held: ReportedHoldOut) -> str:
    """What one job hands to the next, within its bounds."""
    return pretty(_fit(held, ReportedHoldOut))


def parse_holdout(text: str, name: str) -> ReportedHoldOut:
    """Raises SpecError, as ``parse_report``."""
    try:
        return _holdouts().validate_json(text)
    except ValidationError as exc:
        found = exc.errors(include_input=False, include_url=False, include_context=False)
        raise SpecError([_problem(name, error["loc"], error["msg"]) for error in found[:_MOST_PROBLEMS]]) from exc


@functools.cache
def _holdouts() -> TypeAdapter[ReportedHoldOut]:
    return TypeAdapter(ReportedHoldOut)


def _problem(path: str, place: tuple[int | str, ...], message: str) -> Problem:
    key = ".".join(str(part) for part in place)
    shown = "".join(c if c.isascii() and c.isprintable() else "?" for c in key)[:120]
    said = message.splitlines()[0][:200] if message.isprintable() else "is not valid"
    return Problem(path, 0, shown, said)


@functools.cache
def _adapter() -> TypeAdapter[Report]:
    return TypeAdapter(Report)


def fitted(report: Report) -> Report:
    """The same report within its bounds: long texts end in an ellipsis, long lists end early, NaN becomes unknown."""
    fit: Report = _fit(report, Report)
    models = [_counted(cut, whole) for cut, whole in zip(fit.models, report.models, strict=False)]
    return dataclasses.replace(fit, models=tuple(models))


def _counted(cut: ReportedModel, whole: ReportedModel) -> ReportedModel:
    """With the number of changes that a list ended too early for: a report never says 500 where there are 2,001."""
    lost = sum(len(getattr(whole, name)) - len(getattr(cut, name)) for name in _CHANGES)
    return dataclasses.replace(cut, left_out=whole.left_out + lost)


def _fit(value: Any, kind: Any) -> Any:
    if get_origin(kind) is Annotated:
        inner, *extras = get_args(kind)
        return _fit(_cut(value, _longest(extras)), inner)
    if get_origin(kind) in (Union, types.UnionType):
        return _fit_optional(value, get_args(kind))
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = _hints(kind)
        parts = {f.name: _fit(getattr(value, f.name), hints[f.name]) for f in dataclasses.fields(kind)}
        return kind(**parts)
    if get_origin(kind) is tuple:
        return tuple(_fit(item, get_args(kind)[0]) for item in value)
    return _clean(value) if kind is str else value


def _fit_optional(value: Any, kinds: tuple[Any, ...]) -> Any:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return _fit(value, next(kind for kind in kinds if kind is not type(None)))


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _longest(extras: list[Any]) -> int | None:
    parts = [part for extra in extras for part in (extra.metadata if isinstance(extra, FieldInfo) else [extra])]
    return next((part.max_length for part in parts if isinstance(part, MaxLen)), None)


def _cut(value: Any, longest: int | None) -> Any:
    if longest is None or len(value) <= longest:
        return value
    return _clean(value)[: longest - 1] + "…" if isinstance(value, str) else value[:longest]


def _clean(text: str) -> str:
    """Without the lone surrogates that stand for undecodable bytes of file names."""
    return text.encode("utf-8", "replace").decode("utf-8")
