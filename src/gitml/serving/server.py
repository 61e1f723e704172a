"""The process's HTTP server: one event loop on a thread of its own, patient with nobody who sends nothing."""

from __future__ import annotations

import math
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn

from gitml.errors import OutsideError
from gitml.internals import is_checked
from gitml.serving.limits import Limits
from gitml.serving.state import ServerState

_START_SECONDS = 30.0
# Files that the rest of the process may need: models, journals, what is fetched from the forge.
_FILES = 256


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
    """A server that answers at ``url``. ``missing`` says which limit it does not keep, "" where it keeps all."""

    url: str
    port: int
    thread: threading.Thread
    missing: str = ""


@contextmanager
def serving(app: Any, state: ServerState, listen: Listen | None = None) -> Iterator[Running]:
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
            yield Running(f"{scheme}://{host}:{port}", port, thread, _missing())
        finally:
            state.closing = True
            server.should_exit = True
            thread.join(timeout=chosen.grace + 5)


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
