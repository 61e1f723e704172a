"""Requests and responses of HTTP over ASGI, with limits on size and time."""

from __future__ import annotations

import asyncio
import json
import os
import re
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from gitml.errors import GitmlError
from gitml.jsontext import once_each
from gitml.serving.limits import Limits

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON = b"application/json"
# Key of a scope whose request has arrived as a whole.
WHOLE = "gitml.whole"
_HEADERS = "gitml.headers"
_DEEP = 16
_KEY_ENDS = re.compile(rb'"[ \t\r\n]*:')


class GoneError(Exception):
    """The caller hung up."""


class RequestError(GitmlError):
    """An answer with an error code. ``reason`` is a word for the metrics; ``problems`` go into the body."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        hint: str = "",
        problems: Any = (),
        headers: Headers | None = None,
    ) -> None:
        super().__init__(message, hint)
        self.code, self.reason, self.problems, self.headers = code, reason, problems, headers or []


@dataclass
class Response:
    """``headers`` come without content-type and content-length."""

    body: bytes
    code: int = 200
    content_type: bytes = JSON
    headers: Headers = field(default_factory=list)


def error(exc: RequestError, request_id: str = "") -> Response:
    """The body of an error: what is wrong, what to do next, and each problem of its own."""
    body: dict[str, Any] = {"error": exc.message}
    if exc.hint:
        body["hint"] = exc.hint
    if exc.problems:
        body["problems"] = exc.problems
    if request_id:
        body["id"] = request_id
    return Response(orjson.dumps(body), exc.code, headers=list(exc.headers))


async def read_body(scope: Scope, receive: Receive, limits: Limits) -> bytes:
    """The whole body, unpacked if it comes as gzip.

    Raises HttpError 413 above the limit, 408 if it comes too slowly, 415 for another encoding, GoneError if it never
    ends.
    """
    encoding = header(scope, b"content-encoding").lower()
    if encoding not in (b"", b"identity", b"gzip", b"x-gzip"):
        raise RequestError(
            415,
            "encoding",
            "the body is compressed in a way that is not known here",
            hint="send it as it is, or as gzip",
            headers=[(b"accept-encoding", b"gzip"), (b"connection", b"close")],
        )
    body = await _received(scope, receive, limits)
    if encoding in (b"", b"identity"):
        return body
    return await asyncio.to_thread(_unpacked, body, limits)


def _unpacked(body: bytes, limits: Limits) -> bytes:
    """Of one gzip stream or several end to end. Raises HttpError 400, or 413 for more than the limit."""
    parts, left = [], limits.body
    try:
        while body:
            stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
            parts.append(stream.decompress(body, left + 1))
            left -= len(parts[-1])
            if left < 0:
                raise _too_large(limits)
            if not stream.eof:
                raise zlib.error("it ends too early")
            body = stream.unused_data
    except zlib.error as exc:
        raise RequestError(400, "encoding", f"the body is not gzip: {exc}") from None
    return b"".join(parts)


async def _received(scope: Scope, receive: Receive, limits: Limits) -> bytes:
    declared = header(scope, b"content-length")
    if declared and (not declared.isdigit() or int(declared[:20]) > limits.body):
        raise _too_large(limits)
    if WHOLE in scope:
        return await _gathered(receive, limits)
    try:
        async with asyncio.timeout(limits.body_seconds):
            return await _gathered(receive, limits)
    except TimeoutError:
        words = f"the body did not arrive within {limits.body_seconds:g} s"
        raise RequestError(408, "slow", words, headers=[(b"connection", b"close")]) from None


async def _gathered(receive: Receive, limits: Limits) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise GoneError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limits.body:
            raise _too_large(limits)
        if not message.get("more_body"):
            return b"".join(parts)


def _too_large(limits: Limits) -> RequestError:
    # Whoever sends on is cut off, or the rest of the body would be read for nothing.
    words = f"the body is larger than {limits.body:,} bytes"
    return RequestError(413, "large", words, hint="send fewer rows at once", headers=[(b"connection", b"close")])


async def respond(send: Send, response: Response) -> None:
    """Send it."""
    headers = [
        (b"content-type", response.content_type),
        (b"content-length", str(len(response.body)).encode()),
        *response.headers,
    ]
    await send({"type": "http.response.start", "status": response.code, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def header(scope: Scope, name: bytes) -> bytes:
    """Value of the first header of this name (small letters), or nothing."""
    found: dict[bytes, bytes] | None = scope.get(_HEADERS)
    if found is None:
        found = scope[_HEADERS] = dict(reversed(scope["headers"]))
    return found.get(name, b"")


def request_id(scope: Scope, own: object = None) -> str:
    """The caller's id, from the body or the header ``x-request-id``, if it is short and plain; otherwise a new one."""
    for found in (own, header(scope, b"x-request-id").decode("latin-1")):
        if isinstance(found, str) and 0 < len(found) <= 128 and found.isascii() and found.isprintable():
            return found
    return os.urandom(16).hex()


def parse_json(body: bytes | memoryview) -> Any:
    """Raises HttpError 400, also for a key that stands twice in one object: nobody knows which value was meant."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise RequestError(400, "json", f"the body is no JSON: {exc}", hint="NaN is written as null") from None
    # orjson takes the last of two. Each key brings a colon, so as many colons as keys mean that none was lost.
    raw, keys = bytes(body), _usual_keys(found)
    if raw.count(b":") != keys:  # or there are colons in words
        ends = len(_KEY_ENDS.findall(raw))
        if ends != keys and ends != _keys(found):
            _refuse_twice(raw)
    return found


def _usual_keys(value: Any) -> int:
    """How many keys it has, at least: its own, and those of objects in its lists and objects."""
    if type(value) is not dict:
        return 0
    count = len(value)
    for inner in value.values():
        if type(inner) is dict:
            count += len(inner)
        elif type(inner) is list and inner and type(inner[0]) is dict:
            for row in inner:
                if type(row) is dict:
                    count += len(row)
    return count


def _keys(value: Any, depth: int = 0) -> int:
    """The same, of objects however they are nested, down to a depth that no request has."""
    if depth == _DEEP:
        return 0
    if type(value) is dict:
        return len(value) + sum(_keys(v, depth + 1) for v in value.values() if type(v) is dict or type(v) is list)
    return sum(_keys(v, depth + 1) for v in value if type(v) is dict) if type(value) is list else 0


def _refuse_twice(raw: bytes) -> None:
    """The slow way, for texts with colons where keys have them."""
    try:
        # Numbers were read already; Python refuses very long ones.
        json.loads(raw, object_pairs_hook=once_each, parse_int=len)
    except (ValueError, RecursionError) as exc:
        hint = "write each key of an object once, and nest less deeply"
        raise RequestError(400, "json", f"the body is ambiguous: {exc}", hint=hint) from None


def mapping(value: Any) -> Mapping[str, Any]:
    """The body as an object. Raises HttpError 400."""
    if isinstance(value, dict):
        return value
    raise RequestError(400, "json", "the body is no JSON object")
