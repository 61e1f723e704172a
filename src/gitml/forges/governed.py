"""What gitml asks of a forge about decisions: reviews, merges, people, deployments, and what guards a repository."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from gitml.forges.base import Forge, PullRequest


@dataclass(frozen=True)
class Account:
    """An account. ``id`` survives a change of login; an account that is gone is ``("", 0)``."""

    login: str
    id: int

    def __str__(self) -> str:
        return self.login


@dataclass(frozen=True)
class Review:
    """``state`` is APPROVED, CHANGES_REQUESTED, COMMENTED or DISMISSED, of ``commit``; ``time`` UTC, ISO with a Z.

    Of a dismissed one ``dismissed`` says when, and ``was`` what it said before; empty where the forge does not know.
    """

    id: int
    person: Account
    state: str
    commit: str
    time: str
    url: str = ""
    dismissed: str = ""
    was: str = ""


@dataclass(frozen=True)
class Reviewers:
    """Logins of people, and teams as ``organisation/team``."""

    people: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """Who was asked for a review, and who may not be, with the forge's reason."""

    done: Reviewers
    skipped: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CommitIdentity:
    """A name and address as a commit says it: anybody can write anything there."""

    name: str
    email: str


@dataclass(frozen=True)
class PullCommit:
    """A commit of a pull request. ``author`` and ``committer`` are whom the forge takes the addresses for, if anybody.

    ``claims`` are author, committer and co-authors as the commit itself names them.
    """

    commit: str
    author: Account | None
    committer: Account | None
    claims: tuple[CommitIdentity, ...]
    message: str

    @property
    def people(self) -> tuple[Account, ...]:
        """The accounts behind it."""
        return tuple(p for p in dict.fromkeys((self.author, self.committer)) if p is not None)


@dataclass(frozen=True)
class Pushed:
    """Somebody moved a branch from ``before`` to ``after``; ``kind`` in GitHub's words: push, force_push, pr_merge …"""

    by: Account
    before: str
    after: str
    time: str
    kind: str


@dataclass(frozen=True)
class Readiness:
    """Whether a pull request can be merged. ``mergeable`` is None while the forge works it out.

    ``state`` is GitHub's word: clean, blocked, behind, dirty, draft, unstable, has_hooks or unknown.
    """

    head: str
    mergeable: bool | None
    state: str
    is_open: bool
    author: Account


@dataclass(frozen=True)
class Merged:
    """``commit`` is what the merge made on the base branch."""

    commit: str
    by: Account
    time: str


@dataclass(frozen=True)
class NewDeployment:
    """``task`` tells several things in one environment apart: ``deploy:<model>``."""

    commit: str
    environment: str
    task: str
    description: str = ""
    payload: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class ForgeDeployment:
    id: int
    commit: str
    environment: str
    task: str
    payload: Mapping[str, object]
    created: str
    by: str


@dataclass(frozen=True)
class DeploymentState:
    """``state`` is queued, pending, in_progress, success, failure, error or inactive."""

    state: str
    description: str = ""
    url: str = ""
    created: str = ""
    by: str = ""


@dataclass(frozen=True)
class ForgeEnvironment:
    """An Environment of the forge, which holds secrets. ``branches`` are the patterns of branches that may use it.

    None: every branch. ``protected_only``: those that a rule protects.
    """

    name: str
    branches: tuple[str, ...] | None
    protected_only: bool = False


# In place of an app's number: the app that posted it last; anybody as long as none has.
POSTED_LAST = 0


@dataclass(frozen=True)
class Protection:
    """What is asked of a branch. ``checks``: context → number of the app that must post it, None for anybody.

    POSTED_LAST is only for asking; the answer says which app it is.

    Without ``pull_request`` people may push to it; history is never rewritten and the branch never deleted, unless
    ``may_rewrite``. ``unable`` is in answers alone: what this forge cannot ask at all, by field, and why.
    """

    checks: Mapping[str, int | None] = field(default_factory=dict)
    pull_request: bool = False
    approvals: int = 0
    code_owners: bool = False
    dismiss_stale: bool = False
    last_push: bool = False
    admins: bool = False
    may_rewrite: bool = False
    unable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ForgeCheck:
    """Something that only one forge needs. ``is_ok`` None: it works, and could be better; ``todo`` says how."""

    name: str
    is_ok: bool | None
    said: str
    todo: str = ""


class Reviews(Protocol):
    def list(self, number: int) -> tuple[Review, ...]:
        """Those handed in, oldest first."""
        ...

    def asked(self, number: int) -> Reviewers:
        """Who is asked and has not answered."""
        ...

    def ask(self, number: int, wanted: Reviewers) -> Asked:
        """Ask for reviews; whoever may not be asked is skipped, and the others are asked all the same."""
        ...


class Merges(Protocol):
    def under(self, prefix: str) -> tuple[PullRequest, ...]:
        """The open pull requests whose head is a branch of this repository that starts with ``prefix``."""
        ...

    def readiness(self, number: int) -> Readiness: ...

    def merge(self, number: int, head: str, *, method: str = "merge", title: str = "", message: str = "") -> str:
        """Merge exactly ``head`` (merge, squash, rebase), once; the commit that this made.

        Raises FailedError when the head is another one by now, or the forge's rules stand in the way.
        """
        ...

    def merged(self, number: int) -> Merged | None: ...

    def close(self, number: int, comment: str = "") -> None:
        """Close it, with a comment first; nothing happens to one that is closed."""
        ...

    def commits(self, number: int) -> tuple[PullCommit, ...]:
        """All of them, oldest first. Raises HttpError when the forge does not list them all (more than 250)."""
        ...

    def commit(self, commit: str) -> PullCommit:
        """One commit, of a pull request or not, and the accounts behind it."""
        ...

    def pushes(self, branch: str, repository: str = "") -> tuple[Pushed, ...]:
        """Who moved a branch, newest first, as far back as the forge remembers."""
        ...


class People(Protocol):
    def find(self, login: str) -> Account | None: ...

    def members(self, team: str) -> tuple[Account, ...] | None:
        """Of ``organisation/team``, or None when the token may not see it."""
        ...

    def permission(self, login: str) -> str:
        """admin, maintain, write, triage, read or none, or the name of a role of the organisation's own."""
        ...


class Deployments(Protocol):
    def create(self, new: NewDeployment) -> ForgeDeployment: ...

    def say(self, deployment: int, state: DeploymentState) -> DeploymentState: ...

    def list(self, environment: str = "", task: str = "", *, most: int = 30) -> tuple[ForgeDeployment, ...]:
        """Newest first."""
        ...

    def states(self, deployment: int, *, most: int = 30) -> tuple[DeploymentState, ...]:
        """Newest first."""
        ...


class Guards(Protocol):
    """What guards the repository; for administrators."""

    def environment(self, name: str) -> ForgeEnvironment | None: ...

    def secrets(self, environment: str) -> tuple[str, ...]:
        """The names of an Environment's secrets, or of the repository's own for ``""``. Nobody can read values."""
        ...

    def set_environment(self, name: str, branches: Sequence[str]) -> ForgeEnvironment:
        """Make the Environment if it is not there, and add ``branches`` to those that may use it.

        It is closed to branches that no pattern names. Patterns that are there stay: only a person takes them away.
        """
        ...

    def protection(self, branch: str) -> Protection | None:
        """None when the branch is not protected, or not there."""
        ...

    def protect(self, branch: str, wanted: Protection) -> Protection:
        """Ask at least this of a branch; what is asked already stays."""
        ...

    def jobs_may_open(self) -> bool:
        """Whether a job's own token may open (and approve) pull requests."""
        ...

    def let_jobs_open(self, *, yes: bool) -> None: ...

    def own(self, schedules: Mapping[str, str], *, fix: bool = False) -> tuple[ForgeCheck, ...]:
        """What only this forge needs, checked; ``fix`` sets what can be set first.

        ``schedules`` are those of the default branch that its CI keeps outside of files: name → times, as cron's.
        """
        ...


class GovernedForge(Forge, Protocol):
    """A forge with all that promotion and serving ask of it."""

    @property
    def reviews(self) -> Reviews: ...

    @property
    def merges(self) -> Merges: ...

    @property
    def people(self) -> People: ...

    @property
    def deployments(self) -> Deployments: ...

    @property
    def guards(self) -> Guards: ...
