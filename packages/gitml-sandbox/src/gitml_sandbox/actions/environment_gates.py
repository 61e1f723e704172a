"""Environments at the door of a job: refused refs, waiting for reviewers or for a timer."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta

from gitml_sandbox.actions.tables import change
from gitml_sandbox.forge import environments, protections
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.environments import Environment
from gitml_sandbox.forge.refusals import RefusalError, forbidden
from gitml_sandbox.forge.repos import Repo

APPROVED = "approved by "


@dataclass(frozen=True)
class Gate:
    """`refused` and `waits_for` are reasons; both empty: the job may go on."""

    refused: str = ""
    waits_for: str = ""


def enter(tx: sqlite3.Connection, sandbox: Sandbox, repo: Repo, run: sqlite3.Row, name: str) -> Gate:
    """What an Environment says to a job of a run. One that does not exist is created without rules, as on
    GitHub.
    """
    if not name:
        return Gate()
    found = environments.find(tx, repo.id, name)
    if found is None:
        environments.put(tx, repo_id=repo.id, name=name, now=sandbox.now())
        return Gate()
    branch = run["ref"].removeprefix("refs/heads/") if run["ref"].startswith("refs/heads/") else ""
    protected = bool(branch) and protections.find(tx, repo.id, branch) is not None
    refused = environments.refusal(found, run["ref"], protected=protected)
    return Gate(refused, "" if refused else _waits(found))


def _waits(found: Environment) -> str:
    if found.reviewers:
        return f"waiting for a reviewer of the environment {found.name}"
    return f"waiting {found.wait_minutes} minutes for the environment {found.name}" if found.wait_minutes else ""


def open_now(tx: sqlite3.Connection, sandbox: Sandbox, repo: Repo, job: sqlite3.Row) -> bool:
    """Whether a waiting job may go on: approved where reviewers are asked, and old enough where a timer is."""
    found = environments.find(tx, repo.id, job["environment"])
    if found is None:
        return True
    if found.reviewers and not job["reason"].startswith(APPROVED):
        return False
    since = datetime.fromisoformat(job["created_at"])
    return sandbox.clock() >= since + timedelta(minutes=found.wait_minutes)


def review(
    tx: sqlite3.Connection, repo: Repo, run: sqlite3.Row, job: sqlite3.Row, *, user_id: int, approve: bool
) -> None:
    """A reviewer's word on a waiting job. Raises RefusalError if this person has none."""
    found = environments.find(tx, repo.id, job["environment"])
    if found is None or job["status"] != "waiting":
        raise RefusalError(422, "No pending deployment requests to approve or reject")
    if user_id not in found.reviewers:
        raise forbidden("You are not a reviewer of this environment")
    if found.prevent_self_review and user_id == run["actor_id"]:
        raise forbidden("Whoever started the run may not approve it")
    if approve:
        change(tx, "jobs", job["id"], reason=f"{APPROVED}{user_id}")
    else:
        change(tx, "jobs", job["id"], cancel_asked=1, reason=f"rejected by a reviewer of {found.name}")


def labels(job: sqlite3.Row) -> frozenset[str]:
    """The labels that a runner must have for a job."""
    return frozenset(json.loads(job["labels"]))
