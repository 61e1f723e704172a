"""The process's HTTP server: one event loop on a thread of its own, patient with nobody who sends nothing."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gitml.errors import OutsideError
from gitml.serving.limits import Limits
from gitml.serving.state import State

_START_SECONDS = 30.0
_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@dataclass(frozen=True)
class Listen:
    """Where to listen; port 0: a free one. ``grace``: seconds for requests in work when the server ends."""

    host: str = "127.0.0.1"
    port: int = 8080
    grace: float = 20.0
    certificate: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class Running:
    """A server that answers at ``url``."""

    url: str
    port: int
    thread: threading.Thread


@contextmanager
def serving(app: Any, state: State, listen: Listen | None = None) -> Iterator[Running]:
    """Serve ``app`` until the block ends; then new connections are refused and requests in work are finished.

    Raises OutsideError if the port is taken.
    """
    chosen = listen or Listen()
    with _bound(chosen) as listener:
        port = int(listener.getsockname()[1])
        server = uvicorn.Server(_config(app, state, chosen))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="gitml-http", daemon=True)
        thread.start()
        try:
            _wait_started(server, thread)
            scheme = "https" if chosen.certificate else "http"
            host = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
            yield Running(f"{scheme}://{host}:{port}", port, thread)
        finally:
            state.closing = True
            server.should_exit = True
            thread.join(timeout=chosen.grace + 5)


def _config(app: Any, state: State, listen: Listen) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_patient(state.limits),
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="error",
        server_header=False,
        proxy_headers=False,
        backlog=2048,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, round(listen.grace)),
        ssl_certfile=listen.certificate,
        ssl_keyfile=listen.key,
    )


def _bound(listen: Listen) -> socket.socket:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((listen.host, listen.port))
    except OSError as exc:
        listener.close()
        raise OutsideError(
            f"{listen.host}:{listen.port} cannot be listened on: {exc.strerror}", "choose another with --port"
        ) from exc
    return listener


def _wait_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    pause, waited = threading.Event(), 0.0
    while not server.started:
        if not thread.is_alive() or waited > _START_SECONDS:
            raise OutsideError("the server did not start")
        pause.wait(0.01)
        waited += 0.01


def _patient(limits: Limits) -> type[asyncio.Protocol]:
    """HTTP as uvicorn does it, but a request whose head takes too long, or has no end, loses its connection."""
    seconds = limits.head_seconds

    class Patient(HttpToolsProtocol):
        _timer: asyncio.TimerHandle | None = None
        _head = 0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._timer = self.loop.call_later(seconds, transport.close)

        def data_received(self, data: bytes) -> None:
            self._head += len(data)
            super().data_received(data)
            if self._timer is not None and self._head > limits.head:
                self.transport.write(_TOO_LONG)
                self.transport.close()

        def on_message_begin(self) -> None:
            super().on_message_begin()
            # The rest of this piece is not counted: bodies of requests before may be in it.
            self._head = 0
            if self._timer is None:
                self._timer = self.loop.call_later(seconds, self.transport.close)

        def on_headers_complete(self) -> None:
            self._disarm()
            super().on_headers_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._disarm()
            super().connection_lost(exc)

        def _disarm(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return cast("type[asyncio.Protocol]", Patient)
