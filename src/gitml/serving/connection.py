"""One connection as uvicorn serves it, but patient with nobody who sends nothing. Answers leave in one piece, and at
once where nothing has to be waited for.

The only module that relies on uvicorn's internals: ``server`` imports it on releases of ``gitml.internals`` alone.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gitml.serving.eager import begun
from gitml.serving.limits import Limits
from gitml.serving.wire import WHOLE

_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_HEAD, _CONTINUE = b"HTTP/1.1 ", b"HTTP/1.1 100 "


class Crowd:
    """The connections of one server, counted; those that wait for a request, longest first. For its loop's thread."""

    def __init__(self, most: int) -> None:
        self._most, self._count = most, 0
        self._waiting: dict[Patient, None] = {}
        self._asked: Patient | None = None

    def came(self, one: Patient) -> None:
        """Beyond the limit somebody who waits makes room: whoever holds connections shuts nobody out."""
        self._count += 1
        if self._count > self._most:
            oldest = next(iter(self._waiting), one)
            self.busy(oldest)
            oldest.transport.close()
        self.waits(one)

    def waits(self, one: Patient) -> None:
        self._waiting[one] = None

    def busy(self, one: Patient) -> None:
        self._waiting.pop(one, None)

    def asks(self, one: Patient) -> bool:
        """Whether it was the last one that did, too."""
        before, self._asked = self._asked, one
        return before is one

    def left(self, one: Patient) -> None:
        self._count -= 1
        self.busy(one)
        if self._asked is one:
            self._asked = None


def patient(limits: Limits, most: int) -> type[asyncio.Protocol]:
    """Connections with these limits, ``most`` of them at once."""
    crowd = Crowd(most)

    class Limited(Patient):
        def __init__(self, *words: object, **named: object) -> None:
            super().__init__(*words, **named)  # type: ignore[arg-type]
            self.limits, self.crowd = limits, crowd

    return Limited


class Patient(HttpToolsProtocol, asyncio.Protocol):
    """A request whose head takes too long, or has no end, loses its connection. An answer leaves in one piece.

    Where nobody else asked in between, a request that comes in one piece is answered within it, as far as that goes
    without waiting: a task would cost two more turns of the loop. Of many callers each step is done for all of a turn,
    which suits the processor's caches better.
    """

    limits: Limits
    crowd: Crowd
    _pieces: OnePiece
    _timer: asyncio.TimerHandle | None = None
    _head = 0
    _in_head = True
    _is_alone = _begins = False
    _next: tuple[Any, Any] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._pieces = OnePiece(transport)
        super().connection_made(self._pieces)
        self._wait_for_head()
        self.crowd.came(self)

    def data_received(self, data: bytes) -> None:
        self._head += len(data)
        self._is_alone = self.crowd.asks(self)
        super().data_received(data)
        if self._next is not None:  # its body is still on the way
            asked, self._next = self._next, None
            super()._start_asgi_task(*asked)
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
        self.crowd.busy(self)
        self._disarm()
        self._begins = self._is_alone
        super().on_headers_complete()
        self._begins = self._is_alone = False

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.scope[WHOLE] = True  # type: ignore[literal-required]
        if self._next is not None:
            (cycle, app), self._next = self._next, None
            if task := begun(cycle.run_asgi(app), self.loop):
                task.add_done_callback(self.tasks.discard)
                self.tasks.add(task)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if self._begins:
            self._next = cycle, app
        else:
            super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        self._pieces.flush()
        self.crowd.waits(self)
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self.crowd.left(self)
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        # Not for a head that came in one piece, which is the usual.
        if self._timer is None and not self.transport.is_closing():
            self._timer = self.loop.call_later(self.limits.head_seconds, self.transport.close)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class OnePiece(asyncio.Transport):
    """Sends the head of an answer together with its body; ``flush`` once an answer is complete.

    uvicorn writes one after the other, and each write is a call of the system that wakes the caller up: on one machine
    that costs more than a small model.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport, self._head = transport, b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._head and data[: len(_HEAD)] == _HEAD and data[: len(_CONTINUE)] != _CONTINUE:
            self._head = bytes(data)
            return
        head, self._head = self._head, b""
        self._transport.write(head + data)

    def flush(self) -> None:
        if self._head:
            self.write(b"")

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()
