"""The queue: after every change, what of an open run is ready, waits, is skipped or is over.

`advance` runs inside one write transaction per run and is safe to call at any time, also after a restart.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gitml_sandbox.actions import concurrency as groups
from gitml_sandbox.actions import contexts, environment_gates, job_expansion, jobdeploy, jobstatus, needs, runs
from gitml_sandbox.actions import tables as runs_store
from gitml_sandbox.actions.expressions import outlives_cancel
from gitml_sandbox.actions.job_expansion import Planned
from gitml_sandbox.actions.tables import change
from gitml_sandbox.actions.workflows import Job, Workflow, ancestors, build
from gitml_sandbox.errors import SandboxError
from gitml_sandbox.forge import secrets
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.repos import Repo

_COPIED = ("run_id", "attempt", "key", "name", "status", "created_at")


@dataclass(frozen=True)
class Turn:
    """What one pass over one run works with."""

    tx: sqlite3.Connection
    sandbox: Sandbox
    repo: Repo
    run: sqlite3.Row
    github: Mapping[str, Any]
    variables: Mapping[str, str]

    @property
    def cancelled(self) -> bool:
        return bool(self.run["cancel_asked"])


def advance(tx: sqlite3.Connection, sandbox: Sandbox, repo: Repo, run_id: int) -> None:
    """Bring one run as far as it goes without running anything."""
    run = runs_store.run_row(tx, run_id)
    if run is None or run["status"] == "completed":
        return
    if run["status"] == "pending" and not run["cancel_asked"]:
        if not groups.free(tx, repo.id, run["concurrency"], table="runs", row_id=run_id):
            return
        change(tx, "runs", run_id, status="queued", updated_at=sandbox.now())
    turn = turn_of(tx, sandbox, repo, run)
    if turn.cancelled and run["status"] in ("pending", "queued"):
        _drop(turn)
    else:
        workflow = build(run["path"], json.loads(run["workflow"]))
        while _pass(turn, workflow):
            pass
    _finish(turn)


def _drop(turn: Turn) -> None:
    """End a run that has not begun: none of its jobs runs, whatever its `if:` says.

    What a newer run of the workflow says of the same commit stays as it is.
    """
    newer = "SELECT 1 FROM runs WHERE workflow_id = ? AND head_sha = ? AND id > ?"
    last = turn.tx.execute(newer, (turn.run["workflow_id"], turn.run["head_sha"], turn.run["id"])).fetchone() is None
    for row in runs_store.jobs_of(turn.tx, turn.run):
        if row["status"] != "completed":
            complete(turn, row, "cancelled", turn.run["reason"], quiet=not last)


def turn_of(tx: sqlite3.Connection, sandbox: Sandbox, repo: Repo, run: sqlite3.Row) -> Turn:
    """What a pass over the run works with."""
    return Turn(tx, sandbox, repo, run, contexts.github(sandbox, repo, run), secrets.variables(tx, repo.id))


def _pass(turn: Turn, workflow: Workflow) -> bool:
    """One walk over the jobs of a workflow; True if something changed that others may depend on."""
    rows = runs_store.jobs_of(turn.tx, turn.run)
    groups_of = {key: [r for r in rows if r["key"] == key] for key in workflow.jobs}
    changed = False
    for key, mine in groups_of.items():
        for row in mine:
            changed |= _step(turn, workflow, workflow.jobs[key], row, groups_of)
    return changed


def _step(
    turn: Turn,
    workflow: Workflow,
    job: Job,
    row: sqlite3.Row,
    groups_of: Mapping[str, Sequence[sqlite3.Row]],
) -> bool:
    status = row["status"]
    if status == "completed":
        return False
    if status == "planned":
        if not all(needs.over(groups_of[n]) for n in job.needs):
            return False
        return _resolve(turn, workflow, job, row, groups_of)
    cancelled = row["cancel_asked"] or (turn.cancelled and not outlives_cancel(job.raw.get("if")))
    if status in {"waiting", "pending", "queued"} and cancelled:
        complete(turn, row, "cancelled", row["reason"] or turn.run["reason"])
        return True
    if status == "in_progress":
        if cancelled and not row["cancel_asked"]:
            change(turn.tx, "jobs", row["id"], cancel_asked=1, reason=turn.run["reason"])
        return False
    return _unlock(turn, row)


def _unlock(turn: Turn, row: sqlite3.Row) -> bool:
    """Jobs that wait for an Environment's rules or for their concurrency group."""
    if row["status"] == "waiting" and environment_gates.open_now(turn.tx, turn.sandbox, turn.repo, row):
        status = "pending" if row["concurrency"] else "queued"
        change(turn.tx, "jobs", row["id"], status=status, reason="", created_at=turn.sandbox.now())
        return True
    if row["status"] == "pending" and groups.free(
        turn.tx, turn.repo.id, row["concurrency"], table="jobs", row_id=row["id"]
    ):
        change(turn.tx, "jobs", row["id"], status="queued", created_at=turn.sandbox.now())
        return True
    return False


def _resolve(
    turn: Turn,
    workflow: Workflow,
    job: Job,
    row: sqlite3.Row,
    groups_of: Mapping[str, Sequence[sqlite3.Row]],
) -> bool:
    """A job whose needs are over: skipped, failed with a reason, or unfolded into what can be queued."""
    before = [needs.result(groups_of[name]) for name in ancestors(workflow.jobs, job)]
    scope = contexts.scope(
        turn.github,
        inputs=contexts.dispatch_inputs(turn.run),
        variables=turn.variables,
        needs=needs.context(job, groups_of),
        before=contexts.Before(before, cancelled=turn.cancelled),
    )
    try:
        if not job_expansion.wanted(job, scope):
            complete(turn, row, "cancelled" if turn.cancelled else "skipped")
        else:
            _unfold(turn, row, job_expansion.expand(job, scope))
    except SandboxError as exc:
        complete(turn, row, "failure", exc.message)
    return True


def _unfold(turn: Turn, row: sqlite3.Row, planned: Sequence[Planned]) -> None:
    copied = {name: row[name] for name in _COPIED}
    ids = [row["id"], *(runs_store.insert(turn.tx, "jobs", copied) for _ in planned[1:])]
    for job_id, one in zip(ids, planned, strict=True):
        _enqueue(turn, job_id, one)


def _enqueue(turn: Turn, job_id: int, one: Planned) -> None:
    change(
        turn.tx,
        "jobs",
        job_id,
        name=one.name,
        matrix=json.dumps(one.matrix),
        labels=json.dumps(one.labels),
        environment=one.environment,
        concurrency=one.concurrency.group,
        forgiven=int(one.forgiven),
        fail_fast=int(one.fail_fast),
        max_parallel=one.max_parallel,
        minutes=one.minutes,
        created_at=turn.sandbox.now(),
    )
    row = runs_store.job_row(turn.tx, job_id)
    assert row is not None
    group = one.concurrency.group
    if group and group == turn.run["concurrency"]:
        complete(turn, row, "failure", f"the job would wait for its own run in the group {group}")
        return
    gate = environment_gates.enter(turn.tx, turn.sandbox, turn.repo, turn.run, one.environment)
    if gate.refused:
        complete(turn, row, "failure", gate.refused)
        return
    status = "waiting" if gate.waits_for else "queued"
    if group and not gate.waits_for:
        status = groups.enter(turn.tx, turn.repo.id, one.concurrency, table="jobs", row_id=job_id)
    change(turn.tx, "jobs", job_id, status=status, reason=gate.waits_for)
    _post(turn, one.name, "pending", gate.waits_for or "Queued")


def complete(turn: Turn, row: sqlite3.Row, conclusion: str, reason: str = "", *, quiet: bool = False) -> None:
    """End a job that was never given to a runner, or that a runner gave back."""
    now = turn.sandbox.now()
    change(
        turn.tx,
        "jobs",
        row["id"],
        status="completed",
        conclusion=conclusion,
        reason=reason,
        started_at=row["started_at"] or now,
        completed_at=now,
    )
    jobdeploy.end(turn.tx, turn.sandbox, turn.repo, row["id"], conclusion)
    if not quiet:
        _post(turn, row["name"], conclusion, reason)
    if conclusion == "failure" and row["fail_fast"] and not row["forgiven"]:
        # A failed combination cancels its brothers of the matrix.
        turn.tx.execute(
            "UPDATE jobs SET cancel_asked = 1, reason = 'another job of the matrix failed'"
            " WHERE run_id = ? AND attempt = ? AND key = ? AND status <> 'completed'",
            (row["run_id"], row["attempt"], row["key"]),
        )


def _post(turn: Turn, job: str, state: str, words: str) -> None:
    jobstatus.post(turn.tx, turn.sandbox, turn.repo, turn.run, jobstatus.Said(job, state, words))


def _finish(turn: Turn) -> None:
    rows = runs_store.jobs_of(turn.tx, turn.run)
    now = turn.sandbox.now()
    run_id = turn.run["id"]
    if needs.over(rows):
        conclusion = "cancelled" if turn.cancelled else needs.result(rows)
        change(turn.tx, "runs", run_id, status="completed", conclusion=conclusion, updated_at=now)
        runs.announce(turn.tx, turn.sandbox, turn.repo, run_id, "completed")
        return
    started = any(r["status"] == "in_progress" and r["runner"] for r in rows)
    waits = any(r["status"] == "waiting" for r in rows)
    running = started or turn.run["status"] == "in_progress"
    status = "in_progress" if running else "waiting" if waits else "queued"
    if status != turn.run["status"]:
        change(turn.tx, "runs", run_id, status=status, updated_at=now)
        if status == "in_progress":
            runs.announce(turn.tx, turn.sandbox, turn.repo, run_id, "in_progress")


def give_up(tx: sqlite3.Connection, sandbox: Sandbox, run_id: int, reason: str) -> None:
    """End a run that cannot be advanced, and whatever of it has not begun; jobs that go on end by themselves."""
    now = sandbox.now()
    tx.execute(
        "UPDATE jobs SET status = 'completed', conclusion = 'failure', reason = ?, completed_at = ?"
        " WHERE run_id = ? AND status NOT IN ('completed', 'in_progress')",
        (reason, now, run_id),
    )
    change(tx, "runs", run_id, status="completed", conclusion="failure", reason=reason, updated_at=now)
