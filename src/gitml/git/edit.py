"""A commit that changes one file, made beside the work tree and pushed only if nobody moved the branch meanwhile."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from gitml.errors import OutsideError
from gitml.git.orphan import Remote
from gitml.process import run

_MOVED = re.compile("stale info|fetch first|non-fast-forward|failed to update ref|incorrect old value|already exists")
_BLOCKED = re.compile("cannot lock ref|directory file conflict|exists; cannot create")
_QUIET = ("-c", f"core.hooksPath={os.devnull}", "-c", "core.autocrlf=false", "-c", "commit.gpgsign=false")


@dataclass(frozen=True)
class Who:
    """Author and committer of a commit."""

    name: str
    email: str

    def environment(self) -> dict[str, str]:
        named = {"NAME": self.name, "EMAIL": self.email}
        return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in named.items()}


def commit_file(root: Path, parent: str, path: str, content: bytes, message: str, who: Who) -> str:
    """A commit on top of ``parent`` in which ``path`` (from the top) is ``content``; on no branch yet."""
    with tempfile.TemporaryDirectory(prefix="gitml-index-") as folder:
        env = {**who.environment(), "GIT_INDEX_FILE": str(Path(folder, "index"))}
        blob = _git(root, env, "hash-object", "-w", "--stdin", stdin=content)
        _git(root, env, "read-tree", parent)
        # Lines of --index-info replace an entry, and drop what a file or folder of that name has in its way.
        line = f"100644 {blob}\t{path}\0".encode("utf-8", "surrogateescape")
        _git(root, env, "update-index", "--add", "--replace", "-z", "--index-info", stdin=line)
        tree = _git(root, env, "write-tree")
        return _git(root, env, "commit-tree", tree, "-p", parent, stdin=message.encode())


def _git(root: Path, env: dict[str, str], *words: str, stdin: bytes | None = None) -> str:
    return run(["git", *_QUIET, *words], cwd=root, env=env, stdin=stdin).stdout.decode().strip()


def tip_of(root: Path, remote: Remote, branch: str) -> str | None:
    """The commit that the remote's branch is at now, None when there is no such branch."""
    said = remote.git(root, "ls-remote", remote.url, f"refs/heads/{branch}").decode()
    found = (line.split("\t") for line in said.splitlines())
    return next((commit for commit, name in found if name == f"refs/heads/{branch}"), None)


def bring(root: Path, remote: Remote, commit: str, *, whole: bool = False) -> None:
    """Have ``commit`` of the remote in the clone at ``root``; ``whole``: with all its history.

    No ref of the clone moves.
    """
    is_there = run(["git", "cat-file", "-e", f"{commit}^{{commit}}"], cwd=root, check=False).returncode == 0
    shallow = _git(root, {}, "rev-parse", "--is-shallow-repository") == "true"
    words = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head"]
    if whole and shallow:
        remote.git(root, *words, "--unshallow", remote.url, commit)
    elif not is_there:
        remote.git(root, *words, remote.url, commit)


def swap(root: Path, remote: Remote, branch: str, old: str | None, new: str | None) -> bool:
    """Move the remote's branch from ``old`` (None: it is not there) to ``new`` (None: away); False if it moved.

    Raises OutsideError when the remote refuses.
    """
    ref = f"refs/heads/{branch}"
    lease = f"--force-with-lease={ref}:{old or ''}"
    try:
        remote.git(root, "push", "--quiet", "--no-verify", lease, remote.url, f"{new or ''}:{ref}")
    except OutsideError as exc:
        if _BLOCKED.search(exc.message) and tip_of(root, remote, branch) == old:
            taken = _in_the_way(root, remote, branch)
            if taken:
                raise OutsideError(f"the branch {taken} is in the way of {branch}", f"rename {taken}") from exc
        if _MOVED.search(exc.message) or _BLOCKED.search(exc.message):
            return False
        hint = "the token needs to write to the repository (contents: write)"
        raise OutsideError(f"{branch} could not be pushed: {_last(exc.message)}", hint) from exc
    return True


def _in_the_way(root: Path, remote: Remote, branch: str) -> str:
    """A repository with a branch x cannot have x/y, and the other way round."""
    parts = branch.split("/")
    above = [("/".join(parts[:i])) for i in range(1, len(parts))]
    taken = next((name for name in above if tip_of(root, remote, name)), "")
    if taken:
        return taken
    below = remote.git(root, "ls-remote", remote.url, f"refs/heads/{branch}/*").decode().split("\t")
    return below[1].splitlines()[0].removeprefix("refs/heads/") if len(below) > 1 else ""


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-3:])[:600]
