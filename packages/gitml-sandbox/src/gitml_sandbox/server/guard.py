"""What every request passes: the right host, and headers that bind browsers."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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


def problem(path: str, status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """An error page: JSON below /api, as GitHub words it, and text elsewhere."""
    if is_api(path):
        body = {"message": text, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
        return JSONResponse(body, status, headers)
    return PlainTextResponse(f"{status} {text}\n", status, headers)


def is_api(path: str) -> bool:
    return path == "/api" or path.startswith("/api/")
