"""Whose commits a version came from: they do not approve it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.forges.governed import PullCommit
from gitml.gate.people import BOT, CO_AUTHOR, asked, by_address, commit_of
from gitml.gates.facts import Commit, Person, Unknown
from gitml.git.edit import bring
from gitml.registry.lineage import external
from gitml.registry.record import Record
from gitml.registry.store import record_path

# Commits of the default branch that are looked up at the forge for one version; of older ones Git's addresses are read.
MOST = 60


def lineage_of(place: Place, main: Mainline) -> Callable[[Record, Record | None], tuple[Commit, ...] | Unknown]:
    """A function that says whose commits a version came from.

    Those that changed what the version is made from (code, data, params, locked packages) on the default branch, from
    the champion's commit on, or from the beginning where nothing runs yet: of each, the pull request that brought it,
    with its author and the people of its commits; of a direct push, its own.
    """

    def look(record: Record, champion: Record | None) -> tuple[Commit, ...] | Unknown:
        brought = main.added(record_path(record.model, record.version))
        since = main.added(record_path(champion.model, champion.version)) if champion else None
        if brought is None:
            return Unknown(f"no commit of the default branch brought {record.version}")
        if main.git.is_shallow():
            return Unknown("the clone is shallow: its history does not say whose commits the version came from")
        return asked(lambda: tuple(_lineage(place, main, record, brought, since)))

    return look


def _lineage(place: Place, main: Mainline, record: Record, brought: str, since: str | None) -> Iterator[Commit]:
    span = f"{since}..{brought}" if since else brought
    paths = [f":(literal){path}" for path in _paths(record)]
    words = ("--first-parent", "--format=%H", span, "--", *paths)
    commits = dict.fromkeys([brought, *main.git.text("log", *words).split()])
    seen: set[int] = set()
    for commit in list(commits)[:MOST]:
        yield from _brought(place, record, commit, seen)
    for commit in list(commits)[MOST:]:
        known = tuple(p for p in _addresses(main, commit) if p.is_known)
        if known:
            yield Commit(commit, known)


def _paths(record: Record) -> tuple[str, ...]:
    return (*_sources(record), "dvc.lock", record_path(record.model, record.version))


def _sources(record: Record) -> tuple[str, ...]:
    """What people write and bring in: code, data, params, locked packages, the pipeline itself."""
    entries = record.entries()
    brought = [content.path for content in external(entries)] if entries else [record.artifact]
    outs = [out.path for entry in entries.values() if entry.brings_in for out in entry.outs]
    params = [file for entry in entries.values() for file in entry.params]
    found = ["dvc.yaml", *params, *(path for name in (*brought, *outs) for path in (name, f"{name}.dvc"))]
    return tuple(dict.fromkeys(found))


def _brought(place: Place, record: Record, commit: str, seen: set[int]) -> Iterator[Commit]:
    """Who made what ``commit`` of the default branch brought in. Raises GitmlError when the forge does not say."""
    pulls = [p for p in place.forge.pulls.of_commit(commit) if p.is_merged and p.base.branch == place.branch]
    if not pulls:
        yield _checked(place, record, place.forge.merges.commit(commit))
    for pull in pulls:
        if pull.number in seen:
            continue
        seen.add(pull.number)
        yield Commit(pull.head.commit, (Person(pull.author, bot=pull.author.endswith("[bot]")),))
        for found in place.forge.merges.commits(pull.number):
            yield _checked(place, record, found)


def _checked(place: Place, record: Record, found: PullCommit) -> Commit:
    """The bot's address is believed only where a commit changes nothing that the model is made from."""
    commit = commit_of(found)
    if BOT not in commit.people or not _touches(place, record, found.commit):
        return commit
    stranger = Person(email=f"{BOT.email} (and changes what the model is made from)")
    return Commit(commit.sha, tuple(stranger if person == BOT else person for person in commit.people))


def _touches(place: Place, record: Record, commit: str) -> bool:
    bring(place.git, place.remote, commit)
    words = ("diff-tree", "-r", "-z", "--root", "-m", "--no-commit-id", "--name-only", "--no-renames", commit)
    names = [name for name in place.git.text(*words).split("\0") if name]
    made_from = tuple(f"{place.git.prefix}{path}" for path in _sources(record))
    return any(name == path or name.startswith(f"{path}/") for name in names for path in made_from)


def _addresses(main: Mainline, commit: str) -> tuple[Person, ...]:
    """Author and co-authors. The committer of what was rebased is who merged it."""
    author, _, message = main.git.text("show", "-s", "--format=%ae%x00%B", commit).partition("\0")
    more = [match["email"] for match in CO_AUTHOR.finditer(message)]
    return tuple(dict.fromkeys(by_address(email) for email in (author, *more)))
