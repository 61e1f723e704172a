"""Whose commits a version came from: they do not approve it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.signing import BelievedEvents
from gitml.derivation.proposal import has_main_s_tree
from gitml.errors import GitmlError
from gitml.forges.base import PullRequest
from gitml.forges.governed import PullCommit, Pushed
from gitml.gate.derived import known_commits
from gitml.gate.people import BOT, asked, by_address, co_authors, commit_of, person_from, pushers, signed_pushers
from gitml.gates.facts import Commit, Person, Unknown
from gitml.git.edit import bring
from gitml.git.merges import adds_nothing, merged_tree, parents
from gitml.http import HttpError
from gitml.registry.lineage import external
from gitml.registry.record import Record
from gitml.registry.store import record_path
from gitml.spec.dvcfiles import LOCK_FILE, pipeline_folder
from gitml.spec.dvcplaces import DVC_FILE

# Commits of the default branch that are looked up at the forge for one version; of older ones Git's addresses are read.
MOST = 60
_COMMIT = re.compile("[0-9a-f]{40}")


Look = Callable[[Record, Record | None, str], tuple[Commit, ...] | Unknown]


def lineage_of(place: Place, main: Mainline, heard: BelievedEvents | Unknown, starters: tuple[str, ...] = ()) -> Look:
    """A function that says whose commits a version came from.

    Those that changed what the version is made from (code, data, params, locked packages) on the default branch and
    that the champion of the environment was not trained with; all of them where nothing runs yet. Where what runs is
    newer than the version: what came since the last version before it that was approved there, and what came since the
    version, which promoting it takes back. Of each the pull request that brought it, with its author, the people of
    its commits and whoever pushed to its branch; of a direct push, its own. Commits that evidence which was ``heard``
    calls derived the bot made, and its address counts in no others. ``starters`` are trailers that name who started a
    coding agent.
    """
    looking = _Look(place, main, heard, starters)

    def look(record: Record, champion: Record | None, environment: str) -> tuple[Commit, ...] | Unknown:
        brought = main.added(record_path(record.model, record.version))
        if brought is None:
            return Unknown(f"no commit of the default branch brought {record.version}")
        if main.git.is_shallow():
            return Unknown("the clone is shallow: its history does not say whose commits the version came from")
        return asked(lambda: tuple(looking.made(record, brought, champion, environment)))

    return look


@dataclass(frozen=True)
class _Look:
    place: Place
    main: Mainline
    heard: BelievedEvents | Unknown
    starters: tuple[str, ...]

    @cached_property
    def _derived(self) -> frozenset[str]:
        return known_commits(self.heard)

    @cached_property
    def _pulls(self) -> dict[int, tuple[Commit, ...]]:
        """Whose work each pull request was, as the forge said once: two versions mostly came by the same."""
        return {}

    def made(self, record: Record, brought: str, champion: Record | None, environment: str) -> Iterator[Commit]:
        git, tip = self.main.git, brought
        if champion and (landed := self._landed_after(brought, champion)):
            tip, champion = landed, self._approved_before(record, brought, environment)
        since, same = self._start(record, brought, champion) if champion else ("", "")
        new = {brought, *git.text("rev-list", "--first-parent", tip, *([f"^{since}"] if since else [])).split()}
        # Asked for a range and for paths at once, Git leaves out merges whose first parent is before the range.
        found = git.text("log", "--first-parent", "--format=%H", tip, "--", *map(_literal, _paths(record))).split()
        commits = dict.fromkeys([brought, *(c for c in found if c in new and c != same)])
        seen: set[int] = set()
        for commit in list(commits)[:MOST]:
            yield from self._brought(commit, seen)
        for commit in list(commits)[MOST:]:
            known = tuple(p for p in _addresses(self.main, commit) if p.is_known)
            if known:
                yield Commit(commit, known)

    def _landed_after(self, brought: str, champion: Record) -> str:
        """The commit of main that brought a champion which is newer, else ""."""
        landed = self.main.added(record_path(champion.model, champion.version))
        is_newer = landed not in (None, brought) and self.place.git.is_ancestor(brought, landed or "")
        return landed or "" if is_newer else ""

    def _approved_before(self, record: Record, brought: str, environment: str) -> Record | None:
        """The newest version up to this one, itself counted, that people approved for the environment."""
        if isinstance(self.heard, Unknown):
            return None
        about = {"model": record.model, "environment": environment, "result": "passed"}
        newest: tuple[str, Record] | None = None
        approved = (s.binding for s in self.heard.all("approved", **about))
        for version, artifact in dict.fromkeys((one.version, one.artifact) for one in approved):
            landed = self.main.added(record_path(record.model, version))
            if landed is None or not self.place.git.is_ancestor(landed, brought):
                continue
            found = self.main.original_record(record.model, version)
            is_newer = newest is None or self.place.git.is_ancestor(newest[0], landed)
            if is_newer and found.files[found.artifact].sha256 == artifact:
                newest = (landed, found)
        return newest and newest[1]

    def _start(self, record: Record, brought: str, champion: Record) -> tuple[str, str]:
        """The commit whose history the champion was trained with, and the one of main that brought no more than that.

        Either is "" where there is none. Main may have moved between the champion's training and its merge.
        """
        landed, git = self.main.added(record_path(champion.model, champion.version)), self.place.git
        if landed is None or not git.is_ancestor(landed, brought):
            return "", ""
        if champion.commit is None:
            return landed, landed
        if not _COMMIT.fullmatch(champion.commit):
            return "", ""  # a name means another commit to each who reads it
        try:
            bring(git, self.place.remote, champion.commit)
        except GitmlError as exc:
            self.place.say(f"what {champion.version} was trained with is not here: {exc.message.splitlines()[0]}")
            return "", ""
        return champion.commit, landed if self._is_all_of(landed, champion.commit, record) else ""

    def _is_all_of(self, landed: str, trained: str, record: Record) -> bool:
        """Whether ``landed`` of main is, in what ``record`` is made from, its parent and ``trained`` merged by Git."""
        git = self.place.git
        above = parents(git, landed)
        merged = merged_tree(git, above[0], trained) if above else None
        if merged is None:
            return False
        return not git.text("diff", "--name-only", merged, landed, "--", *map(_literal, _sources(record)))

    def _brought(self, commit: str, seen: set[int]) -> Iterator[Commit]:
        """Who made what ``commit`` of the default branch brought in. Raises GitmlError when the forge does not say."""
        forge, branch = self.place.forge, self.place.branch
        pulls = [p for p in forge.pulls.of_commit(commit) if p.is_merged and p.base.branch == branch]
        if not pulls:
            yield from self._people(forge.merges.commit(commit))
        for pull in pulls:
            if pull.number in seen:
                continue
            seen.add(pull.number)
            if pull.number not in self._pulls:
                self._pulls[pull.number] = tuple(self._behind(pull, commit))
            yield from self._pulls[pull.number]

    def _behind(self, pull: PullRequest, commit: str) -> Iterator[Commit]:
        author = Person(pull.author, bot=pull.author.endswith("[bot]"))
        told = [p for found in self.place.forge.merges.commits(pull.number) for p in self._people(found)]
        yield Commit(pull.head.commit, (author,))
        yield from told
        known = {p.login.lower() for p in (author, *(p for one in told for p in one.people))}
        others = tuple(p for p in self._pushers(pull, commit, known) if p.is_known and p.login.lower() not in known)
        if others:
            yield Commit(pull.head.commit, others)

    def _pushers(self, pull: PullRequest, commit: str, known: Collection[str]) -> tuple[Person, ...]:
        """Whoever pushed to its branch, whatever name its commits say: as the forge tells, else as the gate signed.

        Where neither knows, it is whose fork it came from.
        """
        merges, (side, number) = self.place.forge.merges, (pull.head, pull.number)
        try:
            pushes = merges.pushes(side.branch, side.repository)
        except HttpError as exc:
            if exc.status != 404:
                raise
            pushes = ()  # the fork is gone
        merged, before = merges.merged(number), (*parents(self.main.git, commit), "")[0]
        until = datetime.fromisoformat(merged.time) if merged else None
        work = {push.after for push in pushes if push.by.login.lower() not in known and self._is_work(push, before)}
        found = pushers(pushes, side.commit, lambda after: after not in work, until)
        if not isinstance(found, Unknown):
            return found
        for _, told in signed_pushers(self.heard, number, side.commit):
            return tuple(map(person_from, told))
        owner = side.repository.partition("/")[0]
        is_home = side.repository.lower() == self.place.settings.repository.lower()
        return () if is_home or not owner else (Person(owner),)

    def _is_work(self, push: Pushed, main: str) -> bool:
        """Whether it brought more than what ``main`` had, what Git makes of its parents, and what the bot made."""
        git = self.place.git
        if git.is_ancestor(push.after, main):
            return False
        before = [push.before] if push.before.strip("0") else []
        try:
            for commit in (push.after, *before):
                bring(git, self.place.remote, commit)
            new = git.text("rev-list", push.after, *(f"^{commit}" for commit in (main, *before) if commit)).split()
        except GitmlError:
            return True
        return not all(commit in self._derived or self._adds_nothing(commit) for commit in new)

    def _people(self, found: PullCommit) -> Iterator[Commit]:
        """Who worked on a commit; nobody where Git itself would have made it of its parents."""
        commit = commit_of(found, self.starters)
        plain = all(person.is_known and person != BOT for person in commit.people)
        if plain and not found.message.startswith("Merge"):
            yield commit
        elif not self._adds_nothing(found.commit):
            yield _signed(commit, self._derived)

    def _adds_nothing(self, commit: str) -> bool:
        git, main = self.place.git, self.main.commit
        try:
            bring(git, self.place.remote, commit)
            return adds_nothing(git, commit) or has_main_s_tree(git, commit, main)
        except GitmlError as exc:
            self.place.say(f"what {commit[:12]} changes cannot be told: {exc.message.splitlines()[0]}")
            return False


def _literal(path: str) -> str:
    return f":(literal){path}"


def _paths(record: Record) -> tuple[str, ...]:
    locks = (posixpath.join(folder, LOCK_FILE) for folder in _folders(record))
    return (*_sources(record), *locks, record_path(record.model, record.version))


def _folders(record: Record) -> tuple[str, ...]:
    """Those whose dvc.yaml has a stage of the lineage, and always the root."""
    return tuple(dict.fromkeys(("", *(pipeline_folder(stage) for stage in record.stages))))


def _sources(record: Record) -> tuple[str, ...]:
    """What people write and bring in: code, data, params, locked packages, the pipeline itself."""
    entries = record.entries()
    brought = [content.path for content in external(entries)] if entries else [record.artifact]
    outs = [out.path for entry in entries.values() if entry.brings_in for out in entry.outs]
    params = [file for entry in entries.values() for file in entry.params]
    pipelines = (posixpath.join(folder, DVC_FILE) for folder in _folders(record))
    found = [*pipelines, *params, *(path for name in (*brought, *outs) for path in (name, f"{name}.dvc"))]
    return tuple(dict.fromkeys(found))


def _signed(commit: Commit, derived: frozenset[str]) -> Commit:
    """Anybody can write the bot's address: where no evidence says that the commit was derived, it may be anybody's."""
    if BOT not in commit.people or commit.sha in derived:
        return commit
    stranger = Person(email=f"{BOT.email} (and no evidence `derived` says that the bot made it)")
    people = tuple(stranger if person == BOT else person for person in commit.people)
    return replace(commit, people=people)


def _addresses(main: Mainline, commit: str) -> tuple[Person, ...]:
    """Author and co-authors. The committer of what was rebased is who merged it."""
    author, _, message = main.git.text("show", "-s", "--format=%ae%x00%B", commit).partition("\0")
    return tuple(dict.fromkeys([by_address(author), *co_authors(message)]))
