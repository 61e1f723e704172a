"""What main says, and how it came to say it: the agent's own mirror of the repository, read and never written to."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar, cast

from gitml.errors import OutsideError, SpecError
from gitml.git.filechange import FileChange
from gitml.git.history import first_with, line
from gitml.git.ledger import BRANCH as LEDGER
from gitml.git.ledger import Event, load, portion, remembered
from gitml.git.ledgerline import LedgerEntry, Line, line_of
from gitml.git.orphan import Remote
from gitml.git.repository import FOLDER, Repository, TreeEntry
from gitml.git.runner import git
from gitml.git.tree import CommitTree
from gitml.refs import NAME
from gitml.spec import parse_application

MAIN_REF, LEDGER_REF, KEPT_REF = "refs/gitml/main", "refs/gitml/ledger", "refs/gitml/kept"
MAX_FILE = 5_000_000
SPEC = "gitml.yaml"
_SECONDS = 300.0
# Changes of one file that are looked through for the newest that somebody judged. A forge rebases no more than 100.
_MOST = 1000
_ZERO = "0" * 40
_WHOLE = "give the agent a repository with its whole history, and an empty --state"


class LostError(OutsideError):
    """Main, or the ledger, is no continuation of what was seen before."""


@dataclass(frozen=True)
class Heads:
    """Tips as the server has them now; ``ledger`` is empty before the first evidence."""

    main: str
    ledger: str = ""


@dataclass(frozen=True)
class Wanted:
    """A deployment file at one commit. ``blob`` is empty where the file is gone, or is no regular file."""

    model: str
    path: str
    blob: str
    content: bytes = b""
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Moved(FileChange):
    """A first-parent change of one file: ``parent`` is empty for the first commit."""

    commit: str
    parent: str


T = TypeVar("T")


@dataclass(frozen=True)
class Mirror:
    """A bare clone in ``folder`` of ``branch`` and the ledger; ``prefix`` is where gitml.yaml lies: '' or 'sub/'."""

    folder: Path
    remote: Remote
    branch: str
    prefix: str = ""

    @cached_property
    def _env(self) -> dict[str, str]:
        # Nobody's configuration decides what these commands print, and nothing that is fetched may run.
        return {
            **self.remote.environment(),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_DIR": str(self.folder),
        }

    @cached_property
    def repository(self) -> Repository:
        return Repository(self.folder, self._env)

    def _git(self, *words: str, check: bool = True) -> bytes:
        try:
            return git(self.folder, *words, env=self._env, timeout=_SECONDS, check=check).stdout
        except OutsideError as exc:
            raise OutsideError(self.remote.clean(exc.message), exc.hint) from None

    def _text(self, *words: str) -> str:
        return self._git(*words).decode("utf-8", "surrogateescape").rstrip("\n")

    def prepare(self) -> None:
        """Make the mirror, or mend what a killed process left: locks of Git are dropped, nobody else writes here."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.folder / "HEAD").exists():
            self._git("init", "--quiet", "--bare", "--template=", str(self.folder))
        for lock in [*self.folder.glob("*.lock"), *self.folder.glob("refs/**/*.lock")]:
            lock.unlink(missing_ok=True)

    def fetch(self) -> Heads:
        """Bring both branches as the server has them. Raises OutsideError when it cannot be asked, or has no main."""
        main, ledger = f"refs/heads/{self.branch}", f"refs/heads/{LEDGER}"
        listed = self._text("ls-remote", self.remote.url, main, ledger).splitlines()
        tips = {ref: commit for commit, _, ref in (line.partition("\t") for line in listed)}
        if main not in tips:
            raise LostError(f"{self.branch} is not on the remote", "was the branch renamed or deleted?")
        wanted = {MAIN_REF: tips[main], **({LEDGER_REF: tips[ledger]} if ledger in tips else {})}
        if any(self.resolve(ref) != commit for ref, commit in wanted.items()):
            names = {MAIN_REF: main, LEDGER_REF: ledger}
            specs = [f"+{names[ref]}:{ref}" for ref in wanted]
            settings = ("-c", "transfer.fsckObjects=false", "-c", "gc.auto=0", "-c", "fetch.recurseSubmodules=false")
            self._git(*settings, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", self.remote.url, *specs)
            if self.resolve(MAIN_REF) is None:  # Git takes nothing from a shallow clone, and says so in no exit code
                raise OutsideError(f"{self.branch} could not be fetched: is that a shallow clone?", _WHOLE)
        return self.heads()

    def heads(self) -> Heads:
        """Of the last fetch. Raises OutsideError before the first one."""
        main = self.resolve(MAIN_REF)
        if main is None:
            raise OutsideError("the repository was never fetched", "see whether its URL can be reached from here")
        return Heads(main, self.resolve(LEDGER_REF) or "")

    def keep(self, name: str, commit: str) -> None:
        """Hold on to a commit under ``name``, whatever happens to the branches."""
        self._git("update-ref", f"{KEPT_REF}/{name}", commit)

    def resolve(self, revision: str) -> str | None:
        """The commit, or None where the mirror has none of that name."""
        return self.repository.resolve(revision)

    def is_descendant(self, commit: str, ancestor: str) -> bool:
        """Whether ``ancestor`` is ``commit`` or in its history; False when one is not here."""
        if ancestor == commit:
            return True
        if self.resolve(ancestor) is None or self.resolve(commit) is None:
            return False
        # By the graph alone: rev-list leaves a walk early where commits have odd dates.
        words = ("-c", "core.commitGraph=false", "merge-base", "--is-ancestor", ancestor, commit)
        return git(self.folder, *words, env=self._env, timeout=_SECONDS, check=False).returncode == 0

    def continues(self, commit: str, before: str) -> bool:
        """Whether ``commit`` lies on main's own line behind ``before``.

        Along first parents: a branch that merged main into itself and took its place is another line, force or not.
        """
        places = self._places
        if commit in places and before in places:
            return places[before] <= places[commit]
        return before in self._line(commit)

    @property
    def _places(self) -> Mapping[str, int]:
        """Where each commit of main's own line stands on it, counted from its beginning."""
        head = self.resolve(MAIN_REF) or ""
        return self._remembered("places", head, lambda: {c: place for place, c in enumerate(self._line(head))})

    def _remembered(self, what: str, since: object, ask: Callable[[], T]) -> T:
        """What was found out last of ``what``, asked again where ``since`` is another: a round costs no process."""
        known = self._memory.get(what)
        if known is None or known[0] != since:
            known = self._memory[what] = (since, ask())
        return cast(T, known[1])

    @cached_property
    def _memory(self) -> dict[str, tuple[object, object]]:
        return {}

    def _line(self, commit: str) -> list[str]:
        """Oldest first; nothing where the commit is not here. Whole, as dates would decide where a part of it ends."""
        words = ("rev-list", "--first-parent", "--reverse", "--end-of-options", commit)
        return self._git(*words, check=False).decode().split() if commit and self.resolve(commit) else []

    def original(self, commit: str, path: str) -> CommitTree:
        """The files as the commit of main's own line left them that first had ``path`` (from the folder of gitml.yaml).

        ``commit`` is where the line ends. An empty tree where it never was; raises OutsideError in a shallow mirror.
        """
        if (self.folder / "shallow").exists():
            raise OutsideError("the agent's mirror is shallow: it does not say how a version came to main", _WHOLE)
        return self.at(first_with(self.folder, commit, self.prefix + path, self._env) or "")

    def changes(self, commit: str, path: str) -> tuple[Moved, ...]:
        """The newest changes of ``path`` (from the top) on the line that ends at ``commit``, newest first."""
        return self._remembered(f"changes of {path}", commit, lambda: tuple(self._moves(commit, path)))

    def _moves(self, commit: str, path: str) -> Iterator[Moved]:
        for landed in reversed(line(self.folder, commit, [f":(top,literal){path}"], most=_MOST, env=self._env)):
            for touch in landed.touches:
                yield Moved(**vars(touch), commit=landed.commit, parent=(*landed.parents, "")[0])

    def touched(self, since: str, until: str, environment: str, models: Collection[str]) -> dict[str, str]:
        """Of ``models``, the newest commit that touched the file for ``environment``, of those after ``since``."""
        paths = [f":(top,literal){self.prefix}models/{model}/{environment}.yaml" for model in sorted(models)]

        def ask() -> dict[str, str]:
            if not paths:
                return {}
            found = line(self.folder, until, paths, since=[since] if since else [], env=self._env)
            return {touch.path.split("/")[-2]: landed.commit for landed in found for touch in landed.touches}

        return self._remembered("touched", (since, until, *paths), ask)

    def since(self, before: str, commit: str) -> frozenset[str]:
        """The commits of the line that ends at ``commit``, without ``before`` and what lies behind it."""
        words = ["rev-list", "--first-parent", commit, *([f"^{before}"] if before else [])]
        return frozenset(self._text(*words).split())

    def touched_since(self, path: str, since: str, until: str) -> str | None:
        """The commit between that touched ``path``, or ""; None where ``until`` does not continue ``since``."""
        if not self.continues(until, since):
            return None
        last = self._text("rev-list", "-1", "--first-parent", until, "--", f":(top,literal){path}")
        return "" if not last or self.continues(since, last) else last

    def unchanged(self, path: str, since: str, until: str) -> bool:
        """Whether ``until`` continues ``since`` and no commit in between touched ``path``."""
        return self.touched_since(path, since, until) == ""

    def at(self, commit: str) -> CommitTree:
        """The files below the folder of gitml.yaml as ``commit`` has them."""
        return CommitTree(self.repository, commit, self.prefix, MAX_FILE)

    def blob_id(self, commit: str, path: str) -> str:
        """Git's name of what is at ``path`` (from the top of the repository), "" where there is nothing."""
        found = self.repository.entry(commit, path)
        return found.id if found else ""

    def file(self, commit: str, path: str) -> bytes | None:
        """A regular file ``path`` below the folder of gitml.yaml; None when it is not there, or is a link or folder."""
        return self.at(commit).read(path)

    def top_file(self, commit: str, path: str) -> bytes | None:
        """The same, by its path from the top of the repository."""
        return replace(self.at(commit), prefix="").read(path)

    def wanted(self, commit: str, environment: str, serving: frozenset[str] = frozenset()) -> Mapping[str, Wanted]:
        """Model → its deployment file for ``environment`` at ``commit``, of the models that gitml.yaml there names.

        Also of those ``serving`` already: who edits gitml.yaml keeps no rollback from them. Other files cost nothing,
        however many somebody brings; where gitml.yaml cannot be read they all are looked at.
        """
        key = (commit, environment, serving)
        if key not in self._found:
            self._found.clear()
            self._found[key] = dict(self._looked_up(self.at(commit), environment, serving))
        return self._found[key]

    @cached_property
    def _found(self) -> dict[tuple[str, str, frozenset[str]], Mapping[str, Wanted]]:
        return {}

    def _looked_up(self, tree: CommitTree, environment: str, serving: frozenset[str]) -> Iterator[tuple[str, Wanted]]:
        declared = _declared(tree)
        there = {folder.name for folder in tree.entries("models")} if declared is None else {*declared, *serving}
        for model in sorted(filter(NAME.fullmatch, there)):
            entry = tree.entry(f"models/{model}/{environment}.yaml")
            if entry is not None and entry.mode != FOLDER:
                yield model, self._wanted(tree, model, entry)

    def _wanted(self, tree: CommitTree, model: str, entry: TreeEntry) -> Wanted:
        path = self.prefix + entry.path
        if not entry.is_file:
            return Wanted(model, path, "", problem=f"{path} is no regular file")
        try:
            return Wanted(model, path, entry.id, tree.read(entry.path) or b"")
        except OutsideError as exc:
            return Wanted(model, path, entry.id, problem=exc.message)

    def ledger(self, known: Line) -> Line:
        """The ledger's line as it was fetched; what ``known`` had is not looked at again, and stays."""
        head = self.resolve(LEDGER_REF)
        if head is None:
            return known
        return line_of(self.repository, head, known) if known.head else remembered(self.repository, head)

    def events(self, entries: Sequence[LedgerEntry]) -> tuple[Iterator[Event], Sequence[LedgerEntry]]:
        """As many as one round reads, and what is left for the next."""
        some = portion(self.repository, entries)
        return load(self.repository, some), entries[len(some) :]


def _declared(tree: CommitTree) -> Collection[str] | None:
    """The models of gitml.yaml; None where it cannot be read."""
    try:
        return parse_application(tree.read(SPEC) or b"").models
    except (SpecError, OutsideError):
        return None


@dataclass(frozen=True)
class Seen:
    """Both tips as they were last verified; empty before."""

    main: str = ""
    ledger: str = ""


def look(mirror: Mirror, seen: Seen) -> Heads:
    """Fetch. Raises LostError when main or the ledger no longer continues what was seen."""
    heads = mirror.fetch()
    if seen.main and not mirror.continues(heads.main, seen.main):
        raise LostError(
            f"{mirror.branch} was rewritten: {heads.main[:10]} does not continue {seen.main[:10]}",
            "restore the branch, or let the agent begin anew with an empty --state once you know why",
        )
    if seen.ledger and not mirror.is_descendant(heads.ledger or _ZERO, seen.ledger):
        raise LostError(
            f"{LEDGER} was rewritten: it no longer holds {seen.ledger[:10]}",
            "restore the branch from a clone that has this commit; `gitml audit` says what is missing",
        )
    return heads


def token_of(env: Mapping[str, str]) -> str:
    """The token for reading the repository, where it needs one."""
    return (env.get("GITML_AGENT_TOKEN") or env.get("GITHUB_TOKEN") or env.get("GH_TOKEN") or "").strip()
