"""The process's HTTP server: one event loop on a thread of its own, patient with nobody who sends nothing."""

from __future__ import annotations

import asyncio
import math
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from gitml.errors import OutsideError
from gitml.internals import is_checked
from gitml.serving.limits import Limits
from gitml.serving.listener import Listen, bound, url_of
from gitml.serving.state import ServerState

__all__ = ["Listen", "Running", "answering_at", "serving"]
_START_SECONDS = 30.0
# Files that the rest of the process may need: models, journals, what is fetched from the forge.
_FILES = 256


class _Server(uvicorn.Server):
    """Remembers when its loop turned last, by ``time.monotonic``."""

    turned = math.inf

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        beating = asyncio.create_task(self._beat())
        try:
            await super().serve(sockets)
        finally:
            beating.cancel()

    async def _beat(self) -> None:
        while True:
            self.turned = time.monotonic()
            await asyncio.sleep(1.0)


@dataclass(frozen=True)
class Running:
    """A server that answers at ``url``. ``missing`` says which limit it does not keep, "" where it keeps all.

    ``still``: seconds since its event loop last turned, which it does at least once in a second.
    """

    url: str
    port: int
    thread: threading.Thread
    missing: str = ""
    still: Callable[[], float] = lambda: 0.0


@contextmanager
def serving(app: Any, state: ServerState, listen: Listen | None = None) -> Iterator[Running]:
    """Serve ``app`` until the block ends; then new connections are refused and requests in work are finished.

    Raises OutsideError if the port is taken.
    """
    chosen = listen or Listen()
    with bound(chosen) as listener, answering_at(listener, app, state, chosen) as running:
        yield running


@contextmanager
def answering_at(listener: socket.socket, app: Any, state: ServerState, listen: Listen) -> Iterator[Running]:
    """The same on a socket that is bound."""
    server = _Server(_config(app, state, listen))
    url, port = url_of(listen, listener), int(listener.getsockname()[1])
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="gitml-http", daemon=True)
    thread.start()
    try:
        _wait_started(server, thread)
        yield Running(url, port, thread, _missing(), lambda: max(0.0, time.monotonic() - server.turned))
    finally:
        state.closing = True
        server.should_exit = True
        thread.join(timeout=listen.grace + 5)


def _config(app: Any, state: ServerState, listen: Listen) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_protocol(state.limits),
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="error",
        server_header=False,
        proxy_headers=False,
        backlog=2048,
        timeout_keep_alive=math.ceil(state.limits.idle_seconds),
        timeout_graceful_shutdown=max(1, round(listen.grace)),
        ssl_certfile=listen.certificate,
        ssl_keyfile=listen.key,
    )


def _protocol(limits: Limits) -> Any:
    """Connections with these limits, or uvicorn's own where its internals are not known."""
    if not is_checked("uvicorn", uvicorn.__version__):
        return "httptools"
    from gitml.serving.connection import patient

    return patient(limits, _room(limits.connections))


def _room(wanted: int) -> int:
    """How many connections may be open: each takes a file of the process, and the rest of it needs some too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _FILES
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(wanted, soft - _FILES))


def _missing() -> str:
    if is_checked("uvicorn", uvicorn.__version__):
        return ""
    why = "heads that never end are not cut off, and nobody idle makes room"
    return f"uvicorn {uvicorn.__version__} was not checked: {why}"


def _wait_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    pause, waited = threading.Event(), 0.0
    while not server.started:
        if not thread.is_alive() or waited > _START_SECONDS:
            raise OutsideError("the server did not start")
        pause.wait(0.01)
        waited += 0.01
