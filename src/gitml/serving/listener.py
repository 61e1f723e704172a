"""Where a server listens: a socket that is bound, before anything answers on it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from gitml.errors import OutsideError


@dataclass(frozen=True)
class Listen:
    """Where to listen; port 0: a free one. ``grace``: seconds for requests in work when the server ends."""

    host: str = "127.0.0.1"
    port: int = 8080
    grace: float = 20.0
    certificate: str | None = None
    key: str | None = None


@contextmanager
def bound_for(processes: int, listen: Listen) -> Iterator[tuple[socket.socket, ...]]:
    """A socket for each of several processes, all at one port: the kernel gives each connection to one of them.

    One socket for all would give bursts of connections to whichever process wakes first. Raises OutsideError if the
    port is taken.
    """
    with ExitStack() as stack:
        found: list[socket.socket] = []
        for _ in range(processes):
            found.append(stack.enter_context(bound(listen, shared=processes > 1)))
            listen = replace(listen, port=int(found[0].getsockname()[1]))
        yield tuple(found)


def bound(listen: Listen, *, shared: bool = False) -> socket.socket:
    """``shared``: others of this user may listen there too, if they say so.

    Raises OutsideError if the port is taken.
    """
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
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
