"""``gitml site serve``: the same pages on this machine alone, and any two moments side by side."""

from __future__ import annotations

import mimetypes
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

from gitml.errors import GitmlError, OutsideError
from gitml.site.build import site_files, site_shell
from gitml.site.facts import SiteFacts
from gitml.site.pageschanges import between_page
from gitml.site.render import render, script_policy
from gitml.site.views import seen_through
from gitml.spec.views import SiteView

_LOOPBACK = "127.0.0.1"
_NAMES = ("127.0.0.1", "localhost")
_HEADERS = {
    # Each page says itself whether its script may run.
    "Content-Security-Policy": f"{script_policy()}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# A page that is older is made anew: what the forge says may have changed.
_FRESH = 30.0
BETWEEN = "changes/between"


@dataclass
class LiveSite:
    """The files as they were when somebody asked last. One request at a time makes them anew."""

    gather: Callable[[], SiteFacts]
    role: str
    view: SiteView
    facts: SiteFacts | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    made: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, path: str, query: str) -> bytes | None:
        """None where there is no such page."""
        with self.lock:
            if self.facts is None or time.monotonic() - self.made > _FRESH:
                self._refresh()
        if path == BETWEEN and "changes" in self.view.pages:
            return self._between(query)
        return self.files.get(path or "index.html")

    def _refresh(self) -> None:
        """Facts that are as before make the same pages."""
        facts = self.gather()
        if facts != self.facts:
            self.facts, self.files = facts, dict(site_files(facts, self.role, self.view, served=True))
        self.made = time.monotonic()

    def _between(self, query: str) -> bytes | None:
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        if self.facts is None:
            return None
        seen = seen_through(self.facts, self.view)
        page = between_page(seen, asked.get("since", ""), asked.get("until", ""))
        return render(page, site_shell(seen, self.role, self.view, served=True))


class SiteServer:
    """A server on loopback. Use it as a context manager; ``run`` answers until it is interrupted."""

    def __init__(self, gather: Callable[[], SiteFacts], role: str, view: SiteView, port: int) -> None:
        live = LiveSite(gather, role, view)
        try:
            self._server = ThreadingHTTPServer((_LOOPBACK, port), partial(_Handler, live))
        except OSError as exc:
            raise OutsideError(
                f"port {port} cannot be taken: {exc.strerror}", "choose another one with --port"
            ) from exc
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://{_LOOPBACK}:{self._server.server_port}/"

    def run(self) -> None:
        self._server.serve_forever(poll_interval=0.2)

    def stop(self) -> None:
        """End ``run``, from another thread."""
        self._server.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server_version, sys_version = "gitml", ""

    def __init__(self, live: LiveSite, *args: object) -> None:
        self.live = live
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        # A page of somebody else's may have its name lead here: then it would read this one (DNS rebinding).
        if self.headers.get("Host", "").rpartition(":")[0] not in _NAMES:
            told = b"this server answers at 127.0.0.1 only\n"
            self._say(HTTPStatus.MISDIRECTED_REQUEST, "text/plain", told, body=body)
            return
        asked = urlsplit(self.path)
        path = unquote(asked.path).lstrip("/")
        try:
            content = self.live.get(path, asked.query)
        except GitmlError as exc:
            told = f"{exc.message}\n".encode("utf-8", "backslashreplace")
            self._say(HTTPStatus.SERVICE_UNAVAILABLE, "text/plain", told, body=body)
            return
        if content is None:
            self._say(HTTPStatus.NOT_FOUND, "text/plain", b"there is no such page\n", body=body)
            return
        kind = mimetypes.guess_type(path or "index.html")[0] or "text/html"
        self._say(HTTPStatus.OK, kind, content, body=body)

    def _say(self, status: HTTPStatus, kind: str, content: bytes, *, body: bool) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nobody reads it."""
