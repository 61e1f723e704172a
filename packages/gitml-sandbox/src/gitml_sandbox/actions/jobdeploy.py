"""A job with `environment:` is a deployment, as on GitHub: in progress while it runs, then what became of it.

https://docs.github.com/en/actions/reference/workflows-and-actions/deployments-and-environments
"""

from __future__ import annotations

import sqlite3

from gitml_sandbox.actions import jobstatus
from gitml_sandbox.actions import tables as runs_store
from gitml_sandbox.actions.workflows import Job
from gitml_sandbox.forge import deployments
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.repos import Repo

_STATE = {"success": "success", "failure": "failure"}


def begin(tx: sqlite3.Connection, sandbox: Sandbox, repo: Repo, run: sqlite3.Row, row: sqlite3.Row, job: Job) -> None:
    """Make the deployment of a job that starts."""
    if not row["environment"]:
        return
    new = deployments.New(sha=run["head_sha"], ref=run["head_branch"], environment=row["environment"])
    bot = jobstatus.bot(tx)
    made = deployments.create(tx, repo_id=repo.id, new=new, creator_id=bot.id, now=sandbox.now())
    runs_store.change(tx, "jobs", row["id"], deployment_id=made["id"])
    given = {"state": "in_progress", **_links(sandbox, repo, run, job)}
    deployments.add_status(tx, made, given=given, creator_id=bot.id, now=sandbox.now())


def end(tx: sqlite3.Connection, sandbox: Sandbox, repo: Repo, job_id: int, conclusion: str) -> None:
    """Write down how the deployment of a job ended, if it was one."""
    row = tx.execute("SELECT deployment_id FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if row is None or row["deployment_id"] is None:
        return
    about = deployments.get(tx, repo.id, row["deployment_id"])
    before = deployments.statuses(tx, about["id"])[-1]
    given = {"state": _STATE.get(conclusion, "error"), **{n: before[n] for n in ("log_url", "environment_url")}}
    deployments.add_status(tx, about, given=given, creator_id=jobstatus.bot(tx).id, now=sandbox.now())


def _links(sandbox: Sandbox, repo: Repo, run: sqlite3.Row, job: Job) -> dict[str, str]:
    """An address with an expression is left out: only the runner's end could tell it."""
    given = job.raw.get("environment")
    url = str(given.get("url") or "") if isinstance(given, dict) else ""
    plain = url if url.startswith(("http://", "https://")) and "${{" not in url else ""
    return {"log_url": f"{sandbox.base_url}/{repo.full_name}/actions/runs/{run['id']}", "environment_url": plain}
