"""The commit statuses of jobs: how a run shows in a pull request and counts for branch protection."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from gitml_sandbox.forge import statuses, users
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.repos import Repo

BOT = "github-actions[bot]"
_STATE = {"pending": "pending", "success": "success", "skipped": "success", "neutral": "success", "failure": "failure"}
_WORDS = {"success": "Successful", "skipped": "Skipped", "failure": "Failed", "cancelled": "Cancelled"}


def bot(tx: sqlite3.Connection) -> users.User:
    """The account that jobs act as."""
    return users.find(tx, BOT) or users.add(tx, BOT, type="Bot", name="github-actions")


def context(workflow: str, job: str) -> str:
    """The name of a job's status: `workflow / job`, at most 255 characters."""
    return f"{workflow} / {job}"[:255]


@dataclass(frozen=True)
class Said:
    """What is said of a job. `state` is pending or a conclusion; without `words` the state's own are taken."""

    job: str
    state: str
    words: str = ""


def post(tx: sqlite3.Connection, sandbox: Sandbox, repo: Repo, run: sqlite3.Row, said: Said) -> None:
    """Set a job's status on the head commit of its run."""
    statuses.create(
        tx,
        repo_id=repo.id,
        sha=run["head_sha"],
        state=_STATE.get(said.state, "error"),
        context=context(run["workflow_name"], said.job),
        description=(said.words or _WORDS.get(said.state, ""))[: statuses.MAX_DESCRIPTION],
        target_url=f"{sandbox.base_url}/{repo.full_name}/actions/runs/{run['id']}",
        creator_id=bot(tx).id,
        now=sandbox.now(),
    )
