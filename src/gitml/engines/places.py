"""Folders and files by path or URL: the local disk, or whatever pyarrow or fsspec can reach."""

from __future__ import annotations

import os
import re
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.fs as pafs

from gitml.errors import OutsideError, UsageError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_BLOCK = 8 << 20
_LISTINGS = 20


class StoredFile(NamedTuple):
    """A file: its path below a folder, bytes, and nanoseconds since 1970 of its last change, 0 if unknown."""

    name: str
    size: int
    modified: int


@dataclass(frozen=True)
class StoragePlace:
    """A file or folder. ``local`` is its path on this machine, None for an object store; ``address`` gives the same
    place to ``place_of``."""

    filesystem: Any
    path: str
    address: str
    local: Path | None = None

    def __truediv__(self, name: str) -> StoragePlace:
        address, mark, options = self.address.partition("?")
        local = self.local / name if self.local else None
        return StoragePlace(self.filesystem, f"{self.path}/{name}", f"{address}/{name}{mark}{options}", local)

    @property
    def parent(self) -> StoragePlace:
        address, mark, options = self.address.partition("?")
        above = f"{address.rpartition('/')[0]}{mark}{options}"
        return StoragePlace(
            self.filesystem, self.path.rpartition("/")[0], above, self.local.parent if self.local else None
        )

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def exists(self) -> bool:
        return bool(self.filesystem.get_file_info(self.path).type != pafs.FileType.NotFound)

    def is_folder(self) -> bool:
        return bool(self.filesystem.get_file_info(self.path).type == pafs.FileType.Directory)

    def files(self) -> list[StoredFile]:
        """The files below this folder, sorted; hidden ones (``.x``, ``_x``, or below such) are left out."""
        found = self._below(recursive=True)
        entries = [_entry(f, f.path[len(self.path) :].lstrip("/")) for f in found if f.is_file]
        return sorted(e for e in entries if not any(part.startswith((".", "_")) for part in e.name.split("/")))

    def folders(self) -> list[str]:
        """The names of the folders right below this one, sorted, without hidden ones. One request of an object store
        for a thousand of them, however many files they hold."""
        found = self._below(recursive=False)
        names = (f.base_name for f in found if f.type == pafs.FileType.Directory)
        return sorted(name for name in names if not name.startswith((".", "_")))

    def _below(self, *, recursive: bool) -> list[Any]:
        chosen = pafs.FileSelector(self.path, recursive=recursive, allow_not_found=True)
        for _ in range(_LISTINGS):
            try:
                return list(self.filesystem.get_file_info(chosen))
            except FileNotFoundError:
                # Arrow lists, then asks whether the folder exists: one that came in between is an error to it. So is
                # a folder below that went.
                continue
        raise OutsideError(f"{self.path} changes faster than it can be listed", "try again")

    def entry(self) -> StoredFile | None:
        """This file, under its own name; None if it is not there."""
        found = self.filesystem.get_file_info(self.path)
        return _entry(found, self.name) if found.is_file else None

    def write(self, fill: Callable[[Any], None]) -> None:
        """Let ``fill`` write to a stream; the file appears whole at the end, or not at all.

        Locally it is flushed to the disk under a hidden name and renamed. Object stores show an object when its
        upload is complete.
        """
        if self.local is None:
            folder = self.path.rpartition("/")[0]
            self.filesystem.create_dir(folder, recursive=True)
            _upload(self.filesystem, self.path, fill)
            return
        self.local.parent.mkdir(parents=True, exist_ok=True)
        # Machines that share a disk may have the same number for two processes.
        hidden = self.local.with_name(f".{self.local.name}.{uuid.uuid4().hex}.tmp")
        try:
            with hidden.open("wb") as stream:
                fill(stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(hidden, self.local)
        finally:
            hidden.unlink(missing_ok=True)

    def read_bytes(self) -> bytes:
        with self.filesystem.open_input_stream(self.path) as stream:
            return bytes(stream.read())

    def delete(self) -> None:
        self.filesystem.delete_file(self.path)


def _entry(found: Any, name: str) -> StoredFile:
    return StoredFile(name, found.size or 0, found.mtime_ns or 0)


def _upload(filesystem: Any, path: str, fill: Callable[[Any], None]) -> None:
    """Made on the local disk first: an upload that is closed by an error of ours would be a whole object of half the
    bytes."""
    with tempfile.TemporaryFile() as made:
        fill(made)
        made.seek(0)
        with filesystem.open_output_stream(path) as stream:
            while block := made.read(_BLOCK):
                stream.write(block)


def place_of(text: str | Path) -> StoragePlace:
    """A path or URL. Raises UsageError for a URL that nothing here can open, OutsideError for one without access."""
    words = str(text)
    if words.startswith("file://"):
        words = words.removeprefix("file://")
    if not _URL.match(words):
        local = Path(words).absolute()
        return StoragePlace(pafs.LocalFileSystem(), str(local), str(local), local)
    try:
        filesystem, path = pafs.FileSystem.from_uri(words)
        return StoragePlace(filesystem, path.rstrip("/"), words.rstrip("/"))
    except pa.ArrowInvalid:
        return _by_fsspec(words)
    except (OSError, pa.ArrowException) as exc:
        raise OutsideError(f"{words} cannot be reached: {exc}", "see the address and the credentials") from exc


def _by_fsspec(url: str) -> StoragePlace:
    import fsspec

    try:
        filesystem, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as exc:
        raise UsageError(f"nothing here opens {url}: {exc}", "install fsspec's package for it, such as adlfs") from exc
    return StoragePlace(pafs.PyFileSystem(pafs.FSSpecHandler(filesystem)), path.rstrip("/"), url.rstrip("/"))
