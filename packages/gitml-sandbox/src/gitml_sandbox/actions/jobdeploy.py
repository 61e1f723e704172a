"""A job with `environment:` is a deployment, as on GitHub: in progress while it runs, then what became of it.

https://docs.github.com/en/actions/reference/workflows-and-actions/deployments-and-environments
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from gitml_sandbox.actions import jobstatus
from gitml_sandbox.actions import tables as runs_store
from gitml_sandbox.actions.workflows import Job
from gitml_sandbox.changes import announce
from gitml_sandbox.forge import deployments
from gitml_sandbox.forge.context import Sandbox, View
from gitml_sandbox.forge.push_policy import Actor
from gitml_sandbox.forge.repos import Repo

_STATE = {"success": "success", "failure": "failure"}


def begin(tx: sqlite3.Connection, sandbox: Sandbox, repo: Repo, run: sqlite3.Row, row: sqlite3.Row, job: Job) -> None:
    """Make the deployment of a job that starts. Its events carry the job's token, so they start nothing."""
    if not row["environment"]:
        return
    view, by = _view(tx, sandbox)
    new = deployments.New(sha=run["head_sha"], ref=run["head_branch"], environment=row["environment"])
    made = deployments.create(tx, repo_id=repo.id, new=new, creator_id=by.user.id, now=sandbox.now())
    announce.deployment(view, repo, made, by)
    runs_store.change(tx, "jobs", row["id"], deployment_id=made["id"])
    _tell(view, repo, made, by, {"state": "in_progress", **_links(sandbox, repo, run, job)})


def end(tx: sqlite3.Connection, sandbox: Sandbox, repo: Repo, job_id: int, conclusion: str) -> None:
    """Write down how the deployment of a job ended, if it was one."""
    row = tx.execute("SELECT deployment_id FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if row is None or row["deployment_id"] is None:
        return
    view, by = _view(tx, sandbox)
    about = deployments.get(tx, repo.id, row["deployment_id"])
    before = deployments.statuses(tx, about["id"])[-1]
    kept = {name: before[name] for name in ("log_url", "environment_url")}
    _tell(view, repo, about, by, {"state": _STATE.get(conclusion, "error"), **kept})


def _view(tx: sqlite3.Connection, sandbox: Sandbox) -> tuple[View, Actor]:
    bot = jobstatus.bot(tx)
    return View(sandbox, tx, bot.id), Actor(bot, "job")


def _links(sandbox: Sandbox, repo: Repo, run: sqlite3.Row, job: Job) -> dict[str, str]:
    """An address with an expression is left out: only the runner's end could tell it."""
    given = job.raw.get("environment")
    url = str(given.get("url") or "") if isinstance(given, dict) else ""
    plain = url if url.startswith(("http://", "https://")) and "${{" not in url else ""
    return {"log_url": f"{sandbox.base_url}/{repo.full_name}/actions/runs/{run['id']}", "environment_url": plain}


def _tell(view: View, repo: Repo, about: sqlite3.Row, by: Actor, given: Mapping[str, Any]) -> None:
    now = view.sandbox.now()
    for row in deployments.add_status(view.tx, about, given=given, creator_id=by.user.id, now=now):
        parent = deployments.get(view.tx, repo.id, row["deployment_id"])
        announce.deployment_status(view, repo, parent, row, by)
