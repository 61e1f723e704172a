"""What gitml asks of a forge, in words that are nobody's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


@dataclass(frozen=True)
class Side:
    """One end of a pull request. ``repository`` is ``owner/name``, empty when that repository is gone."""

    repository: str
    branch: str
    commit: str


@dataclass(frozen=True)
class PullRequest:
    number: int
    title: str
    url: str
    author: str
    head: Side
    base: Side
    is_open: bool
    is_draft: bool
    is_merged: bool = False
    labels: tuple[str, ...] = ()
    body: str = ""


@dataclass(frozen=True)
class NewPull:
    """A pull request to open, from a branch of the same repository."""

    title: str
    head: str
    base: str
    body: str = ""
    draft: bool = False


@dataclass(frozen=True)
class LabelPut:
    """Somebody put a label on a pull request; ``by`` is the login, ``time`` UTC, ISO with a Z."""

    label: str
    by: str
    time: str


@dataclass(frozen=True)
class ChangedFile:
    """``change`` is added, removed, modified, renamed, copied or changed; ``before`` the name before a renaming."""

    path: str
    change: str
    before: str = ""


@dataclass(frozen=True)
class OnPull:
    """The conversation of a pull request."""

    number: int

    def __str__(self) -> str:
        return f"pull request {self.number}"


@dataclass(frozen=True)
class OnCommit:
    """The comments on one commit."""

    commit: str

    def __str__(self) -> str:
        return f"commit {self.commit[:12]}"


Place = OnPull | OnCommit


@dataclass(frozen=True)
class Comment:
    """``author`` is the login; times are UTC, ISO with a Z."""

    id: int
    body: str
    author: str
    url: str
    created: str
    updated: str


class State(StrEnum):
    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"


@dataclass(frozen=True)
class Status:
    """What a check says of a commit; ``description`` is cut to the forge's 140 characters when it is posted."""

    context: str
    state: State
    description: str = ""
    url: str = ""
    author: str = ""
    created: str = ""


class Relation(StrEnum):
    """How one commit stands to another."""

    SAME = "identical"
    AHEAD = "ahead"
    BEHIND = "behind"
    DIVERGED = "diverged"


@dataclass(frozen=True)
class Branch:
    name: str
    commit: str
    is_protected: bool


@dataclass(frozen=True)
class Run:
    """A run of a workflow. ``repository`` is where its commit comes from: another one for a fork.

    ``by`` is the login of who started it, or pushed what did; of an attempt that was started again, who did that.
    """

    id: int
    attempt: int
    event: str
    workflow: str
    branch: str
    commit: str
    repository: str
    status: str
    conclusion: str
    url: str
    by: str = ""

    @property
    def is_over(self) -> bool:
        return self.status == "completed"


@dataclass(frozen=True)
class Job:
    """A job of a run: ``status`` is queued, waiting, in_progress or completed; ``runner`` is empty until one has it."""

    id: int
    name: str
    status: str
    conclusion: str
    labels: tuple[str, ...]
    runner: str
    created: str
    url: str


@dataclass(frozen=True)
class Artifact:
    """Files that a run left, as one zip archive. ``is_expired``: the forge has deleted them."""

    id: int
    name: str
    size: int
    is_expired: bool


@dataclass(frozen=True)
class About:
    """A repository as the token sees it. ``may_write`` is None when the forge does not say."""

    name: str
    default_branch: str
    is_private: bool
    may_write: bool | None


class Comments(Protocol):
    def list(self, place: Place) -> tuple[Comment, ...]:
        """All of them, oldest first, whatever the number of pages."""
        ...

    def add(self, place: Place, body: str) -> Comment:
        """Added once, also when the answer was lost on the way."""
        ...

    def edit(self, place: Place, comment: int, body: str) -> Comment | None:
        """None when it is gone."""
        ...

    def delete(self, place: Place, comment: int) -> None:
        """No effect when it is gone already."""
        ...


class Pulls(Protocol):
    def of_branch(self, branch: str, owner: str = "", *, closed: bool = False) -> tuple[PullRequest, ...]:
        """The open ones whose head is ``branch`` of this repository, or of a fork of ``owner``; with the ``closed``."""
        ...

    def of_commit(self, commit: str) -> tuple[PullRequest, ...]:
        """Those that the forge links with a commit, open or not."""
        ...

    def get(self, number: int) -> PullRequest: ...

    def all_open(self) -> tuple[PullRequest, ...]:
        """Those of forks too, oldest first."""
        ...

    def files(self, number: int) -> tuple[ChangedFile, ...]: ...

    def open(self, new: NewPull) -> PullRequest:
        """The pull request; the one that is open already when there is one with this head and base.

        Where the forge has no drafts it is none.
        """
        ...

    def ready(self, number: int) -> PullRequest:
        """A draft becomes ready for review; no effect on one that is none."""
        ...

    def edit(self, number: int, *, title: str | None = None, body: str | None = None) -> PullRequest: ...

    def label(self, number: int, labels: Sequence[str]) -> None:
        """Add labels; those that do not exist are made."""
        ...

    def labelled(self, number: int) -> tuple[LabelPut, ...]:
        """Who put which label on when, oldest first; also of labels that are gone."""
        ...


class Commits(Protocol):
    def statuses(self, commit: str) -> tuple[Status, ...]:
        """The newest of each context."""
        ...

    def post(self, commit: str, status: Status) -> Status:
        """The status as it was taken, with its author."""
        ...

    def compare(self, base: str, head: str) -> Relation | None:
        """How ``head`` stands to ``base``; None when one of them is not there."""
        ...

    def author(self, commit: str) -> str:
        """The login that the forge takes a commit's author for; empty for nobody, and for a commit it does not have."""
        ...

    def branch(self, name: str) -> Branch | None: ...

    def rules(self, branch: str) -> tuple[tuple[str, dict[str, object]], ...]:
        """What protects a branch: kinds and parameters, in GitHub's words for rules."""
        ...

    def file(self, path: str, ref: str = "") -> bytes | None:
        """A file's bytes at ``ref``, or on the default branch; None when it is not there."""
        ...


@dataclass(frozen=True)
class ForgeIssue:
    """Something that people are to look into, beside any pull request."""

    number: int
    title: str
    url: str
    is_open: bool
    body: str = ""


class Issues(Protocol):
    def labelled(self, label: str) -> tuple[ForgeIssue, ...]:
        """Open and closed ones with this label, the newest first."""
        ...

    def open(self, title: str, body: str, label: str) -> ForgeIssue:
        """Raises OutsideError where the repository has none, or the token may not."""
        ...


class Runs(Protocol):
    def get(self, run: int) -> Run: ...

    def jobs(self, run: int) -> tuple[Job, ...]:
        """Those of the run's newest attempt."""
        ...

    def of_commit(self, commit: str) -> tuple[Run, ...]: ...

    def artifacts(self, run: int) -> tuple[Artifact, ...]: ...

    def download(self, artifact: int) -> bytes:
        """The zip archive."""
        ...

    def start(self, workflow: str, branch: str) -> None:
        """Run the workflow file ``workflow`` on a branch."""
        ...

    def rerun(self, job: int) -> bool:
        """Run a job of a run that is over again, and those that need it; False when the forge cannot any more."""
        ...


class Forge(Protocol):
    """One repository on a forge, as one token sees it."""

    @property
    def pulls(self) -> Pulls: ...

    @property
    def comments(self) -> Comments: ...

    @property
    def commits(self) -> Commits: ...

    @property
    def runs(self) -> Runs: ...

    @property
    def issues(self) -> Issues: ...

    def about(self) -> About: ...

    def me(self) -> str:
        """The login that this token writes as; empty when the forge does not tell a token of this kind."""
        ...
