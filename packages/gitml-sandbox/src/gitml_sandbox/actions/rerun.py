"""Runs that go again: all of it, what failed, or what waited for approval."""

from __future__ import annotations

import json
import sqlite3

from gitml_sandbox.actions import artifacts, runs
from gitml_sandbox.actions import tables as runs_store
from gitml_sandbox.actions.workflows import Workflow, build
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.refusals import RefusalError
from gitml_sandbox.forge.repos import Repo

_KEPT = (
    *("run_id", "key", "name", "matrix", "labels", "conclusion", "reason", "forgiven", "fail_fast"),
    *("max_parallel", "environment", "outputs", "steps", "runner", "created_at", "started_at", "completed_at"),
)


def again(
    tx: sqlite3.Connection, sandbox: Sandbox, repo: Repo, run: sqlite3.Row, *, only_failed: bool = False, job: str = ""
) -> None:
    """Begin a new attempt at the same commit with the same file: of all jobs, of those that failed, or of the one with
    the key ``job`` and those that need it. Raises RefusalError 403 while the run goes on.
    """
    if run["status"] != "completed":
        raise RefusalError(403, "This workflow run is already running")
    if run["conclusion"] in {"action_required", "startup_failure"}:
        raise RefusalError(403, "This workflow run cannot be retried")
    before = runs_store.jobs_of(tx, run)
    workflow = build(run["path"], json.loads(run["workflow"]))
    _reset(tx, sandbox, run, attempt=run["attempt"] + 1)
    if not only_failed and not job:
        artifacts.drop_of_run(sandbox, tx, run["id"])
    fresh = runs_store.run_row(tx, run["id"])
    assert fresh is not None
    runs.start(tx, sandbox, repo, fresh, workflow)
    if only_failed:
        _keep(tx, fresh, before, workflow, [key for key in workflow.jobs if _succeeded(before, key)])
    elif job:
        again_too = _needing(workflow, job)
        _keep(tx, fresh, before, workflow, [key for key in workflow.jobs if key not in again_too])


def approve(tx: sqlite3.Connection, sandbox: Sandbox, repo: Repo, run: sqlite3.Row) -> None:
    """Start a run that waited for somebody with write access. Raises RefusalError 403 if it does not wait."""
    if run["conclusion"] != "action_required":
        raise RefusalError(403, "This workflow run does not wait for approval")
    _reset(tx, sandbox, run, attempt=run["attempt"])
    fresh = runs_store.run_row(tx, run["id"])
    assert fresh is not None
    runs.start(tx, sandbox, repo, fresh, build(run["path"], json.loads(run["workflow"])))


def _reset(tx: sqlite3.Connection, sandbox: Sandbox, run: sqlite3.Row, *, attempt: int) -> None:
    now = sandbox.now()
    runs_store.change(
        tx,
        "runs",
        run["id"],
        attempt=attempt,
        status="queued",
        conclusion=None,
        reason="",
        cancel_asked=0,
        started_at=now,
        updated_at=now,
    )


def _succeeded(before: list[sqlite3.Row], key: str) -> bool:
    return all(r["conclusion"] == "success" for r in before if r["key"] == key)


def _needing(workflow: Workflow, job: str) -> set[str]:
    """The job and all that need it, directly or through others."""
    found = {job}
    while more := {key for key, other in workflow.jobs.items() if found & set(other.needs)} - found:
        found |= more
    return found


def _keep(
    tx: sqlite3.Connection, run: sqlite3.Row, before: list[sqlite3.Row], workflow: Workflow, keys: list[str]
) -> None:
    """These jobs, every combination of them, stand as they are; the others are planned anew."""
    planned = {r["key"]: r for r in runs_store.jobs_of(tx, run)}
    for key in keys:
        old = [r for r in before if r["key"] == key]
        if not old:
            continue
        tx.execute("DELETE FROM jobs WHERE id = ?", (planned[key]["id"],))
        for row in old:
            values = {name: row[name] for name in _KEPT}
            runs_store.insert(tx, "jobs", {**values, "attempt": run["attempt"], "status": "completed"})
