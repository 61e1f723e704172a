"""Runs: made from an event's decisions, with their jobs planned, in the transaction that marks the event
handled.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from gitml_sandbox.actions import concurrency as groups
from gitml_sandbox.actions import contexts, job_expansion, jobstatus, workflows
from gitml_sandbox.actions import tables as runs_store
from gitml_sandbox.actions.expressions import interpolate
from gitml_sandbox.actions.triggers import Decision, Event, is_fork
from gitml_sandbox.actions.workflows import Broken, Workflow
from gitml_sandbox.errors import SandboxError
from gitml_sandbox.forge import events, secrets
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.repos import Repo
from gitml_sandbox.serial import runs as runs_json


@dataclass(frozen=True)
class Cause:
    """The row of the event, who caused it, and the message of the commit that the run is made at."""

    event_id: int | None
    actor_id: int
    message: str


def create(
    tx: sqlite3.Connection,
    sandbox: Sandbox,
    repo: Repo,
    event: Event,
    decision: Decision,
    cause: Cause,
) -> int:
    """Add the run of one decision that starts, with its jobs and their pending statuses. Returns its id."""
    now = sandbox.now()
    workflow = decision.workflow
    broken = isinstance(workflow, Broken)
    name = workflow.path if isinstance(workflow, Broken) else workflow.name
    workflow_id = runs_store.workflow_id(tx, repo.id, workflow.path, name, now)
    head_branch, head_sha = head(event, decision)
    run_id = runs_store.insert(
        tx,
        "runs",
        {
            "repo_id": repo.id,
            "event_id": cause.event_id,
            "workflow_id": workflow_id,
            "run_number": runs_store.next_run_number(tx, workflow_id),
            "name": name,
            "title": _title(event, cause.message),
            "event": event.name,
            "action": event.action,
            "ref": decision.place.ref,
            "sha": decision.place.sha,
            "head_branch": head_branch,
            "head_sha": head_sha,
            "status": "completed" if broken or decision.approval else "queued",
            "conclusion": "startup_failure" if broken else "action_required" if decision.approval else None,
            "reason": workflow.reason if isinstance(workflow, Broken) else "",
            "actor_id": cause.actor_id,
            "token_kind": event.token_kind,
            "fork": int(is_fork(event.payload)),
            "chain": event.chain + 1 if event.name == "workflow_run" else 0,
            "payload": json.dumps(event.payload),
            "workflow": json.dumps({} if isinstance(workflow, Broken) else workflow.raw),
            "created_at": now,
            "started_at": now,
            "updated_at": now,
        },
    )
    _begin(tx, sandbox, repo, run_id, workflow, approval=decision.approval)
    return run_id


def _begin(
    tx: sqlite3.Connection,
    sandbox: Sandbox,
    repo: Repo,
    run_id: int,
    workflow: Workflow | Broken,
    *,
    approval: bool,
) -> None:
    run = runs_store.run_row(tx, run_id)
    assert run is not None
    if isinstance(workflow, Broken):
        jobstatus.post(tx, sandbox, repo, run, jobstatus.Said("workflow file", "error", workflow.reason))
    elif not approval:  # on GitHub a run that waits for approval is no check: the page of checks lists it
        start(tx, sandbox, repo, run, workflow)
    announce(tx, sandbox, repo, run_id, "requested")
    if isinstance(workflow, Broken):
        announce(tx, sandbox, repo, run_id, "completed")


def start(tx: sqlite3.Connection, sandbox: Sandbox, repo: Repo, run: sqlite3.Row, workflow: Workflow) -> None:
    """Plan the jobs of a run's attempt and enter its concurrency group."""
    plan_jobs(tx, sandbox, run, workflow.jobs)
    for job in workflow.jobs.values():
        if name := job_expansion.plain_name(job):
            jobstatus.post(tx, sandbox, repo, run, jobstatus.Said(name, "pending", "Queued"))
    scope = contexts.scope(
        contexts.github(sandbox, repo, run),
        inputs=contexts.dispatch_inputs(run),
        variables=secrets.variables(tx, repo.id),
    )
    try:
        wanted = job_expansion.concurrency(workflow.raw.get("concurrency"), scope)
        title = interpolate(workflow.raw.get("run-name"), scope)
    except SandboxError as exc:
        runs_store.change(tx, "runs", run["id"], cancel_asked=1, reason=exc.message)
        return
    if title and str(title).strip():
        runs_store.change(tx, "runs", run["id"], title=str(title).strip()[:500])
    if wanted.group:
        status = groups.enter(tx, repo.id, wanted, table="runs", row_id=run["id"])
        runs_store.change(tx, "runs", run["id"], concurrency=wanted.group, status=status)


def plan_jobs(
    tx: sqlite3.Connection,
    sandbox: Sandbox,
    run: sqlite3.Row,
    jobs: Mapping[str, workflows.Job],
) -> None:
    """One row per entry of `jobs:`; a matrix unfolds when the job is ready."""
    for job in jobs.values():
        values = {
            "run_id": run["id"],
            "attempt": run["attempt"],
            "key": job.id,
            "name": job_expansion.plain_name(job) or job.id,
            "status": "planned",
            "created_at": sandbox.now(),
        }
        runs_store.insert(tx, "jobs", values)


def head(event: Event, decision: Decision) -> tuple[str, str]:
    """Branch and commit that a run is about, where its statuses go: the head of a pull request, not its
    merge.
    """
    pull = event.payload.get("pull_request")
    if event.name.startswith("pull_request") and isinstance(pull, dict):
        return str(pull["head"]["ref"]), str(pull["head"]["sha"])
    return contexts.ref_name(decision.place.ref), decision.place.sha


def _title(event: Event, message: str) -> str:
    pull = event.payload.get("pull_request")
    if isinstance(pull, dict) and pull.get("title"):
        return str(pull["title"])[:500]
    if event.name in {"push", "workflow_run", "schedule"}:
        return message.split("\n", 1)[0][:500] or event.name
    return str(event.payload.get("action") or event.name)[:500]


def announce(tx: sqlite3.Connection, sandbox: Sandbox, repo: Repo, run_id: int, action: str) -> None:
    """Emit the workflow_run event that other workflows can listen to."""
    run = runs_store.run_row(tx, run_id)
    assert run is not None
    payload = runs_json.workflow_run_event(tx, sandbox, repo, run, action)
    events.emit(
        tx,
        repo_id=repo.id,
        name="workflow_run",
        action=action,
        actor_id=run["actor_id"],
        token_kind="app",  # noqa: S106 - a kind of token, not one
        ref=run["ref"],
        sha=run["sha"],
        payload=payload,
    )
