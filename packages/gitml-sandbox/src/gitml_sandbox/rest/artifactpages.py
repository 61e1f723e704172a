"""Artifacts that are pages, to be looked at: one with an `index.html` at its top.

A job of any branch may have written them, so they are strangers' pages at this forge's address. They get no script, no
form, no cookie and no origin of their own: browsers hold a page with the directive ``sandbox`` to that. The address is
signed, since what such a page loads comes without the visitor's login, and holds for an hour.
"""

from __future__ import annotations

import hmac
import sqlite3
import zipfile
from pathlib import PurePosixPath

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gitml_sandbox.actions import artifacts
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.refusals import RefusalError, not_found
from gitml_sandbox.rest.runtime import signature

FIRST = "index.html"
SECONDS = 3600
MAX_FILE = 20_000_000
_POLICY = "sandbox; default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'"
_HEADERS = {
    "Content-Security-Policy": f"{_POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-store",
}
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
    ".md": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


def has_pages(sandbox: Sandbox, row: sqlite3.Row) -> bool:
    """Whether there is something to look at."""
    try:
        with zipfile.ZipFile(artifacts.path(sandbox, row)) as archive:
            return FIRST in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def pages_url(sandbox: Sandbox, artifact_id: int) -> str:
    """A link to the first page."""
    until = int(sandbox.clock().timestamp()) + SECONDS
    return f"{sandbox.base_url}/_runner/pages/{artifact_id}/{until}-{signature(sandbox, 'pages', artifact_id, until)}/"


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """What such a link leads to; links between the pages keep its beginning."""

    def page(request: Request) -> Response:
        try:
            return _file(sandbox, _artifact(sandbox, request), request.path_params["path"] or FIRST)
        except RefusalError as exc:
            return Response(exc.message, exc.status, _HEADERS, "text/plain; charset=utf-8")

    return [Route("/_runner/pages/{number:int}/{key}/{path:path}", page)]


def _artifact(sandbox: Sandbox, request: Request) -> sqlite3.Row:
    number, (until, _, given) = int(request.path_params["number"]), request.path_params["key"].partition("-")
    if not until.isascii() or not until.isdigit() or len(until) > 12:
        raise not_found()
    good = signature(sandbox, "pages", number, int(until))
    if not hmac.compare_digest(good, given) or int(until) < sandbox.clock().timestamp():
        raise not_found()
    with sandbox.store.read() as tx:
        row: sqlite3.Row | None = tx.execute("SELECT * FROM artifacts WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise not_found()
    return row


def _file(sandbox: Sandbox, row: sqlite3.Row, path: str) -> Response:
    """A member of the archive by its exact name: no path of this machine is made of it."""
    try:
        with zipfile.ZipFile(artifacts.path(sandbox, row)) as archive:
            if archive.getinfo(path).file_size > MAX_FILE:
                raise RefusalError(413, "This file is too large to look at: download the artifact")
            content = archive.read(path)
    except (KeyError, OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        raise not_found() from None
    kind = _TYPES.get(PurePosixPath(path).suffix.lower(), "application/octet-stream")
    return Response(content, 200, _HEADERS, kind)
