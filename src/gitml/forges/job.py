"""What a forge tells the jobs of its CI: why the job runs, on which commit, in which run. In nobody's own words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class JobCause(StrEnum):
    """Why a job runs. ``PULL_TRUSTED`` is about a pull request too, but runs the workflow of the default branch."""

    PUSH = "push"
    PULL = "pull request"
    PULL_TRUSTED = "pull request, from the default branch"
    REVIEW = "review"
    QUEUE = "merge queue"
    RUN = "another run ended"
    MANUAL = "by hand"
    OTHER = "other"


@dataclass(frozen=True)
class PullEvent:
    """The pull request that an event is about. ``repository`` is the head's, empty when that is gone.

    ``action`` is what happened to it: opened, reopened, ready_for_review, labeled, synchronize …; ``label`` which.
    """

    number: int
    action: str
    branch: str
    commit: str
    repository: str
    base: str
    label: str = ""


@dataclass(frozen=True)
class EndedRun:
    """The run that ended, of a job that runs because of that. ``pulls`` are the pull requests that the forge names."""

    id: int
    attempt: int
    cause: JobCause
    commit: str
    branch: str
    repository: str
    pulls: tuple[int, ...] = ()


@dataclass(frozen=True)
class ForgeJob:
    """One job. Texts are empty and numbers 0 where the forge says nothing; outside CI nothing is said at all.

    ``ref`` is what the workflow was read from, ``repository`` the one whose workflow runs. ``actor`` is who caused the
    run, ``again`` who started it once more. ``summary`` is the file of the run's own page, ``scratch`` a folder
    that is empty when the job begins. ``inside``: what jobs hand over is taken from the checkout alone.
    """

    is_ci: bool = False
    cause: JobCause = JobCause.OTHER
    repository: str = ""
    web: str = ""
    default_branch: str = ""
    ref: str = ""
    commit: str = ""
    run: int = 0
    attempt: int = 0
    run_url: str = ""
    token: str = ""
    actor: str = ""
    actor_id: int = 0
    again: str = ""
    summary: Path | None = None
    scratch: Path | None = None
    inside: bool = False
    pull: PullEvent | None = None
    ended: EndedRun | None = None
    queue: tuple[str, str] | None = None

    @property
    def branch(self) -> str:
        """The branch that the workflow was read from, or empty."""
        return self.ref.removeprefix("refs/heads/") if self.ref.startswith("refs/heads/") else ""
