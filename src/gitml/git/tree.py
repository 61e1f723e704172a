"""The files of an application, wherever they are: in a work tree, or in a commit of a clone or of a bare mirror."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gitml.errors import OutsideError
from gitml.git.repository import FILE, FOLDER, LINK, Repository, TreeEntry


class Tree(Protocol):
    """Files by their paths from the folder of ``gitml.yaml``, with ``/`` between the parts.

    A path that leads out of the folder, or through a file, names nothing.
    """

    def entry(self, path: str) -> TreeEntry | None:
        """The file, link or folder at ``path``, or None."""

    def read(self, path: str) -> bytes | None:
        """The regular file at ``path``, or None. Raises OutsideError when it is there and cannot be read."""

    def entries(self, folder: str) -> tuple[TreeEntry, ...]:
        """What lies directly in ``folder``, in the order of names; nothing where there is no such folder."""

    def walk(self, folder: str = "") -> Iterator[TreeEntry]:
        """Everything below ``folder`` but the folders themselves, in the order of paths."""


@dataclass(frozen=True)
class WorkTree:
    """The files in ``root`` as they are now. Links on the way to a file are followed, as they are by any program."""

    root: Path

    def entry(self, path: str) -> TreeEntry | None:
        if not _is_inside(path):
            return None
        place = self.root / path
        if place.is_symlink():
            return TreeEntry(path, LINK)
        if place.is_file():
            return TreeEntry(path, FILE)
        return TreeEntry(path, FOLDER) if place.is_dir() else None

    def read(self, path: str) -> bytes | None:
        found = self.entry(path)
        if found is None or not found.is_file:
            return None
        try:
            return (self.root / path).read_bytes()
        except OSError as exc:
            raise OutsideError(f"{path} cannot be read: {exc.strerror}") from exc

    def entries(self, folder: str) -> tuple[TreeEntry, ...]:
        if folder and not _is_inside(folder):
            return ()
        before = f"{folder}/" if folder else ""
        try:
            with os.scandir(self.root / folder) as found:
                return tuple(sorted(TreeEntry(f"{before}{e.name}", _mode(e)) for e in found))
        except (FileNotFoundError, NotADirectoryError):
            return ()

    def walk(self, folder: str = "") -> Iterator[TreeEntry]:
        for found in self.entries(folder):
            if found.mode != FOLDER:
                yield found
            elif found.name != ".git":
                yield from self.walk(found.path)


def _mode(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return LINK
    return FOLDER if entry.is_dir() else FILE


@dataclass(frozen=True)
class CommitTree:
    """``commit`` of a repository, read as data. ``prefix`` is where gitml.yaml lies: ``''`` or ``'sub/'``.

    A commit that the repository does not have is an empty tree. ``largest``: files of more bytes are not read.
    """

    repository: Repository
    commit: str
    prefix: str = ""
    largest: int = 0

    def entry(self, path: str) -> TreeEntry | None:
        found = self.repository.entry(self.commit, self.prefix + path) if _is_inside(path) else None
        return found and found._replace(path=path)

    def read(self, path: str) -> bytes | None:
        found = self.entry(path)
        if found is None or not found.is_file:
            return None
        return self.repository.blob(found.id, self.largest)

    def entries(self, folder: str) -> tuple[TreeEntry, ...]:
        return self._entries(self.repository.entries, folder)

    def walk(self, folder: str = "") -> Iterator[TreeEntry]:
        yield from self._entries(self.repository.walk, folder)

    def _entries(self, listed: Callable[[str, str], tuple[TreeEntry, ...]], folder: str) -> tuple[TreeEntry, ...]:
        if folder and not _is_inside(folder):
            return ()
        found = listed(self.commit, f"{self.prefix}{folder}".rstrip("/"))
        return tuple(sorted(entry._replace(path=entry.path[len(self.prefix) :]) for entry in found))


def _is_inside(path: str) -> bool:
    return bool(path) and not any(part in ("", ".", "..") for part in path.split("/"))
