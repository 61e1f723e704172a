"""The stand-in held against GitLab's own description of its API, where there is a copy of it.

The description is a page of GitLab's documentation (CC BY-SA 4.0) and is not kept here. ``GITLAB_OPENAPI`` names a
copy: ``doc/api/openapi/openapi_v2.yaml`` of GitLab's repository. Then each request and each answer of a test is looked
at: parameters that there are, those that must be, kinds of values, statuses, every field of a body.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

VARIABLE = "GITLAB_OPENAPI"
# Answers that any operation may give.
_ANYWHERE = {400, 401, 403, 404, 405, 409, 422, 429}
_PAGES = {"page", "per_page"}
_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
Operation = tuple[str, str]
# Fields that GitLab sends, as its pages show, and that its description forgot.
_FORGOTTEN = {("GET", "/projects/{id}/pipelines"): {"name"}}


@cache
def _whole() -> dict[str, Any]:
    with Path(os.environ[VARIABLE]).open("rb") as file:
        found: dict[str, Any] = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    assert found.get("swagger") == "2.0", f"{VARIABLE} is not openapi_v2.yaml of GitLab"
    return found


def is_there() -> bool:
    return bool(os.environ.get(VARIABLE))


def _plain(path: str) -> str:
    return re.sub(r"\{\w+\}", "{}", path.removeprefix("/api/v4"))


@cache
def operations() -> dict[Operation, dict[str, Any]]:
    """Method and path, the names of its words left out → what is said of it."""
    paths = _whole()["paths"]
    return {(method.upper(), _plain(path)): said for path, every in paths.items() for method, said in every.items()}


def operation(method: str, path: str) -> dict[str, Any] | None:
    return operations().get((method, _plain(path)))


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = _whole()["definitions"][schema["$ref"].rpartition("/")[2]]
    return schema


def differences(
    asked: Operation, path: Mapping[str, str], sent: Mapping[str, Any], status: int, answer: Any
) -> Iterator[str]:
    """What of a request, and of its answer, the description does not know; nothing of operations that it lacks."""
    said = operation(*asked)
    if said is None:
        return
    found = [*_request(said, path, sent), *_answer(said, status, _without(answer, _FORGOTTEN.get(asked, set())))]
    yield from (f"{' '.join(asked)}: {one}" for one in found)


def _without(answer: Any, names: set[str]) -> Any:
    if isinstance(answer, list):
        return [_without(one, names) for one in answer]
    return {n: v for n, v in answer.items() if n not in names} if isinstance(answer, dict) else answer


def _request(said: Mapping[str, Any], path: Mapping[str, str], sent: Mapping[str, Any]) -> Iterator[str]:
    """Parameters of the query and of the body are one thing to GitLab."""
    known: dict[str, Mapping[str, Any]] = {}
    needed: set[str] = set()
    for parameter in said.get("parameters", []):
        if parameter["in"] == "body":
            body = _resolved(parameter["schema"])
            known |= body.get("properties", {})
            needed |= set(body.get("required", []))
        elif parameter["in"] != "path":
            known[parameter["name"]] = parameter
            needed |= {parameter["name"]} if parameter.get("required") else set()
    plain = {name.removesuffix("[]"): value for name, value in sent.items()}
    known = {name.removesuffix("[]"): schema for name, schema in known.items()}
    yield from (f"sends {name}, which is no parameter" for name in sorted(plain.keys() - known.keys() - _PAGES))
    yield from (f"does not send {name}" for name in sorted(needed - plain.keys() - path.keys()))
    for name in sorted(plain.keys() & known.keys()):
        yield from _parameter(name, known[name], plain[name])


def _parameter(name: str, schema: Mapping[str, Any], value: Any) -> Iterator[str]:
    kind, values = schema.get("type", ""), schema.get("enum")
    is_read = {"integer": r"-?\d+", "boolean": "true|false|0|1"}.get(kind, "")
    if is_read and not re.fullmatch(is_read, str(value).lower()):
        yield f"sends {name} as {value!r}, which is not {kind}"
    if values and value not in values and str(value) not in map(str, values):
        yield f"sends {name} as {value!r}, which is none of {values}"


def _answer(said: Mapping[str, Any], status: int, answer: Any) -> Iterator[str]:
    responses: Mapping[str, Any] = said["responses"]
    # What is made answers 201, whatever the description says of it.
    if status == 201 and "201" not in responses:
        status = 200
    if str(status) not in responses and status not in _ANYWHERE:
        yield f"answers {status}, which is none of {sorted(responses)}"
        return
    schema = responses.get(str(status), {}).get("schema")
    if status >= 300 or schema is None or isinstance(answer, bytes):
        return
    yield from _body(schema, answer, "answer")


def _body(schema: Mapping[str, Any], value: Any, place: str) -> Iterator[str]:
    """Where GitLab's code says nothing of a field the description has it as ``{type: string}``, so that is anything; it
    never says what may be null, so all may; and of many lists it gives one of their elements."""
    schema = _resolved(schema)
    kind = schema.get("type", "")
    if value is None or not kind or schema == {"type": "string"}:
        return
    if kind == "object" and isinstance(value, list):
        schema, kind = {"type": "array", "items": schema}, "array"
    if not isinstance(value, _KINDS[kind]) or (kind == "integer" and isinstance(value, bool)):
        yield f"{place} is {type(value).__name__}, not {kind}"
    elif isinstance(value, list):
        for one in value[:5]:
            yield from _body(schema.get("items", {}), one, f"{place}[]")
    elif isinstance(value, dict):
        fields = schema.get("properties")
        if fields is None:
            return
        yield from (f"{place} has {name}, which is no field" for name in sorted(value.keys() - fields.keys()))
        for name in sorted(value.keys() & fields.keys()):
            yield from _body(fields[name], value[name], f"{place}.{name}")
