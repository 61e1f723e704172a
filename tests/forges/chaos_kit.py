"""A real HTTP server in front of another one that breaks what it is told to break."""

from __future__ import annotations

import http.client
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

SLOW = 3.0
_HTML = {"Content-Type": "text/html"}
LATE: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "lost": (502, b"<html>bad gateway</html>", _HTML),
    "html": (200, b"<html>sign in</html>", _HTML),
    "shape": (200, b'{"surprise": [1, 2]}', {}),
}


def _soon() -> str:
    return str(int(time.time()) + 1)


EARLY: dict[str, Callable[[], tuple[int, dict[str, str]]]] = {
    "502": lambda: (502, {}),
    "503": lambda: (503, {"Retry-After": "1"}),
    "429": lambda: (429, {"Retry-After": "1"}),
    "late": lambda: (429, {"Retry-After": "3600"}),
    "limited": lambda: (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": _soon()}),
    "conflict": lambda: (409, {}),
    "away": lambda: (307, {"Location": "http://127.0.0.1:9/elsewhere"}),
}


@dataclass
class Fault:
    """What goes wrong with the next ``times`` requests whose ``METHOD path`` matches.

    Before it is passed on: drop, and those of EARLY. After the server has carried it out: cut, dropped, slow, and
    those of LATE.
    """

    what: str
    match: str = ""
    times: int = 1
    hits: int = 0


@dataclass
class Chaos:
    """``before`` holds what happens, once, before a request whose ``METHOD path`` matches is looked at."""

    url: str
    faults: list[Fault] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    before: dict[str, Callable[[], object]] = field(default_factory=dict)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def plan(self, what: str, match: str = "", times: int = 1) -> Fault:
        fault = Fault(what, match, times)
        with self.guard:
            self.faults.append(fault)
        return fault

    def calm(self) -> None:
        with self.guard:
            self.faults.clear()
            self.seen.clear()

    def take(self, line: str) -> str:
        with self.guard:
            self.seen.append(line)
            for fault in self.faults:
                if fault.times > 0 and re.search(fault.match, line):
                    fault.times -= 1
                    fault.hits += 1
                    return fault.what
        return ""

    def count(self, pattern: str) -> int:
        with self.guard:
            return sum(bool(re.search(pattern, line)) for line in self.seen)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, chaos: Chaos, target: str) -> None:
        self.chaos, self.target = chaos, urlsplit(target)
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, *_: object) -> None:
        pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def _any(self) -> None:
        chaos = self.server.chaos
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        line = f"{self.command} {self.path}"
        for pattern in [p for p in chaos.before if re.search(p, line)]:
            chaos.before.pop(pattern)()
        what = chaos.take(line)
        if what == "drop":
            self._close()
        elif what in EARLY:
            status, headers = EARLY[what]()
            self._say(status, b'{"message": "no"}', headers)
        else:
            self._after(what, *self._forward(body))

    def _after(self, what: str, status: int, headers: dict[str, str], answer: bytes) -> None:
        if what == "slow":
            time.sleep(SLOW)
        if what == "dropped":
            self._close()
        elif what == "cut":
            self._cut(answer)
        else:
            self._say(*LATE.get(what, (status, answer, headers)))

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _any  # noqa: N815

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        there = http.client.HTTPConnection(self.server.target.hostname or "", self.server.target.port, timeout=30)
        dropped = {"host", "connection", "accept-encoding"}
        headers = {k: v for k, v in self.headers.items() if k.lower() not in dropped}
        there.request(self.command, self.path, body or None, headers)
        answer = there.getresponse()
        content = answer.read()
        kept = {k: v for k, v in answer.getheaders() if k.lower() not in {"content-length", "transfer-encoding"}}
        there.close()
        return answer.status, kept, content

    def _say(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        with suppress(OSError):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def _cut(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2])
        self._close()

    def _close(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def chaos_before(target: str) -> Iterator[Chaos]:
    chaos = Chaos("")
    server = _Server(chaos, target)
    chaos.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield chaos
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
