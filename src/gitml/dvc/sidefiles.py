"""Files beside the objects of DVC's cache and remotes, by names of our own: what follows from an object and is none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitml.errors import OutsideError

FOLDER = "gitml-subjects"


@dataclass(frozen=True)
class SideFiles:
    """The files at one place; ``name`` is that of the place, for people. Names have no folders."""

    name: str
    odb: Any

    @property
    def _local(self) -> bool:
        return bool(self.odb.fs.protocol == "local")

    def _path(self, name: str) -> str:
        # Objects lie in files/md5 below the place.
        above = self.odb.fs.parent(self.odb.fs.parent(self.odb.path))
        return str(self.odb.fs.join(above, FOLDER, name))

    def has(self, name: str) -> bool:
        try:
            return bool(self.odb.fs.exists(self._path(name)))
        except Exception as exc:  # each kind of storage has errors of its own
            raise OutsideError(f"the {self.name} cannot be asked: {exc}") from exc

    def fetch(self, name: str, target: Path) -> bool:
        """Copy a file to ``target``; False where it is not there."""
        try:
            with self.odb.fs.open(self._path(name), "rb") as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
        except FileNotFoundError:
            return False
        except Exception as exc:  # each kind of storage has errors of its own
            raise OutsideError(f"{name} cannot be fetched from the {self.name}: {exc}") from exc
        return True

    def put(self, name: str, source: Path) -> None:
        """Copy ``source`` there. It appears whole."""
        place = self._path(name)
        try:
            put_whole(self.odb.fs, source, place)
        except Exception as exc:  # each kind of storage has errors of its own
            raise OutsideError(f"{name} cannot be written to the {self.name}: {exc}") from exc

    def delete(self, name: str) -> None:
        try:
            with suppress(FileNotFoundError):
                os.unlink(self._path(name)) if self._local else self.odb.fs.remove(self._path(name))
        except Exception as exc:  # each kind of storage has errors of its own
            raise OutsideError(f"{name} of the {self.name} cannot be deleted: {exc}") from exc

    def listed(self) -> tuple[str, ...]:
        """The names of all files, sorted."""
        try:
            return tuple(sorted(self._names()))
        except FileNotFoundError:
            return ()
        except Exception as exc:  # each kind of storage has errors of its own
            raise OutsideError(f"the {self.name} cannot be listed: {exc}") from exc

    def _names(self) -> Iterator[str]:
        folder = self._path("").rstrip("/")
        if self.odb.fs.exists(folder):
            yield from (str(path).rpartition("/")[2] for path in self.odb.fs.find(folder))


def put_whole(filesystem: Any, source: Path, place: str, mode: int = 0o644) -> None:
    """Copy a local file to a path of DVC's filesystem: on a disk under another name first, then renamed."""
    if filesystem.protocol != "local":
        filesystem.makedirs(filesystem.parent(place), exist_ok=True)
        filesystem.put_file(str(source), place)
        return
    target = Path(place)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, hidden = tempfile.mkstemp(dir=target.parent, prefix=".", suffix=".tmp")
    os.close(handle)
    try:
        shutil.copyfile(source, hidden)
        os.chmod(hidden, mode)
        os.replace(hidden, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(hidden)
