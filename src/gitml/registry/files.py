"""Files of versions, found by the SHA-256 that their record says: on this machine, in Git, on the DVC remotes."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from gitml.dvc.lockentries import Content
from gitml.dvc.manifest import Fingerprint, fingerprint
from gitml.dvc.safety import refuse_escape
from gitml.errors import IntegrityError, OutsideError
from gitml.files import write_file
from gitml.git.tree import Tree
from gitml.registry.record import File, Record


class Remotes(Protocol):
    """What ``gitml.dvc.remotes.Depot`` does."""

    def fetch(self, content: Content, target: Path) -> bool:
        """Write ``content`` to ``target``, whole or not at all; False where no remote has it."""


@dataclass(frozen=True)
class Files:
    """A ``cache`` by SHA-256, and where what it lacks comes from.

    ``trees``: commits that may have small files of a record, best first. ``remotes`` opens the DVC remotes, and is only
    called when something is missing: DVC takes a second to import. ``largest``: a file of more bytes is not fetched.
    """

    cache: Path
    trees: Callable[[Record], Iterable[Tree]]
    remotes: Callable[[], AbstractContextManager[Remotes]]
    largest: int | None = None

    def bring(self, record: Record, names: Sequence[str]) -> dict[str, Path]:
        """The files ``names`` of the record, each with the recorded SHA-256.

        Raises IntegrityError for other bytes, OutsideError when a file cannot be had.
        """
        self._refuse_large(record, names)
        missing = [name for name in names if not self.has(record.files[name], name)]
        missing = [name for name in missing if not self._from_git(record, name)]
        if missing:
            self._from_remotes(record, missing)
        return {name: self.place(record.files[name], name) for name in names}

    def place(self, file: File, name: str) -> Path:
        """By its digest, and below it by its own name, which errors show."""
        return self.cache / file.sha256[:2] / file.sha256 / PurePosixPath(name).name

    def has(self, file: File, name: str) -> bool:
        """Whether the cache has it, undamaged. A damaged file goes, and is fetched again."""
        place = self.place(file, name)
        try:
            if fingerprint(place).sha256 == file.sha256:
                return True
        except (OSError, IntegrityError):
            pass
        if place.parent.exists():
            shutil.rmtree(place.parent)
        return False

    def _refuse_large(self, record: Record, names: Sequence[str]) -> None:
        for name in names:
            size = record.files[name].size
            if self.largest is not None and size > self.largest:
                raise OutsideError(f"{name} has {size:,} bytes, more than the {self.largest:,} that are fetched here")

    def _from_git(self, record: Record, name: str) -> bool:
        """Small outputs with ``cache: false`` live in Git."""
        refuse_escape(name, f"the record of {record.reference}")
        file = record.files[name]
        for tree in self.trees(record):
            try:
                raw = tree.read(name)
            except OutsideError:  # too large for Git
                continue
            if raw is not None and len(raw) == file.size and hashlib.sha256(raw).hexdigest() == file.sha256:
                write_file(self.place(file, name), raw)
                return True
        return False

    def _from_remotes(self, record: Record, names: Sequence[str]) -> None:
        contents = record.contents()
        for name in names:
            if name not in contents:
                raise OutsideError(
                    f"the record of {record.reference} does not say how DVC names {name}", "train or register it again"
                )
        with self.remotes() as remotes:
            for name in names:
                self._from_remote(remotes, contents[name], record.files[name])

    def _from_remote(self, remotes: Remotes, content: Content, file: File) -> None:
        place = self.place(file, content.path)
        self.cache.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=self.cache, prefix=".new-"))
        try:
            target = scratch / place.name
            if not remotes.fetch(content, target):
                raise OutsideError(
                    f"{content.path} ({content.digest}) is on no DVC remote",
                    f"was it pushed? `dvc push {content.path}` does, with the dvc.lock of its record's commit",
                )
            found = fingerprint(target)
            if found != Fingerprint(file.sha256, file.size):
                raise IntegrityError(
                    f"{content.path} from the remote has SHA-256 {found.sha256}, recorded is {file.sha256}",
                    "it is not what was recorded and was not used; look at the remote's history",
                )
            # As any folder: who may enter the cache is said by the folders above it.
            os.chmod(scratch, 0o755)  # noqa: S103
            _move(scratch, place.parent)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _move(scratch: Path, folder: Path) -> None:
    """Rename: the digest's folder appears with the whole file in it, or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        shutil.rmtree(folder)
    os.replace(scratch, folder)
