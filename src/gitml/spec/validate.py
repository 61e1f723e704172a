"""From a parsed file to a model, or to problems in plain words with lines."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gitml.errors import Problem, SpecError
from gitml.fields import WrongValueError, shown
from gitml.spec.yamlfile import Document, Key

M = TypeVar("M", bound=BaseModel)

_WANTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys to values",
    "mapping_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "date_type": "a date such as 2026-01-31",
    "date_parsing": "a date such as 2026-01-31",
    "date_from_datetime_parsing": "a date such as 2026-01-31",
    "date_from_datetime_inexact": "a date such as 2026-01-31",
    "datetime_type": "a time such as 2026-01-31T08:00:00Z",
}


def build(model: type[M], document: Document, *, blanks: bool = False) -> M:
    """``document`` as a ``model``; ``blanks`` says that keys may stand without a value.

    Raises SpecError with every problem.
    """
    # A gate whose value was forgotten must not vanish: an empty value is never the same as no key.
    problems = [] if blanks else list(_blank(document, document.data, ()))
    try:
        built = model.model_validate(document.data)
    except ValidationError as exc:
        told = {p.line for p in problems}
        errors = [e for e in exc.errors(include_url=False) if not _is_echo(e)]
        problems += [
            p
            for p in (_translate(model, document, e) for e in errors)
            if p.line not in told or "but is empty" not in p.message
        ]
        raise SpecError(list(dict.fromkeys(problems))) from None
    if problems:
        raise SpecError(problems)
    return built


def _is_echo(error: ErrorDetails) -> bool:
    """Pydantic calls a list too short when all its items are wrong; the items say that themselves."""
    return error["type"] == "too_short" and len(error["input"]) > 0


def _blank(document: Document, value: Any, key: Key) -> Iterator[Problem]:
    if value is None:
        yield document.problem(key, "has no value", "write one, or remove the line")
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _blank(document, inner, (*key, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _blank(document, inner, (*key, number))


def nearest(word: str, valid: Iterable[str]) -> str:
    """A hint: the valid word that ``word`` is most like, or all of them.

    >>> nearest("artefact", ["artifact", "metrics"])
    "did you mean 'artifact'?"
    """
    words = list(valid)
    near = difflib.get_close_matches(word, words, 1, 0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"valid here: {', '.join(words)}" if words else ""


def _translate(model: type[BaseModel], document: Document, error: ErrorDetails) -> Problem:
    kind, loc = error["type"], error["loc"]
    key = _key(document, loc, missing=kind == "missing")
    if kind == "extra_forbidden":
        valid = fields_at(model, key[:-1])
        return document.problem(key, f"unknown key {str(key[-1])!r}", nearest(str(key[-1]), valid))
    if kind == "missing":
        about = fields_at(model, key[:-1]).get(str(key[-1]), "")
        return document.problem(key, f"the key {str(key[-1])!r} is missing", about)
    if kind == "value_error":
        wrong = error.get("ctx", {}).get("error")
        hint = wrong.hint if isinstance(wrong, WrongValueError) else ""
        return document.problem(key, str(wrong), hint)
    if kind == "literal_error":
        return document.problem(key, *_choice(error))
    if kind in _WANTED:
        return document.problem(key, f"must be {_WANTED[kind]}, but is {shown(error['input'])}")
    return document.problem(key, *_limit(error))


def _choice(error: ErrorDetails) -> tuple[str, str]:
    expected = error.get("ctx", {}).get("expected", "")
    words = [w.strip().strip("'") for w in expected.replace(" or ", ",").split(",")]
    hint = nearest(error["input"], words) if isinstance(error["input"], str) else ""
    return f"must be {expected}, but is {shown(error['input'])}", hint if hint.startswith("did") else ""


def _limit(error: ErrorDetails) -> tuple[str, str]:
    context = error.get("ctx", {})
    if error["type"] in {"too_short", "string_too_short"}:
        return "must not be empty", ""
    if error["type"] == "string_too_long":
        return f"must have at most {context['max_length']} characters, but has {len(error['input'])}", ""
    for name, words in (("ge", "at least"), ("gt", "more than"), ("le", "at most"), ("lt", "less than")):
        if name in context:
            return f"must be {words} {context[name]}, but is {shown(error['input'])}", ""
    return f"{error['msg'][:1].lower()}{error['msg'][1:]}, but is {shown(error['input'])}", ""


def _key(document: Document, loc: tuple[str | int, ...], *, missing: bool) -> Key:
    """Pydantic's place without the parts that stand for a choice of type and not for a key of the file."""
    key: Key = ()
    for number, part in enumerate(loc):
        if (*key, part) in document.lines or (missing and number == len(loc) - 1):
            key = (*key, part)
    return key


def fields_at(model: type[BaseModel], key: Key) -> dict[str, str]:
    """Names and descriptions of the keys that ``model`` allows at ``key``."""
    places: list[Any] = [model]
    for part in key:
        places = [inner for place in places for inner in _step(place, part)]
    return {
        (f.alias or name): f.description or ""
        for place in places
        if isinstance(place, type) and issubclass(place, BaseModel)
        for name, f in place.model_fields.items()
    }


def _step(place: Any, part: str | int) -> list[Any]:
    if isinstance(place, type) and issubclass(place, BaseModel):
        for name, field in place.model_fields.items():
            if part in (name, field.alias):
                return _open(field.annotation)
        return []
    arguments = get_args(place)
    if isinstance(get_origin(place), type) and issubclass(get_origin(place), Mapping):
        return _open(arguments[1])
    return [inner for a in arguments if a is not Ellipsis for inner in _open(a)]


def _open(annotation: Any) -> list[Any]:
    """The alternatives behind Annotated, Optional and unions."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _open(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [inner for a in get_args(annotation) for inner in _open(a)]
    return [annotation]
