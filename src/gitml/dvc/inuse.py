"""Everything in a Git repository that may name an object of DVC: tips, stashes, indexes and work trees."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gitml.dvc.objects import names_in
from gitml.errors import InconclusiveError, IntegrityError, OutsideError
from gitml.git.commands import Git
from gitml.git.runner import git as run_git
from gitml.refs import VERSION

_RECORD = re.compile(rf"(?:.*/)?models/[^/]+/versions/{VERSION.pattern}\.json")
_DEPLOYMENT = re.compile(r"(?P<folder>(?:.*/)?models/[^/]+)/[^/]+\.ya?ml")
_PINNED = re.compile(rb"(?<![0-9A-Za-z])\d{8}T\d{6}Z-[0-9a-f]{8}(?![0-9A-Za-z])")
# Where Git keeps commits that no ref names while a merge, rebase, fetch or cherry-pick is under way.
_PSEUDO = (
    "HEAD",
    "ORIG_HEAD",
    "FETCH_HEAD",
    "MERGE_HEAD",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
    "AUTO_MERGE",
)


@dataclass
class Named:
    """``oids``: names of objects, each with a file that has it. ``records``: paths of version records.

    ``pinned``: paths of those that deployments want.
    """

    oids: dict[str, str] = field(default_factory=dict)
    records: set[str] = field(default_factory=set)
    pinned: set[str] = field(default_factory=set)

    def add(self, path: str, raw: bytes) -> None:
        """What the file ``path``, relative to the top, names."""
        deployment = _DEPLOYMENT.fullmatch(path)
        if deployment:
            self.pinned |= {f"{deployment['folder']}/versions/{v.decode()}.json" for v in _PINNED.findall(raw)}
            return
        if _RECORD.fullmatch(path):
            self.records.add(path)
        self.oids.update(dict.fromkeys(names_in(raw), path))


def _speaks(path: str) -> bool:
    name = path.rpartition("/")[2]
    return bool(name == "dvc.lock" or name.endswith(".dvc") or _RECORD.fullmatch(path) or _DEPLOYMENT.fullmatch(path))


def named(git: Git, tips: Iterable[str], *, cache: Path) -> Named:
    """What the trees of ``tips``, and all work trees with their indexes, name. ``cache`` itself is not searched.

    Raises InconclusiveError when a deployment wants a version whose record is to be had nowhere, OutsideError when
    something cannot be read: what is not known is not deleted.
    """
    found = Named()
    blobs = {entry for tip in set(tips) for entry in _in_tree(git, tip)}
    folders = _worktrees(git)
    for folder in folders:
        blobs |= set(_in_index(Git(folder)))
    for path, raw in _contents(git, sorted(blobs)):
        found.add(path, raw)
    for folder in folders:
        _in_folder(folder, cache, found)
    for path in sorted(found.pinned - found.records):
        found.add(path, _from_history(git, path))
    return found


def local_tips(git: Git) -> set[str]:
    """Branches (local and remote-tracking), tags, stashes, HEADs of all work trees, and all other refs."""
    tips: set[str] = set()
    form = "--format=%(objecttype) %(objectname) %(*objecttype) %(*objectname)"
    for line in git.text("for-each-ref", form).splitlines():
        kind, name = line.split()[-2:]
        if kind in ("commit", "tree"):
            tips.add(name)
        elif kind == "tag" and (commit := git.resolve(name)):  # a tag of a tag
            tips.add(commit)
    if git.resolve("refs/stash"):
        # A stash is a merge: its second parent is the index, its third the untracked files.
        tips |= set(git.text("log", "-g", "--format=%H %P", "refs/stash").split())
    tips |= {line[5:] for line in _worktree_lines(git) if line.startswith("HEAD ") and set(line[5:]) != {"0"}}
    return tips | {commit for name in _PSEUDO if (commit := git.resolve(name))}


def remote_tips(git: Git) -> set[str]:
    """What the Git remotes have as branches and tags now; their objects are here.

    Raises InconclusiveError when that is not known, or not all of it was fetched.
    """
    if git.is_shallow():
        raise InconclusiveError("this clone is shallow, it may not know all versions", "git fetch --unshallow --tags")
    if "true" in _config(git, r"^remote\..*\.promisor$") or _config(git, r"^extensions\.partialclone$"):
        raise InconclusiveError("this clone is partial, it may not know all versions", "use a full clone")
    tips: set[str] = set()
    for remote in git.text("remote").split():
        try:
            listed = run_git(git.root, "ls-remote", "--heads", "--tags", remote, timeout=120).stdout
        except OutsideError as exc:
            raise InconclusiveError(
                f"the branches of the Git remote {remote} are not known: {exc.message}",
                "others may have pushed versions there: see that it can be reached, or `git remote remove` it",
            ) from exc
        lines = (line.partition("\t") for line in listed.decode(errors="replace").splitlines())
        refs = {name: commit for commit, _, name in lines}
        missing = sorted(name for name, commit in refs.items() if git.repository.load(commit, 1) is None)
        if missing:
            hint = f"git fetch {remote} '+refs/heads/*:refs/remotes/{remote}/*' --tags"
            raise InconclusiveError(f"{', '.join(missing[:3])} of the Git remote {remote} was not fetched", hint)
        tips |= {commit for commit in refs.values() if git.resolve(commit)}
    return tips


def _config(git: Git, pattern: str) -> list[str]:
    done = run_git(git.root, "config", "--get-regexp", pattern, check=False)
    return [line.partition(" ")[2] or "true" for line in done.stdout.decode(errors="replace").splitlines()]


def _in_tree(git: Git, tip: str) -> Iterator[tuple[str, str]]:
    for entry in git.text("ls-tree", "-r", "-z", "--full-tree", tip).split("\0"):
        about, _, path = entry.partition("\t")
        if path and _speaks(path):
            yield path, about.split()[2]


def _in_index(git: Git) -> Iterator[tuple[str, str]]:
    for entry in git.text("ls-files", "-s", "-z", "--full-name", ":/").split("\0"):
        about, _, path = entry.partition("\t")
        if path and _speaks(path):
            yield path, about.split()[1]


def _contents(git: Git, blobs: Sequence[tuple[str, str]]) -> Iterator[tuple[str, bytes]]:
    """All in one call: a process for each would take minutes with thousands of records."""
    contents = git.repository.contents([blob for _, blob in blobs])
    try:
        yield from zip((path for path, _ in blobs), contents, strict=True)
    except IntegrityError as exc:
        raise InconclusiveError(f"a file that names objects cannot be read from Git: {exc.message}", exc.hint) from exc


def _worktree_lines(git: Git) -> list[str]:
    return git.text("worktree", "list", "--porcelain", "-z").split("\0")


def _worktrees(git: Git) -> tuple[Path, ...]:
    lines = (line for line in _worktree_lines(git) if line.startswith("worktree "))
    return tuple(path for line in lines if (path := Path(line[9:])).is_dir() and (path / ".git").exists())


def _in_folder(top: Path, cache: Path, found: Named) -> None:
    """Files of the work tree, ignored ones too, and links into the cache (``cache.type symlink``)."""

    for entry in _entries(top, cache):
        if entry.is_symlink():
            target = Path(os.path.realpath(entry.path))
            if target.is_relative_to(cache):
                found.oids["".join(target.parts[-2:])] = str(entry.path)
        if _speaks(path := Path(entry.path).relative_to(top).as_posix()) and entry.is_file():
            found.add(path, _read(Path(entry.path)))


def _entries(top: Path, cache: Path) -> Iterator[os.DirEntry[str]]:
    """All that is no real folder, below ``top``."""
    folders = [str(top)]
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except OSError as exc:
            raise OutsideError(f"{exc.filename} cannot be searched for what it names: {exc.strerror}") from exc
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                yield entry
            elif entry.name != ".git" and not (entry.name == cache.name and os.path.realpath(entry.path) == str(cache)):
                folders.append(entry.path)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise OutsideError(f"{path} cannot be read: {exc.strerror}") from exc


def _from_history(git: Git, path: str) -> bytes:
    found = git.text("log", "--all", "--format=%H", "--diff-filter=AM", "-n1", "--", f":(top,literal){path}").split()
    if not found:
        raise InconclusiveError(
            f"a deployment wants {path}, which is in no branch and not in the history",
            "restore the record, or change the deployment; until then it is not known what to keep",
        )
    return git.read("cat-file", "blob", f"{found[0]}:{path}")
