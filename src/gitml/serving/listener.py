"""Where a server listens: a socket that is bound, before anything answers on it."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from gitml.errors import OutsideError


@dataclass(frozen=True)
class Listen:
    """Where to listen; port 0: a free one. ``grace``: seconds for requests in work when the server ends."""

    host: str = "127.0.0.1"
    port: int = 8080
    grace: float = 20.0
    certificate: str | None = None
    key: str | None = None


def bound(listen: Listen) -> socket.socket:
    """Raises OutsideError if the port is taken."""
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


def url_of(listen: Listen, listener: socket.socket) -> str:
    """Where it answers."""
    scheme = "https" if listen.certificate else "http"
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    return f"{scheme}://{host}:{listener.getsockname()[1]}"
