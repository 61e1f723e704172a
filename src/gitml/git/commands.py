"""What gitml asks of Git. Porcelain formats with -z, no shell, none of the user's GIT_* variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from gitml.errors import OutsideError
from gitml.git.repository import Repository
from gitml.git.runner import git
from gitml.git.tree import CommitTree


class Git:
    """The Git repository that holds ``root``, which may be a sub-folder of it.

    ``prefix``: another folder that paths count from, where it need not be in the work tree: '' or 'sub/folder/'.
    """

    def __init__(self, root: Path, prefix: str | None = None) -> None:
        self.root = root
        if prefix is not None:
            self.prefix = prefix
        if not any((folder / ".git").exists() for folder in (root, *root.parents)):
            raise OutsideError(f"{root} is not in a Git repository", "run `git init` first")

    def read(self, *words: str, env: Mapping[str, str] | None = None, stdin: bytes | None = None) -> bytes:
        """What ``git WORDS…`` prints. Raises OutsideError with Git's own words."""
        return git(self.root, *words, env=env, stdin=stdin).stdout

    def text(self, *words: str) -> str:
        return self.read(*words).decode("utf-8", "surrogateescape")

    def _line(self, *words: str) -> str:
        return self.text(*words).rstrip("\n")

    def _fields(self, *words: str) -> list[str]:
        return [f for f in self.text(*words).split("\0") if f]

    @cached_property
    def prefix(self) -> str:
        """Where ``root`` lies in the repository: ``''``, or ``'sub/folder/'``."""
        return self._line("rev-parse", "--show-prefix")

    def resolve(self, revision: str) -> str | None:
        """The commit that ``revision`` names, in 40 hex digits, or None."""
        return self.repository.resolve(revision)

    def is_ancestor(self, commit: str, descendant: str) -> bool:
        """Whether ``commit`` is ``descendant`` or in its history; False when one is not here."""
        return git(self.root, "merge-base", "--is-ancestor", commit, descendant, check=False).returncode == 0

    @cached_property
    def top(self) -> Path:
        """The folder of the whole repository's files."""
        return Path(self._line("rev-parse", "--show-toplevel"))

    def is_shallow(self) -> bool:
        return self._line("rev-parse", "--is-shallow-repository") == "true"

    def changed_files(self) -> tuple[str, ...]:
        """Paths below ``root`` that differ from HEAD or are untracked and not ignored, relative to ``root``."""
        fields = self._fields("status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", "--", ".")
        paths = (f[3:] for f in fields)
        return tuple(sorted(p.removeprefix(self.prefix) for p in paths))

    def main_ref(self) -> str | None:
        """The branch that counts: origin's default, else origin/main, main, master; None if there is none."""
        candidates = (
            "refs/remotes/origin/HEAD",
            "refs/remotes/origin/main",
            "refs/heads/main",
            "refs/heads/master",
        )
        return next((ref for ref in candidates if self.resolve(ref)), None)

    def branches(self) -> tuple[str, ...]:
        """Full names of all local and remote-tracking branches."""
        return tuple(self.text("for-each-ref", "--format=%(refname)", "refs/heads", "refs/remotes").split())

    def commit_that_added(self, path: str, start: str = "HEAD") -> str | None:
        """The oldest commit that ``start`` reaches which brought the file ``path`` (relative to ``root``) in.

        Along first parents when that finds it: on main this is the commit that main took, merged or squashed.
        """
        for line in (["--first-parent", "-m"], []):
            found = self.text(
                "log", *line, "--diff-filter=A", "--format=%H", "--reverse", start, "--", f":(literal){path}"
            ).split()
            if found:
                return found[0]
        return None

    @cached_property
    def repository(self) -> Repository:
        return Repository(self.root)

    def at(self, commit: str) -> CommitTree:
        """The files below ``root`` as ``commit`` has them."""
        return CommitTree(self.repository, commit, self.prefix)

    def read_file(self, commit: str, path: str) -> bytes | None:
        """The regular file ``path`` (relative to ``root``) as ``commit`` has it, or None."""
        return self.at(commit).read(path)

    @contextmanager
    def worktree(self, commit: str, folder: Path, *, keep: bool = False) -> Iterator[Path]:
        """``commit`` checked out in ``folder``, whole and byte for byte; yields where ``root`` lies in it.

        Gone afterwards, unless ``keep``. No hook runs, and the user's line endings and sparse checkout do not count.
        """
        options = ("-c", "core.autocrlf=false", "-c", "core.sparseCheckout=false")
        try:
            self.read(*options, "worktree", "add", "--quiet", "--detach", "--force", str(folder), commit)
            yield folder / self.prefix
        finally:
            if not keep:
                self.forget_worktree(folder)

    def forget_worktree(self, folder: Path) -> None:
        """Remove a worktree and its registration, whatever state it is in."""
        git(self.root, "worktree", "remove", "--force", "--force", folder, check=False)

    def worktrees(self) -> tuple[Path, ...]:
        """All that are registered, also those whose folder is gone."""
        fields = self._fields("worktree", "list", "--porcelain", "-z")
        return tuple(Path(f.removeprefix("worktree ")) for f in fields if f.startswith("worktree "))

    def is_boundary(self, commit: str) -> bool:
        """Whether a shallow clone ends at ``commit``: it then seems to bring in every file it has."""
        return self.is_shallow() and self.resolve(f"{commit}^") is None
