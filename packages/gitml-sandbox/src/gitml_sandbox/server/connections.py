"""Connections on which no request head arrives are closed: uvicorn waits for one without end."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


def patient(seconds: float) -> type[asyncio.Protocol]:
    """The HTTP protocol for ``uvicorn.Config(http=...)``: at most twice ``seconds`` for the head of a request."""

    class Patient(H11Protocol):
        _waited_for: Any = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._look_again()

        def _look_again(self) -> None:
            self.loop.call_later(seconds, self._look)

        def _look(self) -> None:
            if self.transport.is_closing():
                return
            last = self.cycle or self.transport
            waiting = self.conn.their_state is h11.IDLE
            if waiting and self._waited_for is last:
                self.transport.close()
                return
            self._waited_for = last if waiting else None
            self._look_again()

    return cast("type[asyncio.Protocol]", Patient)
