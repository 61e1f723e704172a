"""Objects and refs of one repository, whose content may be hostile: names from outside never become options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from gitml.git.runner import git

FILE, EXECUTABLE, LINK, FOLDER, SUBMODULE = "100644", "100755", "120000", "040000", "160000"


class Entry(NamedTuple):
    """What lies at ``path``. ``mode`` is Git's; ``id`` is Git's name of the content, empty in a work tree.

    A work tree calls every regular file 100644: whether it may be run is not looked at.
    """

    path: str
    mode: str
    id: str = ""

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file: links are not."""
        return self.mode in (FILE, EXECUTABLE)


@dataclass(frozen=True)
class Repository:
    """The repository of ``folder``: a work tree, or a bare one. ``env``: for the children that read it."""

    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def resolve(self, revision: str) -> str | None:
        """The commit that ``revision`` names, as Git's full id, or None."""
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        done = git(self.folder, *words, env=self.env, check=False)
        return done.stdout.decode().strip() or None if done.returncode == 0 else None

    def blob(self, name: str) -> bytes:
        """The content with Git's ``name``. Raises OutsideError when it is not here."""
        return git(self.folder, "cat-file", "blob", name, env=self.env).stdout

    def size(self, name: str) -> int:
        """Bytes of the object with Git's ``name``. Raises OutsideError when it is not here."""
        return int(git(self.folder, "cat-file", "-s", name, env=self.env).stdout)

    def entry(self, commit: str, path: str) -> Entry | None:
        """What ``commit`` has at ``path``, from the top; None where there is nothing, or no such commit."""
        return next((found for found in self._entries(commit, f":(top,literal){path}") if found.path == path), None)

    def entries(self, commit: str, folder: str = "") -> tuple[Entry, ...]:
        """What lies directly in ``folder``; nothing where there is no such folder or commit."""
        return tuple(self._entries(commit, *_below(folder)))

    def walk(self, commit: str, folder: str = "") -> tuple[Entry, ...]:
        """All files, links and submodules below ``folder``; nothing where there is no such folder or commit."""
        return tuple(self._entries(commit, *_below(folder), deep=True))

    def _entries(self, commit: str, *paths: str, deep: bool = False) -> Iterator[Entry]:
        tip = self.resolve(commit)
        if tip is None:
            return
        words = ("ls-tree", "-z", "--full-tree", *(["-r"] if deep else []), tip, "--", *paths)
        for line in git(self.folder, *words, env=self.env).stdout.decode("utf-8", "surrogateescape").split("\0"):
            about, _, path = line.partition("\t")
            if path:
                mode, _, name = about.split()
                yield Entry(path, mode, name)


def _below(folder: str) -> tuple[str, ...]:
    return (f":(top,literal){folder}/",) if folder else ()
