"""What a forge knows beside Git: plain records in plain containers, so that a copy of it is a forge of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

from gitml.forges.base import Artifact, Comment, ForgeIssue, Job, LabelPut, Place, PullRequest, Run, Status
from gitml.forges.governed import (
    Account,
    DeploymentState,
    ForgeDeployment,
    ForgeEnvironment,
    Merged,
    Protection,
    Pushed,
    Review,
    Reviewers,
)

# From the least to the most that an account may do.
ROLES = ("none", "read", "triage", "write", "maintain", "admin")


@dataclass(frozen=True)
class MemoryAccount:
    """``emails`` are the addresses in commits that the forge takes for this account's."""

    person: Account
    emails: tuple[str, ...] = ()

    @property
    def is_bot(self) -> bool:
        return self.person.login.endswith("[bot]")


@dataclass(frozen=True)
class PullRecord:
    """A pull request, who opened it, who brought its newest head, and who is asked for a review."""

    pull: PullRequest
    author: Account
    pusher: Account
    asked: Reviewers = field(default_factory=Reviewers)
    merged: Merged | None = None
    labelled: tuple[LabelPut, ...] = ()


@dataclass(frozen=True)
class ReviewRecord:
    """``covers`` is the head that the review speaks for: another than its commit after a head with the same change."""

    review: Review
    covers: str


@dataclass(frozen=True)
class RecordedPush:
    """A branch of a repository that somebody moved."""

    repository: str
    branch: str
    pushed: Pushed


@dataclass
class ForgeState:
    """One repository with its forks, and everybody who has to do with it. Logins are keys in small letters."""

    repository: str
    default_branch: str = "main"
    is_private: bool = False
    jobs_may_open: bool = False
    has_drafts: bool = True
    accounts: dict[str, MemoryAccount] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    organisations: dict[str, tuple[str, ...]] = field(default_factory=dict)
    teams: dict[str, tuple[str, ...]] = field(default_factory=dict)
    # What was seen last of (repository, branch).
    tips: dict[tuple[str, str], str] = field(default_factory=dict)
    moves: list[RecordedPush] = field(default_factory=list)
    pulls: dict[int, PullRecord] = field(default_factory=dict)
    comments: dict[Place, dict[int, Comment]] = field(default_factory=dict)
    # Each with its label, the oldest first.
    issues: list[tuple[str, ForgeIssue]] = field(default_factory=list)
    reviews: dict[int, dict[int, ReviewRecord]] = field(default_factory=dict)
    statuses: dict[str, list[Status]] = field(default_factory=dict)
    protections: dict[str, Protection] = field(default_factory=dict)
    environments: dict[str, ForgeEnvironment] = field(default_factory=dict)
    secrets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    deployments: dict[int, ForgeDeployment] = field(default_factory=dict)
    deployment_states: dict[int, list[DeploymentState]] = field(default_factory=dict)
    runs: dict[int, Run] = field(default_factory=dict)
    jobs: dict[int, list[Job]] = field(default_factory=dict)
    artifacts: dict[int, dict[int, tuple[Artifact, bytes]]] = field(default_factory=dict)
    # One series of numbers for everything but pull requests, so that a later thing has a larger one.
    newest: int = 0

    @property
    def owner(self) -> str:
        return self.repository.partition("/")[0]

    def number(self) -> int:
        """The next number that nothing has yet."""
        self.newest += 1
        return self.newest

    def account(self, login: str) -> MemoryAccount | None:
        return self.accounts.get(login.lower())

    def role(self, login: str) -> str:
        """What an account may do: the owner is its administrator, strangers read what is public."""
        if login.lower() == self.owner.lower():
            return "admin"
        rest = "none" if self.is_private else "read"
        return max(rest, self.roles.get(login.lower(), rest), key=ROLES.index)

    def may(self, login: str, role: str) -> bool:
        return ROLES.index(self.role(login)) >= ROLES.index(role)

    def whose(self, email: str) -> Account | None:
        """The account that the forge takes an address of a commit for."""
        found = (a.person for a in self.accounts.values() if email in (*a.emails, noreply(a.person)))
        return next(found, None)


def noreply(person: Account) -> str:
    """The address that the forge gives to an account."""
    return f"{person.id}+{person.login}@users.noreply.localhost"
