"""Why the gate is called: which pull requests the event of the workflow is about."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gitml.errors import UsageError
from gitml.forges import elsewhere
from gitml.forges.base import Forge, PullRequest
from gitml.forges.job import EndedRun, ForgeJob, JobCause
from gitml.forges.table import job_of
from gitml.http import HttpError


@dataclass(frozen=True)
class Queue:
    """A merge queue's commit ``head``, on top of ``base``."""

    base: str
    head: str


@dataclass(frozen=True)
class Occasion:
    """``numbers`` of pull requests; None: every open one, with those in a merge queue where ``seeks_queue``.
    ``queue`` where it is a merge queue's commit instead.

    ``official``: called by the default branch's workflow, so statuses are posted and evidence is signed.
    """

    numbers: tuple[int, ...] | None = None
    queue: Queue | None = None
    official: bool = False
    seeks_queue: bool = False


def occasion(env: Mapping[str, str], forge: Forge, default_branch: str) -> Occasion:
    """From what the forge tells a job. Raises UsageError for an event that says too little."""
    job = job_of(env)
    if not job.is_ci:
        return Occasion(numbers=())
    if job.cause is JobCause.QUEUE:
        return Occasion(queue=_queue(job), official=True)
    official = job.branch == default_branch
    if job.cause in (JobCause.PULL, JobCause.PULL_TRUSTED, JobCause.REVIEW):
        if job.pull is None or not job.pull.number:
            raise UsageError("the event does not name the number of a pull request")
        return Occasion((job.pull.number,), official=official and job.cause is JobCause.PULL_TRUSTED)
    if job.cause is JobCause.RUN and job.ended and job.ended.cause is JobCause.REVIEW:
        return Occasion(_reviewed(job.ended, forge), official=official)
    # A forge makes 0 of a number that nobody gave.
    if (pull := env.get("GITML_PULL", "").strip()) not in ("", "0"):
        return Occasion((_number(pull),), official=official)
    # No event of a queue reaches a system that is not the forge's own.
    return Occasion(None, official=official, seeks_queue=official and bool(env.get(elsewhere.SYSTEM)))


def _reviewed(run: EndedRun, forge: Forge) -> tuple[int, ...]:
    """The event names the pull requests of the repository's own branches only, so those of the commit are asked for."""
    owner = run.repository.partition("/")[0]
    linked = list(forge.pulls.of_branch(run.branch, owner)) if run.branch and owner else []
    linked += [pull for pull in _of_commit(forge, run.commit) if pull.is_open]
    return tuple(dict.fromkeys([*run.pulls, *(pull.number for pull in linked)]))


def _of_commit(forge: Forge, commit: str) -> tuple[PullRequest, ...]:
    """A commit that the forge does not know (any more) belongs to no pull request."""
    try:
        return forge.pulls.of_commit(commit)
    except HttpError as exc:
        if exc.status not in (404, 422):
            raise
        return ()


def _queue(job: ForgeJob) -> Queue:
    if job.queue is None:
        raise UsageError("the event of the merge queue names no commits")
    return Queue(*job.queue)


def _number(value: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,9}", value):
        raise UsageError(f"{value[:40]!r} is not the number of a pull request", "such as 12")
    return int(value)
