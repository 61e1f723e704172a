"""What every request passes: the right host, a bounded body that arrives in time, headers that bind browsers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_BYTES = 64 << 20
_TOO_LARGE = (413, "The request is too large.")
_LINGER_BYTES = 32 << 20
_LINGER_SECONDS = 2.0
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class HostCheck:
    """Only names of this machine: a page elsewhere that rebinds its DNS name to us is refused."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not is_local(Headers(scope=scope).get("host", "")):
            await problem(scope["path"], 421, "The sandbox answers to localhost only.")(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def is_local(host: str) -> bool:
    """Whether a Host header names this machine.

    >>> is_local("localhost:80"), is_local("127.0.0.1"), is_local("[::1]:1"), is_local("evil.example")
    (True, True, True, False)
    """
    name = host[1:].partition("]")[0] if host.startswith("[") else host.rpartition(":")[0] or host
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


class SecurityHeaders:
    """Added where the answer has not set them itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, with_headers)


class BodyLimit:
    """Reads the body before the application is called: bounded in bytes, and in seconds between two pieces."""

    def __init__(self, app: ASGIApp, idle: float, limit: int = BODY_BYTES) -> None:
        self.app = app
        self.idle = idle
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdigit() and int(declared) > self.limit:
            await refuse(problem(scope["path"], *_TOO_LARGE), receive, send)
            return
        body = await self._read(receive)
        if isinstance(body, bytes):
            await self.app(scope, _replay(body, receive), send)
        elif body is not None:
            await refuse(problem(scope["path"], *body), receive, send)

    async def _read(self, receive: Receive) -> bytes | tuple[int, str] | None:
        """The body, or the status and words of a refusal, or None when the client has gone."""
        parts, size, more = [], 0, True
        while more:
            try:
                message = await asyncio.wait_for(receive(), self.idle)
            except TimeoutError:
                return 408, "The client was silent for too long."
            if message["type"] == "http.disconnect":
                return None
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            more = message.get("more_body", False)
            if size > self.limit:
                return _TOO_LARGE
        return b"".join(parts)


async def refuse(response: Response, receive: Receive, send: Send) -> None:
    """Answer at once, then take a little more of the body: a client that is cut off while it sends sees no answer."""
    headers = [*response.raw_headers, (b"connection", b"close")]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": bytes(response.body), "more_body": True})
    with suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            await _discard(receive)
    await send({"type": "http.response.body", "body": b""})


async def _discard(receive: Receive) -> None:
    size = 0
    while size < _LINGER_BYTES:
        message = await receive()
        size += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return


def problem(path: str, status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error page: JSON below /api, as GitHub words it, and text elsewhere."""
    if is_api(path):
        body = {"message": text, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
        return JSONResponse(body, status, headers)
    return PlainTextResponse(f"{status} {text}\n", status, headers)


def is_api(path: str) -> bool:
    return path == "/api" or path.startswith("/api/")


def _replay(body: bytes, receive: Receive) -> Receive:
    pending = [body]

    async def again() -> Message:
        if pending:
            return {"type": "http.request", "body": pending.pop(), "more_body": False}
        return await receive()

    return again
