"""Commits made beside the work tree, and pushed only if nobody moved the branch meanwhile."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitml import clock
from gitml.errors import IntegrityError, OutsideError
from gitml.git.commands import Git
from gitml.git.orphan import Remote
from gitml.git.repository import FILE, FOLDER, Repository, TreeEntry

_MOVED = re.compile("stale info|fetch first|non-fast-forward|failed to update ref|incorrect old value|already exists")
_BLOCKED = re.compile("cannot lock ref|directory file conflict|exists; cannot create")
# What would end a name or an address in the header of a commit.
_ENDS = re.compile(r"[<>\n\0]")


@dataclass(frozen=True)
class Who:
    """Author and committer of a commit."""

    name: str
    email: str

    def __str__(self) -> str:
        return f"{_ENDS.sub('', self.name).strip()} <{_ENDS.sub('', self.email).strip()}>"


def commit_file(git: Git, parent: str, path: str, content: bytes, message: str, who: Who) -> str:
    """A commit on top of ``parent`` in which ``path`` (from the top) is ``content``; on no branch yet.

    A file or folder of that name that is in the way goes.
    """
    return commit_files(git, parent, {path: content}, message, who)


def commit_files(git: Git, parent: str, files: Mapping[str, bytes], message: str, who: Who) -> str:
    """The same with several files."""
    tree = git.repository.tree_of(parent)
    if tree is None:
        raise OutsideError(f"the clone lacks the commit {parent}", "git fetch origin")
    for path, content in files.items():
        tree = tree_with(git.repository, tree, path, content)
    return commit_tree(git, tree, [parent], message, who)


def tree_with(repository: Repository, tree: str, path: str, content: bytes | None) -> str:
    """The tree in which ``path`` is ``content``, or is not there for None. An empty ``tree`` has nothing yet."""
    parts = path.split("/")
    if any(part in ("", ".", "..") or part.casefold() == ".git" for part in parts):
        raise IntegrityError(f"{path[:200]!r} is not the path of a file")
    blob = None if content is None else repository.store("blob", content)
    return _with(repository, tree, parts, blob) or repository.store("tree", b"")


def _with(repository: Repository, tree: str, parts: Sequence[str], blob: str | None) -> str:
    """The tree's id, empty when nothing is left in it."""
    rows = dict(repository.rows(tree)) if tree else {}
    name, *below = parts
    if below:
        there = rows.get(name)
        inner = _with(repository, there.id if there and there.mode == FOLDER else "", below, blob)
        new = TreeEntry(name, FOLDER, inner) if inner else None
    else:
        new = TreeEntry(name, FILE, blob) if blob else None
    rows = {**rows, name: new} if new else {other: row for other, row in rows.items() if other != name}
    # Git sorts folders as if their names ended in a slash.
    ordered = sorted((_bytes(row.path + "/" * (row.mode == FOLDER)), row) for row in rows.values())
    lines = (b"%s %s\0%s" % (r.mode.lstrip("0").encode(), _bytes(r.path), bytes.fromhex(r.id)) for _, r in ordered)
    return repository.store("tree", b"".join(lines)) if rows else ""


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def commit_paths(git: Git, parent: str, paths: Sequence[str], message: str, who: Who) -> str | None:
    """A commit on top of ``parent`` with ``paths`` as the work tree has them: those that are not there go.

    On no branch yet, and the index stays as it is. None when it would change nothing.
    """
    with tempfile.TemporaryDirectory(prefix="gitml-index-") as folder:
        env = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
        git.read("read-tree", parent, env=env)
        if paths:
            words = ("-c", "core.autocrlf=false", "update-index", "--add", "--remove", "-z", "--stdin")
            git.read(*words, env=env, stdin="\0".join(paths).encode("utf-8", "surrogateescape"))
        tree = git.read("write-tree", env=env).decode().strip()
    return None if tree == git.repository.tree_of(parent) else commit_tree(git, tree, [parent], message, who)


def commit_tree(git: Git, tree: str, parents: Sequence[str], message: str, who: Who) -> str:
    """A commit of ``tree``, on no branch yet."""
    above = "".join(f"parent {parent}\n" for parent in parents)
    made = f"{who} {int(clock.timestamp())} +0000"
    text = f"tree {tree}\n{above}author {made}\ncommitter {made}\n\n{message.rstrip()}\n"
    return git.repository.store("commit", text.encode("utf-8", "surrogateescape"))


def tip_of(root: Path, remote: Remote, branch: str) -> str | None:
    """The commit that the remote's branch is at now, None when there is no such branch."""
    said = remote.git(root, "ls-remote", remote.url, f"refs/heads/{branch}").decode()
    found = (line.split("\t") for line in said.splitlines())
    return next((commit for commit, name in found if name == f"refs/heads/{branch}"), None)


def bring(git: Git, remote: Remote, commit: str, *, whole: bool = False) -> None:
    """Have ``commit`` of the remote in the clone; ``whole``: with all its history.

    No ref of the clone moves.
    """
    words = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head"]
    if whole and git.is_shallow():
        remote.git(git.root, *words, "--unshallow", remote.url, commit)
    elif git.resolve(commit) is None:
        remote.git(git.root, *words, remote.url, commit)


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
        if "protected" not in exc.message and (_MOVED.search(exc.message) or _BLOCKED.search(exc.message)):
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
