"""REST of GitHub Actions: workflows, runs, jobs, logs, dispatches, artifacts, runners; and what jobs talk to."""

from __future__ import annotations

import sqlite3
from typing import Any

from starlette.routing import BaseRoute

from gitml_sandbox.actions import artifacts, recovery, rerun
from gitml_sandbox.actions import environment_gates as gating
from gitml_sandbox.actions import tables as runs_store
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.refusals import RefusalError, unprocessable
from gitml_sandbox.rest import artifactpages
from gitml_sandbox.rest import dispatches as rest_dispatches
from gitml_sandbox.rest import environments as rest_environments
from gitml_sandbox.rest import runtime as rest_runtime
from gitml_sandbox.rest.call import Body, Call, Operation, Reply, paged
from gitml_sandbox.rest.serve import RestRoute
from gitml_sandbox.rest.suites import job_of, run_of
from gitml_sandbox.serial import runs as runs_json

_RUN = "/repos/{owner}/{repo}/actions/runs/{run_id}"
_SELECT = """
SELECT runs.*, workflows.path AS path, runs.name AS workflow_name, users.login AS actor
FROM runs JOIN workflows ON workflows.id = workflow_id JOIN users ON users.id = actor_id WHERE runs.repo_id =
?
"""


def list_runs(call: Call) -> Reply:
    assert call.tx is not None
    rows = call.tx.execute(_SELECT + " ORDER BY runs.id DESC", (call.repo.id,)).fetchall()
    wanted = rest_dispatches.workflow_row(call)["id"] if "workflow_id" in call.path else None
    found = [r for r in rows if wanted in {None, r["workflow_id"]} and _asked_for(call, r)]
    return paged(call, found, lambda r: runs_json.run(call.view, call.repo, r), "workflow_runs")


def _asked_for(call: Call, row: sqlite3.Row) -> bool:
    query = call.query
    status = query.get("status", "")
    return (
        query.get("branch", row["head_branch"]) == row["head_branch"]
        and query.get("event", row["event"]) == row["event"]
        and query.get("head_sha", row["head_sha"]) == row["head_sha"]
        and query.get("actor", row["actor"]).lower() == row["actor"].lower()
        and (not status or status in {row["status"], row["conclusion"]})
    )


def get_run(call: Call) -> Reply:
    return Reply(runs_json.run(call.view, call.repo, run_of(call)))


def list_jobs(call: Call) -> Reply:
    assert call.tx is not None
    run = run_of(call)
    if call.query.get("filter") == "all":
        rows = call.tx.execute("SELECT * FROM jobs WHERE run_id = ? ORDER BY id", (run["id"],)).fetchall()
    else:
        rows = runs_store.jobs_of(call.tx, run)
    return paged(call, rows, lambda r: runs_json.job(call.view, call.repo, run, r), "jobs")


def get_job(call: Call) -> Reply:
    run, row = job_of(call)
    return Reply(runs_json.job(call.view, call.repo, run, row))


def job_logs(call: Call) -> Reply:
    _, row = job_of(call)
    return Reply(None, 302, {"Location": rest_runtime.log_url(call.sandbox, row["id"])})


def cancel(call: Call) -> Reply:
    assert call.tx is not None
    run = run_of(call)
    if run["status"] == "completed":
        raise RefusalError(409, "Cannot cancel a workflow run that is completed.")
    reason = f"cancelled by {call.by.user.login}"
    runs_store.change(call.tx, "runs", run["id"], cancel_asked=1, reason=reason, updated_at=call.sandbox.now())
    return Reply({}, 202, after=call.sandbox.wake.set)


def rerun_all(call: Call) -> Reply:
    return _rerun(call, only_failed=False)


def rerun_failed(call: Call) -> Reply:
    return _rerun(call, only_failed=True)


def _rerun(call: Call, *, only_failed: bool) -> Reply:
    assert call.tx is not None
    rerun.again(call.tx, call.sandbox, call.repo, run_of(call), only_failed=only_failed)
    return Reply({}, 201, after=call.sandbox.wake.set)


def rerun_job(call: Call) -> Reply:
    """One job and those that need it."""
    assert call.tx is not None
    run, row = job_of(call)
    rerun.again(call.tx, call.sandbox, call.repo, run, job=row["key"])
    return Reply({}, 201, after=call.sandbox.wake.set)


def approve(call: Call) -> Reply:
    """Let a run go on that a job's own token caused."""
    assert call.tx is not None
    rerun.approve(call.tx, call.sandbox, call.repo, run_of(call))
    return Reply({}, 201, after=call.sandbox.wake.set)


class Review(Body):
    """Body of a review of pending deployments."""

    environment_ids: tuple[int, ...]
    state: str
    comment: str = ""


def review_deployments(call: Call) -> Reply:
    assert call.tx is not None
    body = call.body(Review)
    run = run_of(call)
    if body.state not in {"approved", "rejected"}:
        raise unprocessable("state must be approved or rejected")
    waiting = [j for j in runs_store.jobs_of(call.tx, run) if j["status"] == "waiting"]
    names = call.tx.execute("SELECT id, name FROM environments WHERE repo_id = ?", (call.repo.id,)).fetchall()
    wanted = {r["name"].lower() for r in names if r["id"] in body.environment_ids}
    chosen = [j for j in waiting if j["environment"].lower() in wanted]
    if not chosen:
        raise unprocessable("No pending deployment requests to approve or reject")
    for job in chosen:
        gating.review(call.tx, call.repo, run, job, user_id=call.by.user.id, approve=body.state == "approved")
    return Reply([], 200, after=call.sandbox.wake.set)


def list_workflows(call: Call) -> Reply:
    assert call.tx is not None
    rest_dispatches.remember(call)
    rows = call.tx.execute("SELECT * FROM workflows WHERE repo_id = ? ORDER BY id", (call.repo.id,)).fetchall()
    return paged(call, rows, lambda r: runs_json.workflow(call.view, call.repo, r), "workflows")


def get_workflow(call: Call) -> Reply:
    rest_dispatches.remember(call)
    return Reply(runs_json.workflow(call.view, call.repo, rest_dispatches.workflow_row(call)))


def list_artifacts(call: Call) -> Reply:
    assert call.tx is not None
    rows = artifacts.of_run(call.tx, run_of(call)["id"])
    rows = [r for r in rows if call.query.get("name", r["name"]) == r["name"]]
    return paged(call, rows, lambda r: runs_json.artifact(call.view, call.repo, r), "artifacts")


def get_artifact(call: Call) -> Reply:
    assert call.tx is not None
    row = artifacts.get(call.tx, call.repo.id, call.number("artifact_id"))
    return Reply(runs_json.artifact(call.view, call.repo, row))


def download_artifact(call: Call) -> Reply:
    assert call.tx is not None
    row = artifacts.get(call.tx, call.repo.id, call.number("artifact_id"))
    return Reply(None, 302, {"Location": rest_runtime.artifact_url(call.sandbox, row["id"])})


def list_runners(call: Call) -> Reply:
    assert call.tx is not None
    busy = {r["runner"] for r in call.tx.execute("SELECT runner FROM jobs WHERE status = 'in_progress'")}

    def show(item: tuple[int, tuple[str, list[str]]]) -> dict[str, Any]:
        number, (name, labels) = item
        named = [{"id": i, "name": label, "type": "custom"} for i, label in enumerate(labels, 1)]
        return {"id": number, "name": name, "os": "linux", "status": "online", "busy": name in busy, "labels": named}

    machines = list(enumerate(recovery.machines(call.tx).items(), 1))
    return paged(call, machines, show, "runners")


_A = "/repos/{owner}/{repo}/actions"
OPERATIONS = (
    Operation("GET", f"{_A}/runs", list_runs, "actions"),
    Operation("GET", _RUN, get_run, "actions"),
    Operation("GET", f"{_RUN}/jobs", list_jobs, "actions"),
    Operation("GET", f"{_A}/jobs/{{job_id}}", get_job, "actions"),
    Operation("GET", f"{_A}/jobs/{{job_id}}/logs", job_logs, "actions", login=True),
    Operation("POST", f"{_RUN}/cancel", cancel, "actions", "write", "write"),
    Operation("POST", f"{_RUN}/rerun", rerun_all, "actions", "write", "write"),
    Operation("POST", f"{_RUN}/rerun-failed-jobs", rerun_failed, "actions", "write", "write"),
    Operation("POST", f"{_A}/jobs/{{job_id}}/rerun", rerun_job, "actions", "write", "write"),
    Operation("POST", f"{_RUN}/approve", approve, "actions", "write", "write"),
    Operation("POST", f"{_RUN}/pending_deployments", review_deployments, "deployments", "read", "write", Review),
    Operation("GET", f"{_RUN}/artifacts", list_artifacts, "actions"),
    Operation("GET", f"{_A}/artifacts/{{artifact_id}}", get_artifact, "actions"),
    Operation("GET", f"{_A}/artifacts/{{artifact_id}}/zip", download_artifact, "actions", login=True),
    Operation("GET", f"{_A}/workflows", list_workflows, "actions", tx="write"),
    Operation("GET", f"{_A}/workflows/{{workflow_id}}", get_workflow, "actions", tx="write"),
    Operation("GET", f"{_A}/workflows/{{workflow_id}}/runs", list_runs, "actions"),
    Operation("GET", f"{_A}/runners", list_runners, "administration", "admin"),
    *rest_dispatches.OPERATIONS,
    *rest_environments.OPERATIONS,
)


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """The routes for the server: REST, and the addresses that only jobs and signed links use."""
    return [RestRoute(sandbox, OPERATIONS), *rest_runtime.routes(sandbox), *artifactpages.routes(sandbox)]
