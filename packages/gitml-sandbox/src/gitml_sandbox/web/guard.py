"""What stands between a browser and a change: cookies, the token of each form, the origin."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
CACHE = {"Cache-Control": "private, no-cache", "Vary": "Cookie"}


def secure(request: Request) -> bool:
    return request.url.scheme == "https"


def cookie_name(request: Request, kind: str) -> str:
    """Browsers share cookies between ports of one host, so the port is in the name: two sandboxes get along."""
    prefix = "__Host-" if secure(request) else ""
    return f"{prefix}gitml_{kind}_{request.url.port or 0}"


def set_cookie(request: Request, response: Response, kind: str, value: str, seconds: int) -> None:
    response.set_cookie(
        cookie_name(request, kind),
        value,
        max_age=seconds,
        path="/",
        secure=secure(request),
        httponly=True,
        samesite="lax",
    )


def cookie(request: Request, kind: str) -> str:
    value = request.cookies.get(cookie_name(request, kind), "")
    return value if len(value) <= 200 else ""


def form_token(secret: str) -> str:
    """The hidden field of a form: only who can read the page knows it, as it comes from the HttpOnly cookie."""
    return hashlib.sha256(f"form:{secret}".encode(errors="replace")).hexdigest()


def right_token(secret: str, form: Mapping[str, str]) -> bool:
    given = form.get("csrf", "").encode(errors="replace")
    return bool(secret) and hmac.compare_digest(form_token(secret).encode(), given)


def same_origin(request: Request) -> bool:
    """Whether the form is from a page of ours. Cookies cross ports, the origin does not."""
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    origin = request.headers.get("origin")
    if origin is None:
        return request.headers.get("sec-fetch-site") == "same-origin"
    return origin == own


def local_path(word: str) -> str:
    """Where to go after the login: a path of this server, never another server.

    >>> local_path("/ada/demo?x=1"), local_path("//evil.example"), local_path("/\\\\evil.example")
    ('/ada/demo?x=1', '/', '/')
    """
    plain = word.startswith("/") and not word.startswith("//") and word.isprintable() and "\\" not in word
    return word if plain and len(word) < 2000 else "/"
