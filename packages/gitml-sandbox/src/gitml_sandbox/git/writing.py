"""New commits made by the forge: edits of a file, merges, squashes, rebases. Moves no ref."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gitml_sandbox.errors import FailedError
from gitml_sandbox.git.reading import EMPTY_TREE, Commit, Signature, commits
from gitml_sandbox.git.repository import commits_between, git, out


class ConflictError(FailedError):
    """The two sides cannot be merged by a machine."""


@dataclass(frozen=True)
class Stamp:
    """Who writes a commit, and when (ISO, UTC)."""

    author: Signature
    committer: Signature

    def environment(self) -> Mapping[str, str]:
        """The variables that git reads."""
        return {
            "GIT_AUTHOR_NAME": self.author.name,
            "GIT_AUTHOR_EMAIL": self.author.email,
            "GIT_AUTHOR_DATE": self.author.date,
            "GIT_COMMITTER_NAME": self.committer.name,
            "GIT_COMMITTER_EMAIL": self.committer.email,
            "GIT_COMMITTER_DATE": self.committer.date,
        }


_NOBODY = Stamp(
    Signature("gitml", "gitml@localhost", "1970-01-01T00:00:00Z"),
    Signature("gitml", "gitml@localhost", "1970-01-01T00:00:00Z"),
)


def write_blob(repo: Path, content: bytes) -> str:
    return git(repo, "hash-object", "-w", "--stdin", "--no-filters", stdin=content).stdout.decode().strip()


def edit_tree(repo: Path, treeish: str | None, changes: Mapping[str, tuple[str, str] | None]) -> str:
    """A tree with some paths set to (mode, blob) or, with None, removed. ``treeish`` None: from nothing."""
    with tempfile.TemporaryDirectory(prefix="gitml-index-") as folder:
        env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git(repo, "read-tree", treeish or EMPTY_TREE, env=env) if treeish else None
        lines = []
        for path, value in changes.items():
            mode, sha = value or ("0", "0" * 40)
            lines.append(f"{mode} {sha}\t{path}\0")
        words = "".join(lines).encode(errors="surrogateescape")
        # --replace lets a file take the place of a folder of that name.
        git(repo, "update-index", "--add", "--replace", "-z", "--index-info", stdin=words, env=env)
        return out(repo, "write-tree", env=env)


def make_commit(repo: Path, tree: str, parents: list[str], message: str, stamp: Stamp) -> str:
    words = [word for parent in parents for word in ("-p", parent)]
    done = git(repo, "commit-tree", tree, *words, stdin=message.encode(errors="replace"), env=stamp.environment())
    return done.stdout.decode().strip()


def merge_tree(repo: Path, base: str, head: str) -> str:
    """The tree of both together. Raises ConflictError."""
    done = git(
        repo, "merge-tree", "--write-tree", "--allow-unrelated-histories", "--no-messages", base, head, check=False
    )
    tree = done.stdout.decode().split("\n", 1)[0].strip()
    if done.returncode != 0 or not tree:
        raise ConflictError("the branches have conflicts")
    return tree


def rebased(repo: Path, base: str, head: str, committer: Signature) -> str:
    """The commits of head that base has not, replayed on base one by one; merges are left out, as on GitHub.

    Raises ConflictError.
    """
    tip = base
    for commit in commits(repo, commits_between(repo, base, head)):
        if len(commit.parents) > 1:
            continue
        tip = _replay(repo, commit, tip, committer)
    return tip


def _replay(repo: Path, commit: Commit, onto: str, committer: Signature) -> str:
    tree = _three_way(repo, commit.parents[0] if commit.parents else EMPTY_TREE, onto, commit.sha)
    return make_commit(repo, tree, [onto], commit.message, Stamp(commit.author, committer))


def _three_way(repo: Path, base: str, ours: str, theirs: str) -> str:
    """Merge with a chosen base. git before 2.40 has no --merge-base, so three parentless stand-ins say it."""
    root = make_commit(repo, f"{base}^{{tree}}", [], "base", _NOBODY)
    left = make_commit(repo, f"{ours}^{{tree}}", [root], "ours", _NOBODY)
    right = make_commit(repo, f"{theirs}^{{tree}}", [root], "theirs", _NOBODY)
    return merge_tree(repo, left, right)
