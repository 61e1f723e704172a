"""Arrays on a pipe between a process and one that runs a stranger's model: numbers as NumPy's format, words as JSON."""

from __future__ import annotations

import io
import json
import struct
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_LENGTH = struct.Struct(">cQ")
NUMBERS, WORDS, ERROR = b"n", b"w", b"e"


def send(stream: IO[bytes], array: NDArray[Any]) -> None:
    if array.dtype.kind == "O" or array.dtype.kind in "US":
        raw, kind = json.dumps(array.tolist()).encode(), WORDS
    else:
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        raw, kind = buffer.getvalue(), NUMBERS
    stream.write(_LENGTH.pack(kind, len(raw)) + raw)
    stream.flush()


def send_error(stream: IO[bytes], message: str) -> None:
    raw = message.encode()[:2000]
    stream.write(_LENGTH.pack(ERROR, len(raw)) + raw)
    stream.flush()


def receive(stream: IO[bytes], most: int) -> NDArray[Any] | str | None:
    """The next array, or the error's words; None at the end. Raises ValueError for what is neither, or larger than
    ``most`` bytes."""
    head = stream.read(_LENGTH.size)
    if not head:
        return None
    if len(head) < _LENGTH.size:
        raise ValueError("it ended in the middle")
    kind, length = _LENGTH.unpack(head)
    if length > most:
        raise ValueError(f"it says {length:,} bytes, at most {most:,} are expected")
    raw = stream.read(length)
    if len(raw) < length:
        raise ValueError("it ended in the middle")
    if kind == ERROR:
        return raw.decode("utf-8", "replace")
    if kind == WORDS:
        return np.array(json.loads(raw), dtype=object)
    if kind != NUMBERS:
        raise ValueError("it is no array")
    found: NDArray[Any] = np.load(io.BytesIO(raw), allow_pickle=False)
    return found
