"""Reusable workflows: a job that `uses: ./.github/workflows/x.yml` becomes the jobs of that file.

https://docs.github.com/en/actions/reference/workflows-and-actions/reusing-workflow-configurations
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from gitml_sandbox.actions import contexts, needs, runs, workflows
from gitml_sandbox.actions.coercions import to_number, to_string, truthy
from gitml_sandbox.actions.expressions import Scope, interpolate
from gitml_sandbox.actions.plan import MAX_DEPTH
from gitml_sandbox.actions.store import change, job_row, run_row
from gitml_sandbox.actions.workflows import Job, Workflow, WorkflowError
from gitml_sandbox.forge import repos
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.repos import Repo


def workflow(sandbox: Sandbox, repo: Repo, run: sqlite3.Row, job: Job) -> Workflow:
    """The called workflow, from the commit that supplied the caller. Raises WorkflowError."""
    if not job.uses.startswith("./"):
        raise WorkflowError(f"job `{job.id}` uses {job.uses}: only workflows of the same repository work here")
    found = workflows.read_one(repos.path(sandbox, repo), run["sha"], job.uses.removeprefix("./"))
    if found is None:
        raise WorkflowError(f"job `{job.id}` uses {job.uses}, which is not there")
    if "workflow_call" not in found.on:
        raise WorkflowError(f"job `{job.id}` uses {job.uses}, which has no `on: workflow_call`")
    return found


def begin(
    tx: sqlite3.Connection,
    sandbox: Sandbox,
    repo: Repo,
    job: Job,
    row: sqlite3.Row,
    scope: Scope,
) -> None:
    """Plan the jobs of the called workflow below the calling job."""
    run = run_row(tx, row["run_id"])
    assert run is not None
    if "strategy" in job.raw:
        raise WorkflowError(f"job `{job.id}`: the sandbox does not unfold a matrix of called workflows")
    if depth(tx, row) >= MAX_DEPTH:
        raise WorkflowError(f"job `{job.id}`: workflows call each other more than {MAX_DEPTH} levels deep")
    target = workflow(sandbox, repo, run, job)
    given = interpolate(job.raw.get("with") or {}, scope)
    values = typed_inputs(job.id, target.on["workflow_call"].inputs, given)
    now = sandbox.now()
    change(tx, "jobs", row["id"], status="in_progress", started_at=now, inputs=json.dumps(values))
    caller = job_row(tx, row["id"])
    assert caller is not None
    runs.plan_jobs(tx, sandbox, run, target.jobs, caller=caller, inputs=values)


def depth(tx: sqlite3.Connection, row: sqlite3.Row) -> int:
    """How many calls lead to a job."""
    count = 1
    above = row["caller_id"]
    while above is not None:
        count += 1
        above = tx.execute("SELECT caller_id FROM jobs WHERE id = ?", (above,)).fetchone()["caller_id"]
    return count


def typed_inputs(where: str, declared: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs with their defaults and types, for workflow_call and workflow_dispatch. Raises WorkflowError."""
    unknown = sorted(given.keys() - declared.keys())
    if unknown:
        raise WorkflowError(f"{where}: unexpected inputs: {', '.join(unknown)}")
    return {name: _typed(where, name, spec or {}, given) for name, spec in declared.items()}


def _typed(where: str, name: str, spec: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    value = given.get(name)
    if value is None or value == "":
        if truthy(spec.get("required")) and spec.get("default") is None:
            raise WorkflowError(f"{where}: the input {name} is required")
        value = spec.get("default")
    kind = spec.get("type", "string")
    if kind == "boolean":
        if value not in {True, False, None, "true", "false"}:
            raise WorkflowError(f"{where}: the input {name} must be true or false, not {value!r}")
        return value in {True, "true"}
    if kind == "number":
        number = to_number(value)
        if number != number:
            raise WorkflowError(f"{where}: the input {name} must be a number, not {value!r}")
        return int(number) if number == int(number) else number
    if kind == "choice" and to_string(value) not in workflows.strings(spec.get("options")):
        options = spec.get("options")
        raise WorkflowError(f"{where}: the input {name} must be one of {options}, not {value!r}")
    return to_string(value)


def outputs(
    target: Workflow,
    inner: Sequence[sqlite3.Row],
    github: Mapping[str, Any],
    inputs: Mapping[str, Any],
    variables: Mapping[str, str],
) -> dict[str, str]:
    """The outputs that the called workflow declares, from those of its jobs."""
    call = target.raw["on"]["workflow_call"] if isinstance(target.raw.get("on"), dict) else None
    declared = (call or {}).get("outputs") or {}
    by_key = {key: [r for r in inner if r["key"] == key] for key in target.jobs}
    jobs = {key: {"result": needs.result(rows), "outputs": needs.outputs(rows)} for key, rows in by_key.items()}
    scope = contexts.scope(github, inputs=inputs, variables=variables)
    seen = Scope({**scope.contexts, "jobs": jobs}, scope.functions)
    return {name: to_string(interpolate((spec or {}).get("value"), seen)) for name, spec in declared.items()}
