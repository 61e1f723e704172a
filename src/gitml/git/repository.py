"""Objects and refs of one repository, whose content may be hostile: names from outside never become options.

Single objects go through GitPython (``objects``), whole trees and everything that it cannot read through Git itself.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gitml.errors import IntegrityError, OutsideError
from gitml.git.runner import fields, git, settings
from gitml.process import start, stop

if TYPE_CHECKING:
    from gitml.git.objects import LoadedObject, Objects

FILE, EXECUTABLE, LINK, FOLDER, SUBMODULE = "100644", "100755", "120000", "040000", "160000"
_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# Refs that all work trees of a repository share, and HEAD. Anything else is a revision for Git to parse.
_REF = re.compile(r"HEAD|refs/(?:heads|remotes|tags|gitml)/[A-Za-z0-9._/@+-]+")
_DEEPEST_TAG = 5
_MOST_TREES = 32
# Of one folder: some 200,000 names. Whoever may push makes a folder of a million in a second.
LARGEST_FOLDER = 8_000_000


class TooLargeError(OutsideError):
    """A folder, or a change, of more names than anybody reads."""


class TreeEntry(NamedTuple):
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

    @cached_property
    def _objects(self) -> Objects | None:
        """None for a repository that only Git itself can read."""
        from gitml.git.objects import Objects

        found = Objects(self.folder, self.env)
        return found if found.is_supported else None

    @cached_property
    def common_dir(self) -> str:
        """Where Git keeps what all work trees share."""
        words = ("rev-parse", "--path-format=absolute", "--git-common-dir")
        return git(self.folder, *words, env=self.env).stdout.decode("utf-8", "surrogateescape").rstrip("\n")

    def close(self) -> None:
        """End the process that reads objects. It also ends with the last user of this."""
        if "_objects" in self.__dict__ and self._objects is not None:
            self._objects.close()

    def resolve(self, revision: str) -> str | None:
        """The commit that ``revision`` names, as Git's full id, or None."""
        if _ID.fullmatch(revision):
            found = self._peeled(revision)
            return found and found[0]
        if _REF.fullmatch(revision) and self._objects is not None:
            name = self._objects.ref(revision)
            return self.resolve(name) if name else None
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        done = git(self.folder, *words, env=self.env, check=False)
        return done.stdout.decode().strip() or None if done.returncode == 0 else None

    def refs(self, under: str = "refs/heads") -> dict[str, str]:
        """The refs below ``under`` by their full names, and the ids that they point to."""
        if self._objects is not None:
            return self._objects.refs(under)
        told = git(self.folder, "for-each-ref", "--format=%(objectname) %(refname)", under, env=self.env).stdout
        return {name: found for found, _, name in (line.partition(" ") for line in told.decode().splitlines())}

    def _peeled(self, name: str) -> tuple[str, LoadedObject] | None:
        """The commit behind an id, which may be a tag's."""
        for _ in range(_DEEPEST_TAG):
            found = self.load(name)
            if found is None or found.kind not in ("commit", "tag"):
                return None
            if found.kind == "commit":
                return name, found
            name = _first_id(found)
        return None

    def load(self, name: str, largest: int = 0) -> LoadedObject | None:
        """The object with the full id ``name``, or None where it is not here.

        Its content is not read where it has more than ``largest`` bytes.
        """
        if not _ID.fullmatch(name):
            raise IntegrityError(f"{name[:100]!r} is not the id of an object")
        if self._objects is None:
            return self._load_by_git(name, largest)
        try:
            return self._objects.load(name, largest)
        except OSError:
            return self._load_by_git(name, largest)

    def _load_by_git(self, name: str, largest: int) -> LoadedObject | None:
        from gitml.git.objects import LoadedObject

        asked = git(self.folder, "cat-file", "--batch-check", env=self.env, stdin=f"{name}\n".encode())
        _, kind, *size = asked.stdout.decode().split()
        if not size:
            return None
        if 0 < largest < int(size[0]):
            return LoadedObject(kind, int(size[0]), None)
        return LoadedObject(kind, int(size[0]), git(self.folder, "cat-file", kind, name, env=self.env).stdout)

    def blob(self, name: str, largest: int = 0) -> bytes:
        """The content of a file. Raises OutsideError when it is not here, or has more than ``largest`` bytes."""
        found = self.load(name, largest)
        if found is None or found.kind != "blob":
            raise OutsideError(f"Git does not have the file {name} here", "run `git fetch`, or `git fsck` to see more")
        if found.content is None:
            raise OutsideError(
                f"a file of {found.size:,} bytes in Git is too large to read", f"the limit is {largest:,}"
            )
        return found.content

    def store(self, kind: str, content: bytes) -> str:
        """Write an object; its id."""
        if self._objects is not None:
            return self._objects.store(kind, content)
        words = ("hash-object", "-w", "-t", kind, "--stdin")
        return git(self.folder, *words, env=self.env, stdin=content).stdout.decode().strip()

    @cached_property
    def _trees(self) -> dict[str, dict[str, TreeEntry]]:
        return {}

    def rows(self, tree: str) -> Mapping[str, TreeEntry]:
        """What lies directly in the tree with this id, by name. Raises IntegrityError for one that Git cannot read."""
        known = self._trees.get(tree)
        if known is None:
            if len(self._trees) >= _MOST_TREES:
                self._trees.clear()
            known = self._trees[tree] = self._read_rows(tree)
        return known

    def _read_rows(self, tree: str) -> dict[str, TreeEntry]:
        found = self.load(tree, LARGEST_FOLDER)
        if found is None or found.kind != "tree":
            raise IntegrityError(f"the clone lacks the tree {tree}", "run `git fetch`, or `git fsck` to see more")
        if found.content is None:
            raise TooLargeError(
                f"the folder {tree} has more names than are read: {found.size:,} bytes of them",
                f"see who committed it; the limit is {LARGEST_FOLDER:,} bytes",
            )
        try:
            rows = tuple(_rows(found.content, len(tree) // 2))
        except ValueError as exc:
            raise IntegrityError(f"the tree {tree} is damaged", "run `git fsck`") from exc
        names = {row.path: row for row in rows}
        # Git itself looks such names up in one way and lists them in another.
        if len(names) < len(rows) or any("/" in name or name in ("", ".", "..") for name in names):
            raise IntegrityError(f"the tree {tree} has names that Git does not allow", "see who committed it")
        return names

    def entry(self, commit: str, path: str) -> TreeEntry | None:
        """What ``commit`` has at ``path``, from the top; None where there is nothing, or no such commit."""
        found = self._found(commit, path.split("/"))
        return found and found._replace(path=path)

    def entries(self, commit: str, folder: str = "") -> tuple[TreeEntry, ...]:
        """What lies directly in ``folder``; nothing where there is no such folder or commit."""
        before = f"{folder}/" if folder else ""
        return tuple(row._replace(path=before + row.path) for row in self._folder(commit, folder).values())

    def tree_of(self, commit: str) -> str | None:
        """The id of the commit's tree; None where there is no such commit."""
        name = commit if _ID.fullmatch(commit) else self.resolve(commit)
        found = self._peeled(name) if name else None
        return _first_id(found[1]) if found else None

    def _folder(self, commit: str, folder: str) -> Mapping[str, TreeEntry]:
        there = self._found(commit, folder.split("/") if folder else ())
        return self.rows(there.id) if there is not None and there.mode == FOLDER else {}

    def _found(self, commit: str, parts: Sequence[str]) -> TreeEntry | None:
        """What the parts of a path lead to; the whole tree where there are none."""
        tree = self.tree_of(commit)
        there = None if tree is None else TreeEntry("", FOLDER, tree)
        for part in parts:
            there = self._row(there.id, part) if there is not None and there.mode == FOLDER else None
        return there

    def _row(self, tree: str, name: str) -> TreeEntry | None:
        """By Git itself where the tree is too large to be read: other people's names must not hide this one."""
        try:
            return self.rows(tree).get(name)
        except TooLargeError:
            listed = list(self._listed("ls-tree", "-z", "--full-tree", tree, "--", f":(top,literal){name}"))
        if len(listed) > 1:
            raise IntegrityError(f"the tree {tree} has the name {name} twice", "see who committed it")
        return listed[0] if listed else None

    def walk(self, commit: str, folder: str = "") -> tuple[TreeEntry, ...]:
        """All files, links and submodules below ``folder``; nothing where there is no such folder or commit."""
        tip = self.resolve(commit)
        if tip is None:
            return ()
        words = ("ls-tree", "-r", "-z", "--full-tree", tip, "--", *([f":(top,literal){folder}/"] if folder else []))
        return tuple(self._listed(*words))

    def _listed(self, *words: str) -> Iterator[TreeEntry]:
        lines = (line.partition("\t") for line in fields(self.folder, *words, env=self.env, errors="surrogateescape"))
        return (TreeEntry(path, *about.split()[::2]) for about, _, path in lines)

    def named(self, commit: str, name: re.Pattern[str]) -> Iterator[TreeEntry]:
        """The files of a commit whose whole path is such a ``name``, however many others there are."""
        words = ("ls-tree", "-r", "-z", "--full-tree", "--end-of-options", commit)
        return (entry for entry in self._listed(*words) if name.fullmatch(entry.path))

    def contents(self, names: Sequence[str], kind: str = "blob") -> Iterator[bytes]:
        """Objects of one kind in the order of ``names``, all from one process: for more than a few.

        Raises IntegrityError for one that is not here.
        """
        said = self._batch("".join(f"{name}\n" for name in names).encode())
        place = 0
        for name in names:
            end = said.index(b"\n", place)
            words = said[place:end].split()
            if len(words) != 3 or words[1] != kind.encode():
                raise IntegrityError(f"the clone lacks the object {name}", "run `git fetch`, or `git fsck` to see more")
            place = end + 1 + int(words[2])
            yield said[end + 1 : place]
            place += 1

    def _batch(self, asked: bytes) -> bytes:
        """What Git answers. By way of files: through pipes ten thousand events take twice as long."""
        words = ["git", "cat-file", "--batch", "--buffer"]
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stdout:
            stdin.write(asked)
            stdin.seek(0)
            env = {**settings({}), **self.env}
            started = start(words, cwd=self.folder, env=env, stdin=stdin, stdout=stdout)
            try:
                if started.wait() != 0:
                    raise OutsideError(f"git cat-file failed with exit code {started.returncode}", "run `git fsck`")
            finally:
                stop(started)
            stdout.seek(0)
            return stdout.read()


def _first_id(found: LoadedObject) -> str:
    """The tree of a commit, or what a tag points to: the first line names it."""
    return (found.content or b"").split(b"\n", 1)[0].decode("ascii", "replace").partition(" ")[2]


def _rows(content: bytes, width: int) -> Iterator[TreeEntry]:
    """Git's own form of a tree: ``MODE NAME NUL ID``, the id in ``width`` bytes."""
    place = 0
    while place < len(content):
        space = content.index(b" ", place)
        end = content.index(b"\0", space)
        name = content[space + 1 : end].decode("utf-8", "surrogateescape")
        place, mode = end + 1 + width, content[place:space].decode().rjust(6, "0")
        if place > len(content):
            raise ValueError("the tree ends within an id")
        yield TreeEntry(name, mode, content[end + 1 : place].hex())
