"""Messages between two processes of this machine: a length of four bytes, and JSON; bounded in size and in time."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress

from pydantic import BaseModel

_HEAD = struct.Struct(">I")
_SEND_SECONDS = 30


class ChannelError(Exception):
    """The other side ended, reads nothing, or says more than it may."""


class Channel:
    """One end. Any thread may send; one receives. ``longest``: bytes of a message that may come in."""

    def __init__(self, end: socket.socket, longest: int) -> None:
        self._end, self._longest, self._lock = end, longest, threading.Lock()
        # Whoever reads nothing must not hold us up for ever; receiving may wait.
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_SECONDS, 0))

    def send(self, message: BaseModel) -> None:
        """Raises ChannelError."""
        content = message.model_dump_json().encode()
        try:
            with self._lock:
                self._end.sendall(_HEAD.pack(len(content)) + content)
        except OSError as exc:
            raise ChannelError(f"it takes no message: {exc}") from exc

    def receive(self) -> bytes:
        """The next message, as it came. Raises ChannelError at the end."""
        (length,) = _HEAD.unpack(self._exactly(_HEAD.size))
        if length > self._longest:
            raise ChannelError(f"it says {length:,} bytes at once, more than {self._longest:,}")
        return self._exactly(length)

    def close(self) -> None:
        """Wakes whoever receives, on both sides."""
        with suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)
        self._end.close()

    def _exactly(self, count: int) -> bytes:
        found = bytearray()
        while len(found) < count:
            try:
                piece = self._end.recv(min(count - len(found), 1 << 20))
            except OSError as exc:
                raise ChannelError(f"it cannot be heard: {exc}") from exc
            if not piece:
                raise ChannelError("it ended")
            found += piece
        return bytes(found)
