"""The objects of DVC's cache or of a remote: listed, read and deleted one by one."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dvc_data.hashfile.db import get_index

from gitml.dvc.sidefiles import SideFiles, put_whole
from gitml.errors import IntegrityError, OutsideError

OID = re.compile(r"[0-9a-f]{32}(?:\.dir)?")
_NAMES = re.compile(rb"(?<![0-9A-Za-z_])[0-9a-f]{32}(?:\.dir)?(?![0-9A-Za-z_])")
_PART = 1_000_000  # bytes
_MODIFIED = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")


@dataclass(frozen=True)
class Stored:
    """One object. ``oid`` is its MD5 (``….dir`` for a folder's listing), ``size`` in bytes, ``modified`` in seconds.

    ``modified`` is None where the storage does not tell.
    """

    oid: str
    size: int
    modified: float | None


def names_in(raw: bytes) -> frozenset[str]:
    """Whatever looks like DVC's name of an object, wherever in the file it stands.

    Nothing is parsed: a file in the middle of a merge, or of another DVC, keeps what it names too.

    >>> sorted(names_in(b"md5: d41d8cd98f00b204e9800998ecf8427e.dir"))
    ['d41d8cd98f00b204e9800998ecf8427e.dir']
    """
    return frozenset(found.decode() for found in _NAMES.findall(raw))


class Store:
    """The objects at one place; ``name`` is for people."""

    def __init__(self, name: str, odb: Any) -> None:
        self.name = name
        self._odb = odb
        self._local = odb.fs.protocol == "local"

    @property
    def place(self) -> str:
        """Where the objects lie, as a path or URL."""
        return str(self._odb.fs.unstrip_protocol(self._odb.path))

    @property
    def beside(self) -> SideFiles:
        """Files of ours at the same place."""
        return SideFiles(self.name, self._odb)

    def has(self, oid: str) -> bool:
        """Whether an object of that name is there. Raises OutsideError where that cannot be told."""
        try:
            return bool(self._odb.fs.exists(self._odb.oid_to_path(oid)))
        except Exception as exc:  # each kind of storage has errors of its own
            raise OutsideError(f"the {self.name} cannot be asked: {exc}") from exc

    def refuse_unseen(self) -> None:
        """Raise OutsideError where it cannot be shown that an object is gone: a server that is away, or a folder that
        is not mounted, has none of them either."""
        hint = "see that it is mounted and can be reached, and call this again"
        if self._local:
            if not Path(self._odb.path).is_dir():
                raise OutsideError(f"nothing is at {self.place}", hint)
            return
        if self._odb.fs.protocol in ("http", "https"):
            raise OutsideError(f"{self.place} cannot list its objects, so none can be shown to be gone", hint)
        try:
            self._odb.fs.fs.ls(self._odb.path)
        except Exception as exc:  # each kind of storage has errors of its own
            raise OutsideError(f"the objects of the {self.name} cannot be listed: {exc}", hint) from exc

    def put(self, oid: str, source: Path) -> None:
        """Copy a file there whose MD5 is its name. It appears whole."""
        try:
            put_whole(self._odb.fs, source, self._odb.oid_to_path(oid), mode=0o444)
        except Exception as exc:  # each kind of storage has errors of its own
            raise OutsideError(f"{oid} cannot be written to the {self.name}: {exc}") from exc

    def listed(self) -> dict[str, Stored]:
        """Every object, by its name. Files that are no objects are left out."""
        try:
            return {s.oid: s for s in (self._on_disk() if self._local else self._elsewhere())}
        except FileNotFoundError:  # nothing was ever pushed there
            return {}
        except Exception as exc:  # each kind of storage has errors of its own
            raise OutsideError(f"the objects of the {self.name} cannot be listed: {exc}") from exc

    def _on_disk(self) -> Iterator[Stored]:
        base = Path(self._odb.path)
        for prefix in sorted(base.iterdir()) if base.is_dir() else ():
            for entry in os.scandir(prefix) if prefix.is_dir() and not prefix.is_symlink() else ():
                found = entry.stat(follow_symlinks=False)
                oid = prefix.name + entry.name
                if stat.S_ISREG(found.st_mode) and OID.fullmatch(oid):
                    # DVC moves files in with their old time of writing; the time of the move is in ctime.
                    yield Stored(oid, found.st_size, max(found.st_mtime, found.st_ctime))

    def _elsewhere(self) -> Iterator[Stored]:
        # The storage's own class below DVC's, which hands on the names alone.
        found: Mapping[str, Mapping[str, Any]] = self._odb.fs.fs.find(self._odb.path, detail=True)
        for path, info in found.items():
            oid = "".join(path.split("/")[-2:])
            if OID.fullmatch(oid):
                yield Stored(oid, int(info.get("size") or 0), modified_of(info))

    def read(self, oid: str) -> bytes | None:
        """The object's bytes, or None if it is not there or they are not what its name says."""
        path = self._odb.oid_to_path(oid)
        try:
            raw = bytes(self._odb.fs.cat_file(path))
        except Exception:  # missing, unreachable, forbidden: it cannot be read, whatever the storage calls it
            return None
        return raw if hashlib.md5(raw, usedforsecurity=False).hexdigest() == oid.removesuffix(".dir") else None

    def fetch(self, oid: str, target: Path) -> bool:
        """Copy one object to ``target``; False if it is not there. However large, it is never held in memory.

        Raises IntegrityError when its bytes are not what its name says, OutsideError when the storage gives none.
        """
        digest = hashlib.md5(usedforsecurity=False)
        try:
            with self._odb.fs.open(self._odb.oid_to_path(oid), "rb") as source, target.open("wb") as copy:
                while part := source.read(_PART):
                    digest.update(part)
                    copy.write(part)
                copy.flush()
                os.fsync(copy.fileno())
        except FileNotFoundError:
            return False
        except Exception as exc:  # each kind of storage has errors of its own
            raise OutsideError(f"{oid} cannot be fetched from the {self.name}: {exc}") from exc
        if digest.hexdigest() != oid.removesuffix(".dir"):
            hint = "it was swapped or damaged there; it was not used, and the remote still has it for you to look at"
            raise IntegrityError(f"{oid} on the {self.name} has other bytes than its name says", hint)
        return True

    def delete(self, oids: Iterable[str]) -> Iterator[str]:
        """Delete one object after another and say which is gone.

        Listings go before the files that they list: a deletion that is killed leaves no listing without its files.
        """
        # DVC remembers what it saw on a remote, and would not push there again what we delete.
        index = get_index(self._odb)
        index.clear()
        index.close()
        for oid in sorted(oids, key=lambda o: (not o.endswith(".dir"), o)):
            self._delete(oid)
            yield oid

    def _delete(self, oid: str) -> None:
        path = self._odb.oid_to_path(oid)
        try:
            with suppress(FileNotFoundError):
                os.unlink(path) if self._local else self._odb.fs.remove(path)
        except Exception as exc:  # each kind of storage has errors of its own
            raise OutsideError(f"{oid} of the {self.name} cannot be deleted: {exc}") from exc


def modified_of(info: Mapping[str, Any]) -> float | None:
    """When the object was written, in seconds, as the storage's ``info`` of it says; None if it does not."""
    value = next((info[key] for key in _MODIFIED if info.get(key) is not None), None)
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, str):
        with suppress(ValueError):
            return datetime.fromisoformat(value).timestamp()
        return None
    return float(value) if isinstance(value, int | float) else None
