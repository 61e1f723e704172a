"""A transport that sends the head of an answer together with its body.

uvicorn writes one after the other, and each write is a call of the system that wakes the caller up: on one machine
that costs more than a small model.
"""

from __future__ import annotations

import asyncio
from typing import Any

_HEAD, _CONTINUE = b"HTTP/1.1 ", b"HTTP/1.1 100 "


class OnePiece(asyncio.Transport):
    """``flush`` once an answer is complete: one without a body is only its head."""

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
