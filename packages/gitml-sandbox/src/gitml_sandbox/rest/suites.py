"""REST: a run as a check suite and its jobs as check runs, earlier attempts, and the logs of a whole run."""

from __future__ import annotations

import sqlite3
from typing import Any

from gitml_sandbox.actions import tables as runs_store
from gitml_sandbox.forge import checks
from gitml_sandbox.forge.refusals import not_found
from gitml_sandbox.rest import runtime as rest_runtime
from gitml_sandbox.rest.call import Call, Operation, Reply, paged
from gitml_sandbox.rest.git import commit_of
from gitml_sandbox.serial import checks as checks_json
from gitml_sandbox.serial import runs as json_of


def run_of(call: Call, word: str = "run_id") -> sqlite3.Row:
    """The run that the URL names, if it is of the repository."""
    row = runs_store.run_row(call.view.tx, call.number(word))
    if row is None or row["repo_id"] != call.repo.id:
        raise not_found()
    return row


def job_of(call: Call) -> tuple[sqlite3.Row, sqlite3.Row]:
    """The run of the job that the URL names, and the job."""
    row = runs_store.job_row(call.view.tx, call.number("job_id"))
    run = runs_store.run_row(call.view.tx, row["run_id"]) if row else None
    if row is None or run is None or run["repo_id"] != call.repo.id:
        raise not_found()
    return run, row


def _attempt(call: Call, run: sqlite3.Row) -> int:
    number = call.number("attempt")
    if not 1 <= number <= run["attempt"]:
        raise not_found()
    return number


def attempt(call: Call) -> Reply:
    """An earlier attempt: as the run is now, with what became of its own jobs."""
    run = run_of(call)
    number, shown = _attempt(call, run), json_of.run(call.view, call.repo, run)
    if number == run["attempt"]:
        return Reply(shown)
    ended = {j["conclusion"] for j in runs_store.jobs_of(call.view.tx, run, number) if not j["forgiven"]}
    worst = next((word for word in ("failure", "cancelled") if word in ended), "success")
    before = f"{shown['url']}/attempts/{number - 1}" if number > 1 else None
    changed: dict[str, Any] = {"run_attempt": number, "status": "completed", "conclusion": worst}
    return Reply({**shown, **changed, "previous_attempt_url": before})


def attempt_jobs(call: Call) -> Reply:
    run = run_of(call)
    rows = runs_store.jobs_of(call.view.tx, run, _attempt(call, run))
    return paged(call, rows, lambda r: json_of.job(call.view, call.repo, run, r), "jobs")


def logs(call: Call) -> Reply:
    run = run_of(call)
    number = _attempt(call, run) if "attempt" in call.path else run["attempt"]
    return Reply(None, 302, {"Location": rest_runtime.run_logs_url(call.sandbox, run["id"], number)})


def suite(call: Call) -> Reply:
    return Reply(_suite(call, run_of(call, "check_suite_id")))


def _suite(call: Call, run: sqlite3.Row) -> dict[str, Any]:
    return json_of.check_suite(call.view, call.repo, run, len(runs_store.jobs_of(call.view.tx, run)))


def suites(call: Call) -> Reply:
    sql = "SELECT id FROM runs WHERE repo_id = ? AND head_sha = ? ORDER BY id"
    found = call.view.tx.execute(sql, (call.repo.id, commit_of(call, call.path["ref"]))).fetchall()
    rows = [row for r in found if (row := runs_store.run_row(call.view.tx, r["id"]))]
    return paged(call, rows, lambda r: _suite(call, r), "check_suites")


def suite_runs(call: Call) -> Reply:
    run = run_of(call, "check_suite_id")
    rows = runs_store.jobs_of(call.view.tx, run)
    return paged(call, rows, lambda r: json_of.job_check(call.view, call.repo, run, r), "check_runs")


def job_check(call: Call) -> Reply:
    return Reply(json_of.job_check(call.view, call.repo, *job_of(call)))


def job_annotations(call: Call) -> Reply:
    job_of(call)
    return Reply([])


def annotations_of(call: Call) -> Reply:
    row = checks.get(call.view.tx, call.repo.id, call.number("check_run_id"))
    return paged(call, checks_json.check_annotations(call.view, call.repo, row), lambda item: item)


_ONE = "/repos/{owner}/{repo}"
_RUN = f"{_ONE}/actions/runs/{{run_id}}"
_SUITE = f"{_ONE}/check-suites/{{check_suite_id}}"
_JOB = f"{_SUITE}/check-runs/{{job_id}}"
OPERATIONS = (
    Operation("GET", f"{_RUN}/logs", logs, "actions", login=True),
    Operation("GET", f"{_RUN}/attempts/{{attempt}}", attempt, "actions"),
    Operation("GET", f"{_RUN}/attempts/{{attempt}}/jobs", attempt_jobs, "actions"),
    Operation("GET", f"{_RUN}/attempts/{{attempt}}/logs", logs, "actions", login=True),
    Operation("GET", _SUITE, suite, "checks"),
    Operation("GET", f"{_SUITE}/check-runs", suite_runs, "checks"),
    Operation("GET", f"{_ONE}/commits/{{ref}}/check-suites", suites, "checks"),
    Operation("GET", _JOB, job_check, "checks"),
    Operation("GET", f"{_JOB}/annotations", job_annotations, "checks"),
    Operation("GET", f"{_ONE}/check-runs/{{check_run_id}}/annotations", annotations_of, "checks"),
)
