"""How commits stand to each other: walked in this process, for repositories of tests and of a few thousand commits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from gitml.errors import OutsideError
from gitml.forges.base import ChangedFile, Relation
from gitml.git.repository import Repository
from gitml.git.runner import git

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_PERSON = re.compile(r"(?P<name>.*?) ?<(?P<email>[^>]*)> (?P<time>\d+)")
_CHANGES = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied", "T": "changed"}


@dataclass(frozen=True)
class CommitObject:
    """A commit as Git has it. ``author`` and ``committer`` are name, address and seconds since 1970."""

    id: str
    tree: str
    parents: tuple[str, ...]
    author: tuple[str, str, int]
    committer: tuple[str, str, int]
    message: str


@dataclass(frozen=True)
class History:
    """The commits of a repository, whose objects never change; each is read once."""

    repository: Repository
    _read: dict[str, CommitObject] = field(default_factory=dict)

    def find(self, commit: str) -> CommitObject | None:
        """None for what is not a commit here."""
        if commit not in self._read:
            found = self.repository.load(commit) if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit) else None
            if found is None or found.kind != "commit" or found.content is None:
                return None
            self._read[commit] = _parsed(commit, found.content)
        return self._read[commit]

    def of(self, commit: str) -> CommitObject:
        """Raises OutsideError for a commit that is not here."""
        found = self.find(commit)
        if found is None:
            raise OutsideError(f"the repository lacks the commit {commit[:12]}", "run `git fsck`")
        return found

    def reach(self, *commits: str) -> set[str]:
        """The commits and everything in their history."""
        found, todo = set[str](), list(commits)
        while todo:
            commit = todo.pop()
            if commit not in found:
                found.add(commit)
                todo += self.of(commit).parents
        return found

    def is_ancestor(self, commit: str, descendant: str) -> bool:
        """Whether ``commit`` is ``descendant`` or in its history."""
        return commit == descendant or commit in self.reach(descendant)

    def between(self, base: str, head: str) -> tuple[CommitObject, ...]:
        """What ``head`` has and ``base`` has not, parents before children."""
        there = self.reach(base)
        return tuple(c for c in self._upwards(head, there) if c.id not in there)

    def _upwards(self, head: str, stop: set[str]) -> Iterator[CommitObject]:
        done, todo = set(stop), [head]
        while todo:
            commit = self.of(todo[-1])
            missing = [p for p in commit.parents if p not in done]
            if missing:
                todo += reversed(missing)
                continue
            if todo.pop() not in done:
                done.add(commit.id)
                yield commit

    def own_line(self, base: str, tip: str) -> tuple[str, ...]:
        """The first parents from ``tip`` down to what ``base`` has."""
        there, found = self.reach(base), list[str]()
        while tip and tip not in there:
            found.append(tip)
            tip = next(iter(self.of(tip).parents), "")
        return tuple(found)

    def merge_base(self, one: str, other: str) -> str:
        """The newest commit that both have; the empty tree when they share none."""
        common = self.reach(one) & self.reach(other)
        below = {parent for commit in common for parent in self.of(commit).parents}
        best = sorted(common - below, key=lambda c: (self.of(c).committer[2], c))
        return best[-1] if best else EMPTY_TREE

    def relation(self, base: str, head: str) -> Relation:
        if base == head:
            return Relation.SAME
        if self.is_ancestor(base, head):
            return Relation.AHEAD
        return Relation.BEHIND if self.is_ancestor(head, base) else Relation.DIVERGED

    def merged_tree(self, base: str, head: str) -> str | None:
        """The tree of both together, None where they conflict."""
        if self.is_ancestor(base, head):
            return self.of(head).tree
        words = ("merge-tree", "--write-tree", "--allow-unrelated-histories", "--no-messages", base, head)
        done = git(self.repository.folder, *words, check=False)
        return done.stdout.decode().split("\n", 1)[0].strip() if done.returncode == 0 else None

    def changes(self, old: str, new: str) -> tuple[ChangedFile, ...]:
        """What the files of ``new`` are beside those of ``old``; renamed ones are noticed as Git does."""
        words = ("diff-tree", "-r", "-M", "-z", "--name-status", "--no-ext-diff", old, new)
        fields = iter(git(self.repository.folder, *words).stdout.decode("utf-8", "surrogateescape").split("\0"))
        return tuple(_changes(fields))

    def same_change(self, one: tuple[str, str], other: tuple[str, str]) -> bool:
        """Whether two differences (old, new) turn the same blobs into the same blobs."""
        return one == other or self._blobs(*one) == self._blobs(*other)

    def _blobs(self, old: str, new: str) -> bytes:
        words = ("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev")
        return git(self.repository.folder, *words, old, new).stdout


def _changes(fields: Iterator[str]) -> Iterator[ChangedFile]:
    for letter in fields:
        if letter:
            kind, first = _CHANGES[letter[0]], next(fields)
            is_pair = kind in ("renamed", "copied")
            yield ChangedFile(next(fields), kind, first) if is_pair else ChangedFile(first, kind)


def _parsed(commit: str, content: bytes) -> CommitObject:
    head, _, message = content.decode("utf-8", "replace").partition("\n\n")
    rows = [line.partition(" ")[::2] for line in head.splitlines() if not line.startswith(" ")]
    first = dict(reversed(rows))
    parents = tuple(value for key, value in rows if key == "parent")
    return CommitObject(commit, first["tree"], parents, _person(first["author"]), _person(first["committer"]), message)


def _person(text: str) -> tuple[str, str, int]:
    found = _PERSON.match(text)
    return (found["name"], found["email"], int(found["time"])) if found else (text, "", 0)
