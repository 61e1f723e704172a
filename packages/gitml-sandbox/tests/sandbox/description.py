"""Judges a response of the sandbox against GitHub's own description of its REST API.

What is judged: that the operation exists, that it may answer with this status, the headers that clients rely on
(content type, request id, rate limit, Link for paging), and the whole body against the operation's schema.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import jsonschema
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

FILE = Path(__file__).parents[1] / "data" / "github-rest-slice.json.gz"
PREFIX = "/api/v3"
# GitHub answers these anywhere; the description names them only here and there.
ANYWHERE = {304, 400, 401, 403, 404, 413, 415, 422, 429}
_FORMATS = jsonschema.FormatChecker(formats=())


@_FORMATS.checks("date-time")
def _date_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", value)) and bool(
        datetime.fromisoformat(value)
    )


@_FORMATS.checks("uri")
def _uri(value: object) -> bool:
    return not isinstance(value, str) or bool(re.fullmatch(r"[a-z][a-z0-9+.-]*://[^\s]+", value))


class Mismatch(AssertionError):  # noqa: N818 - pytest shows it as a failed assertion
    """The response is not what the description says."""


def modern(node: Any) -> Any:
    """OpenAPI 3.0 to JSON Schema 2020-12: `nullable` becomes a type, `exclusiveMinimum: true` a number."""
    if isinstance(node, list):
        return [modern(n) for n in node]
    if not isinstance(node, dict):
        return node
    out = {k: modern(v) for k, v in node.items() if k != "nullable"}
    for flag, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if out.get(flag) is True:
            out[flag] = out.pop(bound)
    if node.get("nullable") is True:
        return {"anyOf": [out, {"type": "null"}]}
    return out


@cache
def document() -> dict[str, Any]:
    with gzip.open(FILE) as stream:
        return modern(json.load(stream))


@cache
def _registry() -> Registry[Any]:
    return Registry().with_resource("doc:", Resource(contents=document(), specification=DRAFT202012))


@cache
def _routes() -> tuple[tuple[re.Pattern[str], str, dict[str, Any]], ...]:
    """Longest literal path first, so that /pulls/{n}/merge is not taken for something shorter."""
    found = []
    for path, methods in document()["paths"].items():
        # Only these parameters may hold slashes.
        pattern = re.sub(r"\\{(path|ref|branch|basehead)\\}", "(.*)", re.escape(path))
        pattern = re.sub(r"\\{\w+\\}", "([^/]+)", pattern)
        found.append((re.compile(pattern, re.S), path, methods))
    return tuple(sorted(found, key=lambda f: (f[1].count("{"), -len(f[1]))))


def operation(method: str, path: str) -> dict[str, Any] | None:
    """The description of what a request asked for; path without /api/v3."""
    for pattern, _, methods in _routes():
        if pattern.fullmatch(path) and method.lower() in methods:
            return methods[method.lower()]
    return None


def template(method: str, path: str) -> str:
    """The described path that a request falls under."""
    for pattern, name, methods in _routes():
        if pattern.fullmatch(unquote(path)) and method.lower() in methods:
            return name
    raise Mismatch(f"{method} {path} is not in the description")


def operations() -> Iterator[tuple[str, str]]:
    for path, methods in document()["paths"].items():
        for method in methods:
            if method in {"get", "put", "post", "patch", "delete"}:
                yield method.upper(), path


def resolve(node: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in node:
        found: Any = document()
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def errors(schema: Mapping[str, Any], body: Any) -> list[str]:
    absolute = json.loads(json.dumps(schema).replace('"#/components', '"doc:#/components'))
    validator = jsonschema.Draft202012Validator(absolute, registry=_registry(), format_checker=_FORMATS)
    return [f"{e.json_path}: {e.message[:300]}" for e in validator.iter_errors(body)]


def check(response: httpx.Response) -> httpx.Response:
    """Raise Mismatch with every difference; return the response itself."""
    url = urlsplit(str(response.request.url))
    path = unquote(url.path).removeprefix(PREFIX)
    described = operation(response.request.method, path)
    if described is None:
        raise Mismatch(f"{response.request.method} {path} is not in the description")
    found = [*_headers(response), *_body(response, described), *_paging(response, url.query)]
    if found:
        said = response.text[:400]
        raise Mismatch("\n".join([f"{response.request.method} {path} -> {response.status_code}", *found, said]))
    return response


def _headers(response: httpx.Response) -> Iterator[str]:
    for name in ("x-github-request-id", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"):
        if name not in response.headers:
            yield f"header {name} is missing"


def _body(response: httpx.Response, described: Mapping[str, Any]) -> Iterator[str]:
    answer = described["responses"].get(str(response.status_code))
    if answer is None and response.status_code not in ANYWHERE:
        yield f"status {response.status_code} is not one of {sorted(described['responses'])}"
        return
    if response.status_code in (204, 304):
        if response.content:
            yield "a body where there may be none"
        return
    media = response.headers.get("content-type", "").split(";")[0]
    if response.status_code >= 400:
        yield from _error_body(response)
        return
    content = resolve(answer or {}).get("content", {})
    # The description names these media types only for some operations; GitHub documents them for these as well.
    kind = media.removeprefix("application/vnd.github.")
    asked = kind in ("raw", "diff", "patch") and f".{kind}" in response.request.headers.get("accept", "")
    if (media in content and media != "application/json") or asked:
        return
    if "application/json" not in content:
        return
    if media != "application/json":
        yield f"content type {media!r} instead of application/json"
        return
    yield from errors(content["application/json"].get("schema", {}), response.json())


def _error_body(response: httpx.Response) -> Iterator[str]:
    try:
        body = response.json()
    except ValueError:
        yield "an error that is not JSON"
        return
    if not isinstance(body, dict):
        yield "an error that is not an object"
        return
    wanted = {"message", "documentation_url", "status"}
    yield from (f"the error has no {key}" for key in sorted(wanted - body.keys()))
    listed = body.get("errors")
    if response.status_code == 422 and listed is not None:
        kind = "validation-error-simple" if any(isinstance(e, str) for e in listed) else "validation-error"
        yield from errors(document()["components"]["schemas"][kind], body)


def _paging(response: httpx.Response, query: str) -> Iterator[str]:
    if response.status_code != 200 or response.headers.get("content-type", "").split(";")[0] != "application/json":
        return
    asked = parse_qs(query)
    body = response.json()
    size = min(_number(asked, "per_page", 30), 100)
    link = response.headers.get("link", "")
    if isinstance(body, list) and ("per_page" in asked or "page" in asked):
        if len(body) > size:
            yield f"{len(body)} items on a page of {size}"
        if _number(asked, "page", 1) > 1 and ('rel="prev"' not in link or 'rel="first"' not in link):
            yield f"a later page without first and prev in Link: {link!r}"
    if link and not re.fullmatch(r'(<[^<>]+>; rel="(next|last|first|prev)"(, )?)+', link):
        yield f"Link is malformed: {link!r}"


def _number(asked: Mapping[str, list[str]], name: str, default: int) -> int:
    word = asked.get(name, [""])[0]
    return int(word) if word.isdigit() else default


def without(body: Any, key: str) -> Any:
    """A copy of the body, thinned: the first object that has ``key`` loses it."""
    if isinstance(body, list):
        return [without(body[0], key), *body[1:]]
    return {k: v for k, v in body.items() if k != key}
