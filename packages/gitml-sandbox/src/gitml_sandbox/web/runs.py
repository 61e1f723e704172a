"""Pages of workflow runs: the list, a run with its jobs, a job with its log, and the buttons to steer them."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gitml_sandbox.actions import artifacts, joblog
from gitml_sandbox.actions import tables as runs_store
from gitml_sandbox.forge import environments
from gitml_sandbox.forge.refusals import RefusalError, not_found
from gitml_sandbox.rest import actions as rest_actions
from gitml_sandbox.rest import artifactpages
from gitml_sandbox.rest import runtime as rest_runtime
from gitml_sandbox.rest.call import Handler
from gitml_sandbox.web import code as web_code
from gitml_sandbox.web.acts import operation
from gitml_sandbox.web.guard import CACHE
from gitml_sandbox.web.serve import Page, Site, Visit, arrive, perform, refusal
from gitml_sandbox.web.words import visible

PER_PAGE = 30
MAX_STEP_LINES = 1_500
LIVE_SECONDS = 3
_PAUSE = 0.3
_SELECT = """
SELECT runs.*, workflows.path AS path, workflows.name AS workflow_name, users.login AS actor
FROM runs JOIN workflows ON workflows.id = workflow_id JOIN users ON users.id = actor_id
WHERE runs.repo_id = ?1
"""


def runs_of_commit(visit: Visit, sha: str) -> list[sqlite3.Row]:
    """The runs about a commit, newest first."""
    sql = f"{_SELECT} AND runs.head_sha = ?2 ORDER BY runs.id DESC LIMIT 50"
    return visit.tx.execute(sql, (visit.repo.id, sha)).fetchall()


def listing(visit: Visit) -> Response:
    """All runs, newest first, or those of one workflow."""
    page, name = visit.page_number(), visit.query.get("workflow", "")
    workflows = visit.tx.execute(
        "SELECT * FROM workflows WHERE repo_id = ? ORDER BY name, id", (visit.repo.id,)
    ).fetchall()
    rows = visit.tx.execute(
        f"{_SELECT} AND (?2 = '' OR workflows.path = ?2) ORDER BY runs.id DESC LIMIT ?3 OFFSET ?4",
        (visit.repo.id, name, PER_PAGE + 1, (page - 1) * PER_PAGE),
    ).fetchall()
    live = any(r["status"] != "completed" for r in rows)
    return visit.show(
        "runs.html",
        tab="runs",
        rows=rows[:PER_PAGE],
        more=len(rows) > PER_PAGE,
        page=page,
        workflows=workflows,
        workflow=name,
        sites=_sites(visit),
        **_refresh(visit, live=live),
    )


def _sites(visit: Visit) -> list[sqlite3.Row]:
    """What the default branch last made for people to look at; for those who are logged in, as artifacts are."""
    if not visit.user:
        return []
    found = artifacts.newest_of_branch(visit.tx, visit.repo.id, visit.repo.default_branch)
    return [row for row in found if artifactpages.has_pages(visit.sandbox, row)]


def _refresh(visit: Visit, *, live: bool) -> dict[str, Any]:
    """Pages of what goes on load themselves again, unless the visitor wants to read in peace."""
    off = visit.query.get("live") == "off" or visit.request.method == "POST"
    return {"live": live, "paused": off, "refresh": LIVE_SECONDS if live and not off else 0}


def run_of(visit: Visit) -> sqlite3.Row:
    row = runs_store.run_row(visit.tx, visit.number("run"))
    if row is None or row["repo_id"] != visit.repo.id:
        raise not_found()
    return row


@dataclass(frozen=True)
class JobLine:
    """A job as the pages show it."""

    row: sqlite3.Row
    steps: list[dict[str, Any]]
    labels: list[str]


def _job_line(row: sqlite3.Row) -> JobLine:
    return JobLine(row, json.loads(row["steps"]), json.loads(row["labels"]))


def jobs_of(visit: Visit, run: sqlite3.Row) -> list[JobLine]:
    """The jobs of the newest attempt."""
    return [_job_line(row) for row in runs_store.jobs_of(visit.tx, run)]


def one(visit: Visit) -> Response:
    """A run: its jobs with their steps, what waits for whom, artifacts, buttons."""
    run = run_of(visit)
    return visit.show(
        "run.html",
        tab="runs",
        run=run,
        jobs=jobs_of(visit, run),
        waiting=_waiting(visit, run),
        files=(files := artifacts.of_run(visit.tx, run["id"])),
        pages={row["id"] for row in files if visit.user and artifactpages.has_pages(visit.sandbox, row)},
        payload_number=_pull_number(run),
        **_refresh(visit, live=run["status"] != "completed"),
    )


def _pull_number(run: sqlite3.Row) -> int | None:
    pull = json.loads(run["payload"]).get("pull_request")
    return int(pull["number"]) if isinstance(pull, dict) and str(pull.get("number", "")).isdigit() else None


def _waiting(visit: Visit, run: sqlite3.Row) -> list[environments.Environment]:
    """Environments that hold jobs of the run until one of their reviewers, the visitor, lets them go on."""
    names = {j["environment"] for j in runs_store.jobs_of(visit.tx, run) if j["status"] == "waiting"}
    found = [environments.find(visit.tx, visit.repo.id, name) for name in sorted(names) if name]
    return [e for e in found if e and visit.user and visit.user.id in e.reviewers]


def steer(visit: Visit) -> str:
    """Re-run, cancel, approve: the API's own operations."""
    do, number = visit.form.get("do", ""), visit.number("run")
    if do in ("allow", "reject"):
        word = visit.form.get("environment", "")
        state = "approved" if do == "allow" else "rejected"
        ids = (int(word),) if word.isascii() and word.isdigit() and len(word) < 18 else ()
        body = rest_actions.Review(environment_ids=ids, state=state)
        perform(visit, operation(rest_actions.OPERATIONS, rest_actions.review_deployments), body, run_id=number)
    elif do in _STEERING:
        perform(visit, operation(rest_actions.OPERATIONS, _STEERING[do]), None, run_id=number)
    else:
        raise RefusalError(400, "This form says nothing that can be done.")
    return f"{visit.home}/actions/runs/{number}"


_STEERING: dict[str, Handler] = {
    "rerun": rest_actions.rerun_all,
    "rerun-failed": rest_actions.rerun_failed,
    "cancel": rest_actions.cancel,
    "approve": rest_actions.approve,
}


def pages(visit: Visit) -> Response:
    """Send the browser to the pages that an artifact is made of; for people who are logged in."""
    row = artifacts.get(visit.tx, visit.repo.id, visit.number("artifact"))
    address = artifactpages.pages_url(visit.sandbox, row["id"])
    return Response(None, 302, {"Location": address.removeprefix(visit.sandbox.base_url)})


@dataclass(frozen=True)
class StepLog:
    """A step with the end of its log; ``left_out`` lines come before."""

    number: int
    name: str
    state: str
    started_at: str | None
    completed_at: str | None
    lines: list[tuple[str, str, Markup]]
    left_out: int


def job(visit: Visit) -> Response:
    """A job and its log, step by step; the log is for people who are logged in, as on GitHub."""
    run, row = _run_and_job(visit)
    logs = joblog.read(_file(visit, row)) if visit.user else []
    return visit.show(
        "job.html",
        tab="runs",
        run=run,
        job=_job_line(row),
        jobs=jobs_of(visit, run),
        steps=_steps(row, logs),
        **_refresh(visit, live=row["status"] != "completed"),
    )


def _file(visit: Visit, row: sqlite3.Row) -> Path:
    return joblog.path(visit.sandbox.root, row["run_id"], row["id"])


def _run_and_job(visit: Visit) -> tuple[sqlite3.Row, sqlite3.Row]:
    run, row = run_of(visit), runs_store.job_row(visit.tx, visit.number("job"))
    if row is None or row["run_id"] != run["id"]:
        raise not_found()
    return run, row


def _steps(row: sqlite3.Row, logs: list[joblog.StepLog]) -> list[StepLog]:
    known = {s["number"]: s for s in json.loads(row["steps"])}
    said = {log.number: log for log in logs}
    numbers = sorted({*known, *said})
    found = []
    for number in numbers:
        step, log = known.get(number, {}), said.get(number)
        body = log.lines if log else ()
        goes_on = row["status"] == "in_progress" and number == numbers[-1]
        found.append(
            StepLog(
                number,
                step.get("name") or (log.name if log else "") or "Before the first step",
                step.get("conclusion") or step.get("status") or ("in_progress" if goes_on else ""),
                step.get("started_at"),
                step.get("completed_at"),
                [web_code.log_line(line) for line in body[-MAX_STEP_LINES:]],
                max(len(body) - MAX_STEP_LINES, 0),
            )
        )
    return found


def artifact(visit: Visit) -> Response:
    """Send the browser to the signed address of an artifact; for people who are logged in."""
    row = artifacts.get(visit.tx, visit.repo.id, visit.number("artifact"))
    address = rest_runtime.artifact_url(visit.sandbox, row["id"])
    return Response(None, 302, {"Location": address.removeprefix(visit.sandbox.base_url)})


def log_endpoint(site: Site, page: Page) -> Callable[[Request], Any]:
    """The log as plain text; with ``?follow=1`` it goes on until the job ends."""

    def look(request: Request) -> Path:
        with site.sandbox.store.read() as tx:
            visit = arrive(site, page, request, tx, {})
            return _file(visit, _run_and_job(visit)[1])

    async def answer(request: Request) -> Response:
        try:
            file = await run_in_threadpool(look, request)
        except RefusalError as no:
            return refusal(site, request, no)
        done = partial(_is_done, site, int(file.stem))
        body = follow(file, done, endless=request.query_params.get("follow") == "1")
        return StreamingResponse(body, media_type="text/plain; charset=utf-8", headers=CACHE)

    return answer


def _is_done(site: Site, job_id: int) -> bool:
    with site.sandbox.store.read() as tx:
        row = runs_store.job_row(tx, job_id)
    return row is None or row["status"] == "completed"


async def follow(file: Path, done: Callable[[], bool], *, endless: bool) -> AsyncIterator[bytes]:
    """The bytes of a growing file, without terminal control, until ``done`` and all is read."""
    at = 0
    while True:
        last = not endless or await run_in_threadpool(done)
        data = await run_in_threadpool(_read, file, at, last)
        while data:
            at += len(data)
            yield visible(data.decode(errors="replace")).encode()
            data = await run_in_threadpool(_read, file, at, last)
        if last:
            return
        await asyncio.sleep(_PAUSE)


def _read(file: Path, at: int, rest: bool) -> bytes:
    """Whole lines from a position on; at the end also what is left."""
    if not file.is_file():
        return b""
    with file.open("rb") as source:
        source.seek(at)
        data = source.read(1 << 18)
    return data if rest else data[: data.rfind(b"\n") + 1]


_R = "/{owner}/{repo}/actions"
PAGES = (
    Page(_R, listing),
    Page(f"{_R}/runs/{{run}}", one, change=steer),
    Page(f"{_R}/runs/{{run}}/job/{{job}}", job),
    Page(f"{_R}/artifacts/{{artifact}}", artifact, login=True),
    Page(f"{_R}/artifacts/{{artifact}}/pages", pages, login=True),
)
LOG = Page(f"{_R}/runs/{{run}}/job/{{job}}/log", job, login=True, scope="actions")
