"""One connection as uvicorn serves it, but patient with nobody who sends nothing."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gitml.serving.limits import Limits
from gitml.serving.transport import OnePiece
from gitml.serving.wire import WHOLE

_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def patient(limits: Limits) -> type[asyncio.Protocol]:
    """Connections with these limits."""

    class Limited(Patient):
        def __init__(self, *words: object, **named: object) -> None:
            super().__init__(*words, **named)  # type: ignore[arg-type]
            self.limits = limits

    return Limited


class Patient(HttpToolsProtocol, asyncio.Protocol):
    """A request whose head takes too long, or has no end, loses its connection. An answer leaves in one piece."""

    limits: Limits
    _pieces: OnePiece
    _timer: asyncio.TimerHandle | None = None
    _head = 0
    _in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._pieces = OnePiece(transport)
        super().connection_made(self._pieces)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        self._head += len(data)
        super().data_received(data)
        if not self._in_head:
            return
        if self._head > self.limits.head:
            self.transport.write(_TOO_LONG)
            self.transport.close()
        else:
            self._wait_for_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        # The rest of this piece is not counted: bodies of requests before may be in it.
        self._head, self._in_head = 0, True

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._disarm()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.scope[WHOLE] = True  # type: ignore[literal-required]

    def on_response_complete(self) -> None:
        self._pieces.flush()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        # Not for a head that came in one piece, which is the usual.
        if self._timer is None and not self.transport.is_closing():
            self._timer = self.loop.call_later(self.limits.head_seconds, self.transport.close)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
