"""What a server's process prints as it fails: kept on this machine, as much as a person reads, and sent nowhere."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

SERVER_LOG = "server.log"
# Bytes of the file, of which there are two; and of what is read at once. Who prints more than ten of these a second
# waits: it costs the machine nothing.
MOST, _PIECE = 1 << 20, 1 << 16


def keep(stream: IO[bytes], path: Path | None) -> threading.Thread:
    """Have a thread read ``stream`` to its end into ``path``; the file before it becomes ``path.1``. None: nowhere.

    Whatever keeps the file from being written, the stream is read on.
    """
    thread = threading.Thread(target=_kept, args=(stream, path), daemon=True, name="gitml-child-log")
    thread.start()
    return thread


def _kept(stream: IO[bytes], path: Path | None) -> None:
    with stream:
        while piece := os.read(stream.fileno(), _PIECE):
            if path is not None:
                with suppress(OSError):
                    _add(path, piece)
            if len(piece) == _PIECE:
                time.sleep(0.1)


def _add(path: Path, piece: bytes) -> None:
    # A folder of the agent alone; all the same no link is followed.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, piece)
        is_full = os.fstat(handle).st_size >= MOST
    finally:
        os.close(handle)
    if is_full:
        os.replace(path, path.with_name(f"{path.name}.1"))
