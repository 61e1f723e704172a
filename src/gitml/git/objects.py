"""GitPython's object model over one repository. Only ``repository`` imports this, when it first reads: it takes 40 ms.

GitPython's own processes get the environment of ``process``, without the user's ``GIT_*``. They read through one
``git cat-file --batch``, so partial clones, alternates and packs that come or go meanwhile are Git's own business.
"""

from __future__ import annotations

import io
import subprocess
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import git
import gitdb
from git.refs.symbolic import SymbolicReference

from gitml.errors import OutsideError
from gitml.git.runner import settings
from gitml.process import start


class LoadedObject(NamedTuple):
    """An object: ``kind`` is blob, tree, commit or tag. ``content`` is None where ``size`` was too large to read."""

    kind: str
    size: int
    content: bytes | None


class _Children(git.Git):
    """How GitPython starts Git: with ``gitml_env``, in a session of its own so that Ctrl-C does not end it first."""

    gitml_env: Mapping[str, str] = {}

    def execute(self, command: Sequence[str], **_: Any) -> git.Git.AutoInterrupt:  # type: ignore[override]
        env = {**settings({}), **self.gitml_env}
        folder = Path(self.working_dir or "/")
        return self.AutoInterrupt(start(command, cwd=folder, env=env, stdin=subprocess.PIPE), command)


class _Repo(git.Repo):
    GitCommandWrapperType = _Children

    @property
    def common_dir(self) -> str:
        """GitPython's own asks GIT_COMMON_DIR, which a hook may have set for another repository."""
        told = Path(self.git_dir, "commondir")
        return str(Path(self.git_dir, told.read_text().strip())) if told.is_file() else str(self.git_dir)


class Objects:
    """Objects and refs of a repository with SHA-1 names and refs in files. Safe to use from several threads.

    Names of objects are full hex ids and names of refs full ones: nothing else reaches GitPython.
    """

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        try:
            self._repo = _Repo(folder, expand_vars=False, search_parent_directories="GIT_DIR" not in env)
        except (git.InvalidGitRepositoryError, git.NoSuchPathError) as exc:
            raise OutsideError(f"{folder} is not in a Git repository", "run `git init` first") from exc
        cast("_Children", self._repo.git).gitml_env = env
        self._loose = gitdb.LooseObjectDB(str(Path(self._repo.common_dir, "objects")))
        self._lock = threading.Lock()
        # Runs before the pipes are collected, also where this is part of a cycle.
        weakref.finalize(self, self._repo.close)

    @property
    def is_supported(self) -> bool:
        """GitPython reads neither SHA-256 names nor reftables."""
        config = Path(self._repo.common_dir, "config").read_text(encoding="utf-8", errors="replace").lower()
        return not any(word in config for word in ("objectformat", "refstorage"))

    def ref(self, name: str) -> str | None:
        """The id that the ref points to, or None."""
        try:
            return SymbolicReference.dereference_recursive(self._repo, name)
        except (ValueError, OSError):
            return None

    def refs(self, under: str) -> dict[str, str]:
        """The refs below ``under``, such as ``refs/heads``, and the ids that they point to."""
        found = git.Reference.iter_items(self._repo, under)
        return {ref.path: name for ref in found if (name := self.ref(ref.path))}

    def load(self, name: str, largest: int = 0) -> LoadedObject | None:
        """The object, or None where it is not here. Raises OSError when Git's process ended."""
        with self._lock:
            try:
                found = self._repo.odb.stream(bytes.fromhex(name))
            except (ValueError, OSError) as exc:
                reader = self._repo.git.cat_file_all
                if isinstance(exc, ValueError) and reader is not None and reader.poll() is None:
                    return None
                self._repo.close()
                raise OSError("git cat-file ended") from exc
            size = int(found.size)
            content = None if 0 < largest < size else found.read()
            return LoadedObject(found.type.decode(), size, content)

    def store(self, kind: str, content: bytes) -> str:
        """Write an object; its id."""
        stored = self._loose.store(gitdb.IStream(kind.encode(), len(content), io.BytesIO(content)))
        return str(stored.hexsha.decode())

    def close(self) -> None:
        """End Git's process; the next ``load`` starts another."""
        with self._lock:
            self._repo.close()
