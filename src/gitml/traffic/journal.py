"""A journal: Arrow batches appended to one local file, each in a frame that tells whether all of it was written.

What a killed process left is read up to the last whole frame. The process that writes holds a lock on the file, which
the kernel drops when it dies: a journal that can be locked has no owner any more.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Self

import pyarrow as pa

SUFFIX = ".journal"
_TRIES = 5
_MAGIC = b"GJ1\n"
_FRAME = struct.Struct("<4sQI")  # magic, bytes of the Arrow stream, CRC-32 of it


def _begun(path: Path) -> IO[bytes]:
    """The locked file. It gets its name once it is locked, or another process would take it for an orphan. Whoever
    sweeps up what killed processes left may still come in between and take it away: then it is begun again."""
    unnamed = path.with_name(f".{path.name}.new")
    for _ in range(_TRIES):
        file = unnamed.open("xb", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rename(unnamed, path)
        except (BlockingIOError, FileNotFoundError):
            file.close()
            unnamed.unlink(missing_ok=True)
        except OSError:
            file.close()
            raise
        else:
            return file
    raise OSError(f"{unnamed} is taken away each time")


class Journal:
    """The journal at ``path``, new and locked. ``size`` is the bytes of its whole frames."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file: IO[bytes] = _begun(path)
        self.size = 0

    @property
    def name(self) -> str:
        return self.path.name.removesuffix(SUFFIX)

    def append(self, batch: pa.RecordBatch) -> None:
        """Write the batch to the disk, whole or, with an OSError, not at all."""
        raw = _packed(batch)
        try:
            _write_all(self._file, _FRAME.pack(_MAGIC, len(raw), zlib.crc32(raw)) + raw)
            os.fsync(self._file.fileno())
        except OSError:
            # Half a frame would hide those after it. On a full disk cutting works where writing does not.
            with suppress(OSError):
                self._file.seek(self.size)
                self._file.truncate(self.size)
            raise
        self.size = self._file.tell()

    def close(self) -> None:
        """Let go of the lock; the file stays."""
        let_go(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def let_go(file: IO[bytes]) -> None:
    """Close a locked file. A process that is just being started has a copy of it, which would keep the lock until its
    own program begins: then nobody could take the journal over."""
    fcntl.flock(file, fcntl.LOCK_UN)
    file.close()


def _packed(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def _write_all(file: IO[bytes], raw: bytes) -> None:
    view = memoryview(raw)
    while view:
        view = view[file.write(view) :]


def frames(file: IO[bytes], until: int | None = None) -> Iterator[pa.RecordBatch]:
    """The batches of an open journal, one at a time, up to the first frame that is not whole, or to byte ``until``."""
    while until is None or file.tell() < until:
        head = file.read(_FRAME.size)
        if len(head) < _FRAME.size:
            return
        magic, length, crc = _FRAME.unpack(head)
        left = os.fstat(file.fileno()).st_size - file.tell()
        if magic != _MAGIC or length > left:
            return
        raw = file.read(length)
        if len(raw) < length or zlib.crc32(raw) != crc:
            return
        with pa.ipc.open_stream(raw) as stream:
            yield from stream


def take_over(path: Path) -> IO[bytes] | None:
    """The journal, open and locked, if the process that wrote it is gone; None if somebody has it, or had it."""
    try:
        file = path.open("r+b")  # NFS locks only what may be written
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file.fileno()).st_nlink:  # the one who had the lock before us may have finished the journal
            return file
    except BlockingIOError:
        pass
    file.close()
    return None
