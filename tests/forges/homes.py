"""The same repository on several forges, and what people do there: for the conformance suite, and for towns."""

from __future__ import annotations

import itertools
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from gitml import clock
from gitml.forges.base import NewPull, PullRequest
from gitml.forges.governed import Account, GovernedForge
from gitml.forges.memory import MemoryForge
from gitml.forges.settings import Settings
from gitml.forges.table import connect
from gitml.retries import Patience
from gitml_sandbox.forge import emails, repos, tokens, users
from gitml_sandbox.forge.repos import Repo
from sandbox.forge_kit import Kit
from sandbox.rest_kit import Api, api

QUICK = Patience(tries=5, total=20, first=0.05, longest=0.2, answer=10.0)
JOB = {"contents": "write", "pull-requests": "write", "statuses": "write", "actions": "read"}
BOT, JOBS = "gitml-bot[bot]", "github-actions[bot]"
PEOPLE = ("ada", "olga", "rita", "eve", BOT)
_WRITERS = {False: ("olga", "rita"), True: ("ada", "olga", "rita")}
_NUMBERS = itertools.count(1)


class Home(Protocol):
    """A repository of ada's; olga and rita may write, eve is a stranger.

    The login comes first where an account does something. ``as_`` is gitml's view; the rest is what people do by other
    means: with Git, on pages, or by what an administrator may. ``lacks`` is what the forge has not at all.
    """

    @property
    def lacks(self) -> frozenset[str]: ...

    @property
    def repository(self) -> str: ...

    def as_(self, login: str = "ada") -> AbstractContextManager[GovernedForge]: ...

    def as_job(self) -> AbstractContextManager[GovernedForge]:
        """With the token of a job of this repository, which is nobody's."""
        ...

    def settings(self, login: str = "ada") -> Settings: ...

    def job_settings(self) -> Settings: ...

    def remote(self, login: str = "ada") -> str:
        """What ``git push`` takes; ``pushed`` is to be called after it."""
        ...

    def pushed(self, login: str) -> None:
        """Whose the pushes were since anything was asked last."""
        ...

    def person(self, login: str) -> Account: ...

    def known_by(self, login: str, email: str) -> None:
        """The forge takes this address in commits for the account's."""
        ...

    def write(self, login: str, path: str, text: str, branch: str = "main", *, message: str = "", by: str = "") -> str:
        """A commit with this file on a branch. ``by`` is its author, ``Name <address>``, in place of the account."""
        ...

    def move(self, login: str, branch: str, commit: str | None) -> None:
        """A branch made, moved by force, or deleted for None."""
        ...

    def review(self, login: str, number: int, state: str = "APPROVED", commit: str = "") -> None: ...

    def dismiss(self, login: str, number: int, review: int) -> None: ...

    def reopen(self, login: str, number: int) -> None: ...

    def retarget(self, login: str, number: int, base: str) -> None: ...

    def fork(self, login: str) -> str: ...

    def write_fork(self, login: str, path: str, text: str) -> str:
        """A commit on main of the account's fork."""
        ...

    def open_from_fork(self, login: str, new: NewPull) -> PullRequest: ...

    def unprotect(self, branch: str = "main") -> None: ...

    def let(self, login: str, role: str) -> None:
        """Give an account a role in the repository."""
        ...

    def secret(self, environment: str, name: str) -> None: ...

    def open_environment(self, environment: str) -> None:
        """Somebody lets every branch use it."""
        ...


def tip(home: Home, branch: str = "main") -> str:
    with home.as_() as hub:
        found = hub.commits.branch(branch)
        assert found is not None
        return found.commit


def new_branch(home: Home, name: str, base: str = "main", login: str = "ada") -> str:
    commit = tip(home, base)
    home.move(login, name, commit)
    return commit


def pull(
    home: Home, branch: str = "feature", login: str = "ada", *, base: str = "main", draft: bool = False
) -> PullRequest:
    """A branch with one change, and its pull request."""
    new_branch(home, branch, login=login)
    home.write(login, f"{branch}.txt", "new\n", branch)
    with home.as_(login) as hub:
        return hub.pulls.open(NewPull(f"About {branch}", branch, base, draft=draft))


@dataclass
class MemoryHome:
    """In this process, over a bare repository below ``folder``."""

    forge: MemoryForge
    lacks: frozenset[str] = frozenset()

    @property
    def repository(self) -> str:
        return self.forge.repository

    @contextmanager
    def as_(self, login: str = "ada") -> Iterator[GovernedForge]:
        yield self.forge.as_(login)

    @contextmanager
    def as_job(self) -> Iterator[GovernedForge]:
        yield self.forge.as_(JOBS, is_job=True)

    def settings(self, login: str = "ada") -> Settings:
        return self.forge.settings(login)

    def job_settings(self) -> Settings:
        return self.forge.settings(JOBS, is_job=True)

    def remote(self, login: str = "ada") -> str:
        return str(self.forge.remote)

    def pushed(self, login: str) -> None:
        self.forge.notice(login)

    def person(self, login: str) -> Account:
        return self.forge.as_(login).session.person

    def known_by(self, login: str, email: str) -> None:
        self.forge.account(login, emails=[email])

    def write(self, login: str, path: str, text: str, branch: str = "main", *, message: str = "", by: str = "") -> str:
        return self.forge.as_(login).acts.write({path: text}, branch, message, by=by)

    def move(self, login: str, branch: str, commit: str | None) -> None:
        self.forge.as_(login).acts.push(branch, commit)

    def review(self, login: str, number: int, state: str = "APPROVED", commit: str = "") -> None:
        self.forge.as_(login).acts.review(number, state, commit)

    def dismiss(self, login: str, number: int, review: int) -> None:
        self.forge.as_(login).acts.dismiss(number, review)

    def reopen(self, login: str, number: int) -> None:
        self.forge.as_(login).acts.reopen(number)

    def retarget(self, login: str, number: int, base: str) -> None:
        self.forge.as_(login).acts.retarget(number, base)

    def fork(self, login: str) -> str:
        return self.forge.as_(login).acts.fork()

    def write_fork(self, login: str, path: str, text: str) -> str:
        fork = f"{login}/{self.repository.partition('/')[2]}"
        return self.forge.as_(login).acts.write({path: text}, "main", repository=fork)

    def open_from_fork(self, login: str, new: NewPull) -> PullRequest:
        fork = f"{login}/{self.repository.partition('/')[2]}"
        return self.forge.as_(login).acts.open_from(fork, new)

    def unprotect(self, branch: str = "main") -> None:
        self.forge.as_("ada").acts.unprotect(branch)

    def let(self, login: str, role: str) -> None:
        self.forge.account(login, role)

    def secret(self, environment: str, name: str) -> None:
        self.forge.as_("ada").acts.secret(environment, name)

    def open_environment(self, environment: str) -> None:
        self.forge.as_("ada").acts.open_environment(environment)


def memory_home(folder: Path, *, guild: bool = False) -> MemoryHome:
    """An empty repository, with the people of the tests; of the organisation ``guild``, on demand."""
    return MemoryHome(peopled(folder, guild=guild))


def peopled(folder: Path, *, guild: bool, now: Callable[[], datetime] = clock.now) -> MemoryForge:
    made = MemoryForge.create(folder, f"{'guild' if guild else 'ada'}/demo-{next(_NUMBERS)}", now=now)
    for login in (*PEOPLE, JOBS):
        made.account(login, "write" if login in _WRITERS[guild] else "none")
    if guild:
        made.organisation("guild", _WRITERS[guild], risk=("olga", "rita"))
        made.account("ada", "admin")
    return made


@dataclass
class SandboxHome:
    """In a running sandbox, by GitHub's API."""

    kit: Kit
    repo: Repo
    job: str = field(default="", repr=False)
    lacks: frozenset[str] = frozenset()

    @property
    def repository(self) -> str:
        return self.repo.full_name

    def api(self, login: str, repository: str = "") -> Api:
        return api(self.kit, repository or self.repo, login)

    def as_(self, login: str = "ada") -> AbstractContextManager[GovernedForge]:
        return connect(self.settings(login), patience=QUICK)

    def as_job(self) -> AbstractContextManager[GovernedForge]:
        return connect(self.job_settings(), patience=QUICK)

    def settings(self, login: str = "ada") -> Settings:
        return self._settings(self.kit.token[login])

    def job_settings(self) -> Settings:
        self.job = self.job or job_token(self.kit, self.repo)
        return self._settings(self.job)

    def _settings(self, token: str) -> Settings:
        return Settings(f"{self.kit.url}/api/v3", self.kit.url, self.repository, token)

    def remote(self, login: str = "ada") -> str:
        return self.kit.remote(self.repo, login)

    def pushed(self, login: str) -> None:
        """The sandbox knows by the token."""

    def person(self, login: str) -> Account:
        return Account(login, self.kit.user(login).id)

    def known_by(self, login: str, email: str) -> None:
        with self.kit.sandbox.store.write() as tx:
            tx.execute("DELETE FROM emails WHERE email = ?", (email,))
            emails.add(tx, users.get(tx, login).id, [email])

    def write(self, login: str, path: str, text: str, branch: str = "main", *, message: str = "", by: str = "") -> str:
        return self._write(self.api(login), path, text, branch, message or f"write {path}", by)

    def _write(self, to: Api, path: str, text: str, branch: str, message: str, by: str) -> str:
        there = to.call("GET", f"contents/{path}", params={"ref": branch})
        body: dict[str, Any] = {"message": message, "content": b64encode(text.encode()).decode(), "branch": branch}
        body |= {"sha": there.json()["sha"]} if there.status_code == 200 else {}
        if by:
            name, _, email = by.rstrip(">").partition(" <")
            body |= {"author": {"name": name, "email": email}, "committer": {"name": name, "email": email}}
        return str(to.put(f"contents/{path}", expect=200 if "sha" in body else 201, **body)["commit"]["sha"])

    def move(self, login: str, branch: str, commit: str | None) -> None:
        to, ref = self.api(login), f"refs/heads/{branch}"
        if commit is None:
            to.delete(f"git/{ref}")
        elif to.call("GET", f"git/ref/heads/{branch}").status_code == 404:
            to.post("git/refs", ref=ref, sha=commit)
        else:
            to.patch(f"git/{ref}", sha=commit, force=True)

    def review(self, login: str, number: int, state: str = "APPROVED", commit: str = "") -> None:
        event = {"APPROVED": "APPROVE", "CHANGES_REQUESTED": "REQUEST_CHANGES", "COMMENTED": "COMMENT"}[state]
        self.api(login).review(number, event, **({"commit_id": commit} if commit else {}))

    def dismiss(self, login: str, number: int, review: int) -> None:
        self.api(login).put(f"pulls/{number}/reviews/{review}/dismissals", message="no")

    def reopen(self, login: str, number: int) -> None:
        self.api(login).patch(f"pulls/{number}", state="open")

    def retarget(self, login: str, number: int, base: str) -> None:
        self.api(login).patch(f"pulls/{number}", base=base)

    def fork(self, login: str) -> str:
        made = repos.create(self.kit.sandbox, self.kit.user(login).id, self.repo.name, fork_of=self.repo)
        return made.full_name

    def write_fork(self, login: str, path: str, text: str) -> str:
        return self._write(self.api(login, f"{login}/{self.repo.name}"), path, text, "main", f"write {path}", "")

    def open_from_fork(self, login: str, new: NewPull) -> PullRequest:
        to = self.api(login)
        number = to.post("pulls", title=new.title, head=f"{login}:{new.head}", base=new.base)["number"]
        with self.as_() as hub:
            return hub.pulls.get(number)

    def unprotect(self, branch: str = "main") -> None:
        self.api("ada").delete(f"branches/{branch}/protection")

    def let(self, login: str, role: str) -> None:
        with self.kit.sandbox.store.write() as tx:
            repos.set_collaborator(tx, self.repo.id, users.get(tx, login).id, role)

    def secret(self, environment: str, name: str) -> None:
        to, place = self.api("ada"), f"/api/v3/repos/{self.repository}/environments/{environment}/secrets/{name}"
        to.http.put(place, headers=to.headers, json={"value": "x"}).raise_for_status()

    def open_environment(self, environment: str) -> None:
        to, place = self.api("ada"), f"/api/v3/repos/{self.repository}/environments/{environment}"
        to.http.put(place, headers=to.headers, json={"wait_timer": 5}).raise_for_status()


def sandbox_home(kit: Kit, *, guild: bool = False) -> SandboxHome:
    """An empty repository in the running sandbox."""
    if guild:
        _found_guild(kit)
    return SandboxHome(kit, kit.repo(owner="guild" if guild else "ada", writers=_WRITERS[guild]))


def _found_guild(kit: Kit) -> None:
    """The organisation `guild` with the team `risk`: olga and rita."""
    with kit.sandbox.store.write() as tx:
        if users.find(tx, "guild") is not None:
            return
        org = users.add(tx, "guild", type="Organization")
        team = users.add_team(tx, org.id, "Risk")
        for login in ("ada", "olga", "rita"):
            users.add_member(tx, org.id, users.get(tx, login).id)
        for login in ("olga", "rita"):
            users.add_team_member(tx, team, users.get(tx, login).id)


def job_token(kit: Kit, repo: Repo, **more: str) -> str:
    """Of a job of the repository's own workflow, with more permissions than most."""
    with kit.sandbox.store.write() as tx:
        found = users.find(tx, JOBS) or users.add(tx, JOBS, type="Bot")
        return tokens.mint(tx, user_id=found.id, kind="job", repo_id=repo.id, permissions={**JOB, **more})
