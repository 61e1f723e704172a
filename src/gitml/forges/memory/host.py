"""Where the forge lives: bare repositories in a folder, the state beside them, one turn after another for everybody."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from gitml import clock
from gitml.errors import RefError, UsageError
from gitml.files import write_file
from gitml.forges.governed import Account
from gitml.forges.memory.history import History
from gitml.forges.memory.state import ForgeState
from gitml.git.repository import Repository
from gitml.git.runner import git

ZERO = "0" * 40
# Fetches name commits, and leave out what they do not need.
_CONFIG = """\
[uploadpack]
\tallowFilter = true
\tallowAnySHA1InWant = true
[receive]
\tautogc = false
[gc]
\tauto = 0
"""


class Host:
    """``FOLDER/OWNER/NAME.git`` is the repository, or a fork of it; all that Git does not know is in ``state``."""

    def __init__(self, folder: Path, state: ForgeState, now: Callable[[], datetime] = clock.now) -> None:
        self.folder, self.state, self.clock = folder, state, now
        self.key = secrets.token_hex(8)
        self.lock = threading.RLock()
        self._histories: dict[str, History] = {}

    def path(self, repository: str = "") -> Path:
        """The bare repository of ``owner/name``."""
        return self.folder / f"{repository or self.state.repository}.git"

    def history(self, repository: str = "") -> History:
        name = repository or self.state.repository
        if name not in self._histories:
            self._histories[name] = History(Repository(self.path(name)))
        return self._histories[name]

    def now(self) -> str:
        """UTC, ISO with a Z."""
        return self.clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def page(self, path: str) -> str:
        return f"{self.folder}/{self.state.repository}/{path}"

    def heads(self, repository: str = "") -> dict[str, str]:
        """The branches as Git has them now."""
        found = self.history(repository).repository.refs("refs/heads")
        return {name.removeprefix("refs/heads/"): commit for name, commit in found.items()}

    def head(self, branch: str, repository: str = "") -> str | None:
        """The newest commit of a branch."""
        return self.heads(repository).get(branch)

    def commit(self, name: str) -> str | None:
        """The commit of a full id or of a branch."""
        return name if self.history().find(name) else self.head(name)

    def move(self, branch: str, old: str | None, new: str | None, repository: str = "") -> None:
        """Move a branch. Raises OutsideError when it is not at ``old`` any more."""
        words = ("update-ref", f"refs/heads/{branch}", new or ZERO, old or ZERO)
        git(self.path(repository), *words)

    def hold(self, number: int, commit: str) -> None:
        """Have the head of a pull request under a ref that lasts when its branch goes away."""
        write_file(self.path() / f"refs/pull/{number}/head", f"{commit}\n".encode())

    def bring(self, repository: str, commit: str) -> None:
        """Have a commit of a fork in the repository itself."""
        if repository != self.state.repository:
            git(self.path(), "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", self.path(repository), commit)

    def person(self, login: str) -> Account:
        """Raises RefError for a login that nobody has."""
        found = self.state.account(login)
        if found is None:
            raise RefError(f"the forge has no account {login}", "add it first")
        return found.person

    def close(self) -> None:
        """End the processes that read the repositories; whoever reads next starts them again."""
        for history in self._histories.values():
            history.repository.close()


def create_bare(bare: Path, branch: str, source: Path | None = None) -> None:
    """A bare repository: empty, or with all branches of ``source``. Raises UsageError where something lies already."""
    if bare.exists():
        raise UsageError(f"{bare} is there already", "choose another folder, or another name")
    bare.mkdir(parents=True)
    git(bare, "init", "--quiet", "--bare", "--template=", f"--initial-branch={branch}")
    with (bare / "config").open("a", encoding="utf-8") as stream:
        stream.write(_CONFIG)
    if source:
        git(bare, "fetch", "--quiet", "--no-write-fetch-head", source, "+refs/heads/*:refs/heads/*")
