"""A forge in this process: shared by everybody who holds it, and gone with the last of them.

Git's part lies in a bare repository on disk, to which ``git push`` and ``git fetch`` go by its path. Everything else
lies in memory. It is for tests and demonstrations: there is no server, no runner, no password, and a push into the
folder is asked for no right. What guards a branch holds for merges, and for pushes by way of ``acts``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from weakref import WeakValueDictionary

from gitml import clock
from gitml.errors import UsageError
from gitml.forges.base import About
from gitml.forges.governed import Account
from gitml.forges.job import ForgeJob
from gitml.forges.memory.acts import MemoryActs
from gitml.forges.memory.comments import MemoryComments
from gitml.forges.memory.commits import MemoryCommits
from gitml.forges.memory.deployments import MemoryDeployments
from gitml.forges.memory.guards import MemoryGuards
from gitml.forges.memory.host import Host, create_bare
from gitml.forges.memory.issues import MemoryIssues
from gitml.forges.memory.merges import MemoryMerges
from gitml.forges.memory.moves import notice
from gitml.forges.memory.people import MemoryPeople
from gitml.forges.memory.pulls import MemoryPulls
from gitml.forges.memory.reviews import MemoryReviews
from gitml.forges.memory.runs import MemoryRuns
from gitml.forges.memory.session import Session
from gitml.forges.memory.state import ROLES, ForgeState, MemoryAccount
from gitml.forges.settings import Settings
from gitml.retries import Patience

SCHEME = "memory://"
JOB = "job:"
# A connection is made from settings, which are words: this is how the words lead back to the forge they name.
_ALIVE: WeakValueDictionary[str, MemoryForge] = WeakValueDictionary()


class MemoryForge:
    """One repository on the forge. ``as_`` gives the view of one account, which is a ``GovernedForge``."""

    def __init__(self, host: Host) -> None:
        self._host = host
        _ALIVE[self.api] = self

    @classmethod
    def create(
        cls, folder: Path, repository: str, *, is_private: bool = False, now: Callable[[], datetime] = clock.now
    ) -> MemoryForge:
        """A forge with the empty repository ``owner/name`` below ``folder``, and its owner's account."""
        state = ForgeState(repository, is_private=is_private)
        create_bare(folder / f"{repository}.git", state.default_branch)
        made = cls(Host(folder, state, now))
        made.account(state.owner)
        return made

    def copy(self, folder: Path, *, now: Callable[[], datetime] | None = None) -> MemoryForge:
        """Another forge that begins as this one is now, in a folder of its own; with another clock, on demand."""
        with self._host.lock:
            shutil.copytree(self._host.folder, folder, symlinks=True, dirs_exist_ok=True)
            return MemoryForge(Host(folder, deepcopy(self._host.state), now or self._host.clock))

    @property
    def api(self) -> str:
        return f"{SCHEME}{self._host.key}"

    @property
    def repository(self) -> str:
        return self._host.state.repository

    @property
    def remote(self) -> Path:
        """The bare repository: what ``git clone`` takes."""
        return self._host.path()

    def account(self, login: str, role: str = "none", emails: Sequence[str] = ()) -> Account:
        """Add an account, or say what it may do and which addresses in commits are its."""
        if role not in ROLES:
            raise UsageError(f"{role} is no role", f"one of: {', '.join(ROLES)}")
        with self._host.lock:
            state = self._host.state
            there = state.account(login)
            person = there.person if there else Account(login, state.number())
            state.accounts[login.lower()] = MemoryAccount(person, tuple(emails) or (there.emails if there else ()))
            if role != "none":
                state.roles[login.lower()] = role
            return person

    def organisation(self, name: str, members: Sequence[str], **teams: Sequence[str]) -> None:
        """Accounts that belong together, and teams of them by their names."""
        with self._host.lock:
            state = self._host.state
            state.organisations[name.lower()] = tuple(login.lower() for login in members)
            state.teams |= {f"{name}/{team}".lower(): tuple(logins) for team, logins in teams.items()}

    def as_(self, login: str, *, is_job: bool = False) -> MemoryConnection:
        """The forge as one account sees it; as the token of a job does, for ``is_job``."""
        return MemoryConnection(Session(self._host, self._host.person(login).login, is_job))

    def notice(self, login: str) -> None:
        """Say who made the pushes since the forge was last asked anything. Else whoever asks next is taken for them."""
        with self._host.lock:
            notice(self._host, self._host.person(login))

    def settings(self, login: str, *, is_job: bool = False) -> Settings:
        """What leads ``connect`` here. The token is the login, of no use outside of this process."""
        token = f"{JOB if is_job else ''}{self._host.person(login).login}"
        return Settings(self.api, str(self._host.folder), self.repository, token, forge="memory")

    def close(self) -> None:
        """End the processes that read the repositories."""
        self._host.close()


@dataclass(frozen=True)
class MemoryConnection:
    """One repository, as ``base.Forge`` and ``governed.GovernedForge`` describe it, for one account.

    ``bot``: the login that an app, which as on GitHub is not told its own, knows by other means.
    """

    session: Session
    bot: str = ""

    @cached_property
    def pulls(self) -> MemoryPulls:
        return MemoryPulls(self.session)

    @cached_property
    def comments(self) -> MemoryComments:
        return MemoryComments(self.session)

    @cached_property
    def commits(self) -> MemoryCommits:
        return MemoryCommits(self.session)

    @cached_property
    def issues(self) -> MemoryIssues:
        return MemoryIssues(self.session)

    @cached_property
    def runs(self) -> MemoryRuns:
        return MemoryRuns(self.session)

    @cached_property
    def reviews(self) -> MemoryReviews:
        return MemoryReviews(self.session)

    @cached_property
    def merges(self) -> MemoryMerges:
        return MemoryMerges(self.session)

    @cached_property
    def people(self) -> MemoryPeople:
        return MemoryPeople(self.session)

    @cached_property
    def deployments(self) -> MemoryDeployments:
        return MemoryDeployments(self.session)

    @cached_property
    def guards(self) -> MemoryGuards:
        return MemoryGuards(self.session)

    @cached_property
    def acts(self) -> MemoryActs:
        """What people do there, and gitml does not."""
        return MemoryActs(self.session)

    def about(self) -> About:
        with self.session.turn() as state:
            return About(state.repository, state.default_branch, state.is_private, self.session.may("write"))

    def me(self) -> str:
        is_nobody = self.session.is_job or self.session.login.endswith("[bot]")
        return self.bot or ("" if is_nobody else self.session.login)


def recognises(env: Mapping[str, str], remote: str) -> bool:
    """Never: a path says nothing about a forge, so GITML_FORGE has to name it."""
    return False


def settings(env: Mapping[str, str], remote: str) -> Settings:
    """Of the forge whose bare repository is at GITML_MEMORY, or the Git remote; as GITML_MEMORY_LOGIN.

    Raises UsageError when this process has no such forge.
    """
    place = env.get("GITML_MEMORY", "") or remote.removeprefix("file://")
    found = next((forge for forge in _ALIVE.values() if str(forge.remote) == place), None)
    if found is None:
        raise UsageError(f"no forge in memory has its repository at {place or 'nowhere'}", _HINT)
    return found.settings(env.get("GITML_MEMORY_LOGIN", "") or found.repository.partition("/")[0])


_HINT = "it lives as long as the process that made it"


@contextmanager
def connect(
    settings: Settings, *, patience: Patience | None = None, note: Callable[[str], None] = lambda _: None
) -> Iterator[MemoryConnection]:
    """A connection for the account that the token names. Raises UsageError for a forge that is gone."""
    found = _ALIVE.get(settings.api)
    if found is None or not settings.token:
        raise UsageError("the forge in memory is gone" if settings.token else "no account is named", _HINT)
    opened = found.as_(settings.token.removeprefix(JOB), is_job=settings.token.startswith(JOB))
    yield replace(opened, bot=settings.bot)


def job(env: Mapping[str, str]) -> ForgeJob:
    """It runs no jobs, so this process belongs to none."""
    return ForgeJob()


def run_page(home: str, run: int) -> str:
    """The page of a run; ``home`` is the repository's."""
    return f"{home}/runs/{run}"


def pull_ref(number: int) -> str:
    """Where the head of a pull request is, a fork's too."""
    return f"refs/pull/{number}/head"
