"""One job from start to end: token, secrets, files, act, log, result. Called on a thread of the runner's."""

from __future__ import annotations

import json
import sqlite3
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gitml_sandbox import tls
from gitml_sandbox.actions import (
    act,
    contexts,
    job_expansion,
    jobfolder,
    joblog,
    jobstatus,
    needs,
    offline_actions,
    render,
)
from gitml_sandbox.actions import permissions as tokenrules
from gitml_sandbox.actions import tables as runs_store
from gitml_sandbox.actions.workflows import Job, Workflow, build
from gitml_sandbox.errors import SandboxError
from gitml_sandbox.forge import repos, secrets, tokens
from gitml_sandbox.forge.context import Sandbox
from gitml_sandbox.forge.repos import Repo

RUNTIME_PREFIX = "runtime:"  # name of the token with which a job hands over artifacts


@dataclass(frozen=True)
class Assignment:
    """A job that a runner has taken, with all that was known when it did."""

    repo: Repo
    run: sqlite3.Row
    row: sqlite3.Row
    source: Workflow
    job: Job
    github: Mapping[str, Any]
    needs: Mapping[str, Any]
    inputs: Mapping[str, Any]
    variables: Mapping[str, str]
    secrets: Mapping[str, str]
    token: str
    runtime_token: str
    strategy: Mapping[str, Any]


@dataclass
class Handle:
    """How the runner reaches a job that goes on: `stop` before or after act has started.

    `tools` is the folder whose commands the job finds, when it is not the one beside our Python.
    """

    tools: Path | None = None
    passed: Mapping[str, str] = field(default_factory=dict)
    stopped: str = ""
    _process: act.Process | None = None
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def started(self, process: act.Process) -> None:
        with self._guard:
            self._process = process
            reason = self.stopped
        if reason:
            process.stop(reason)

    def stop(self, reason: str) -> None:
        with self._guard:
            if self.stopped:
                return
            self.stopped = reason
            process = self._process
        if process:
            process.stop(reason)


@dataclass(frozen=True)
class Outcome:
    """How a job ended. `conclusion` is success, failure or cancelled."""

    conclusion: str
    reason: str
    outputs: Mapping[str, str]
    steps: Sequence[Mapping[str, Any]]


def assign(tx: sqlite3.Connection, sandbox: Sandbox, repo: Repo, row: sqlite3.Row) -> Assignment:
    """Gather what a job needs and mint its tokens. Raises SandboxError if it cannot run."""
    run = runs_store.run_row(tx, row["run_id"])
    assert run is not None
    source = build(run["path"], json.loads(run["workflow"]))
    job = source.jobs[row["key"]]
    rows = runs_store.jobs_of(tx, run)
    groups = {key: [r for r in rows if r["key"] == key] for key in source.jobs}
    trust = tokenrules.trust(run["event"], fork=bool(run["fork"]))
    github = contexts.github(sandbox, repo, run)
    variables = secrets.variables(tx, repo.id, row["environment"])
    shown = secrets.reveal(tx, sandbox.root, repo.id, row["environment"]) if trust.secrets else {}
    default = runs_store.default_permissions(tx, repo.id)
    given = tokenrules.permissions(source.raw, job.raw, default=default, read_only=trust.read_only)
    bot = jobstatus.bot(tx)
    name = f"job {row['id']}"
    return Assignment(
        repo=repo,
        run=run,
        row=row,
        source=source,
        job=job,
        github=github,
        needs=needs.context(job, groups),
        inputs=contexts.dispatch_inputs(run),
        variables=variables,
        secrets=shown,
        token=tokens.mint(tx, user_id=bot.id, kind="job", repo_id=repo.id, permissions=given, name=name),
        runtime_token=tokens.mint(
            tx, user_id=bot.id, kind="job", repo_id=repo.id, permissions={}, name=f"{RUNTIME_PREFIX}{row['id']}"
        ),
        strategy=_strategy(groups[job.id], row),
    )


def _strategy(brothers: Sequence[sqlite3.Row], row: sqlite3.Row) -> dict[str, Any]:
    ids = [b["id"] for b in brothers]
    most = row["max_parallel"] or len(ids)
    return {
        "fail-fast": bool(row["fail_fast"]),
        "job-index": ids.index(row["id"]),
        "job-total": len(ids),
        "max-parallel": most,
    }


def perform(sandbox: Sandbox, task: Assignment, handle: Handle, changed: Callable[[Sequence[Any]], None]) -> Outcome:
    """Run act for the job. Never raises for what the job does; raises OSError if this machine cannot hold it."""
    log = joblog.path(sandbox.root, task.run["id"], task.row["id"])
    log.parent.mkdir(parents=True, exist_ok=True)
    folder = jobfolder.create(sandbox.root, task.row["id"])
    try:
        with log.open("w", encoding="utf-8", newline="\n") as out:
            mask = joblog.Masker([task.token, task.runtime_token, *task.secrets.values()])
            names = joblog.step_names(task.job.raw.get("steps") or [])
            reader = joblog.Reader(task.job.id, names, out, mask, sandbox.now, changed)
            try:
                return _run(sandbox, task, handle, folder, reader)
            except SandboxError as exc:
                reader.write(f"##[error]{exc.message}")
                return Outcome("failure", exc.message, {}, [])
    finally:
        jobfolder.remove(folder)


def _run(sandbox: Sandbox, task: Assignment, handle: Handle, folder: Path, reader: joblog.Reader) -> Outcome:
    bare = repos.path(sandbox, task.repo)
    commit = task.run["sha"]
    extra = offline_actions.arguments(bare, commit, task.job.raw.get("steps") or [])
    jobfolder.at_commit(folder, bare, commit)
    act.link_tools(folder, handle.tools)
    mark = act.mark_of(sandbox.root, task.run["id"], task.row["id"]) + task.runtime_token[-8:]
    files = _files(sandbox, task, folder, mark)
    jobfolder.write(folder, {**files, "env.yml": {**handle.passed, **files["env.yml"]}})
    minutes = float(task.row["minutes"])
    _head(reader, task, minutes)
    call = act.Invocation(folder, task.run["event"], task.run["actor"], mark, extra)
    process = act.Process(call, act.clean_environment(folder, mark))
    late = f"the job ran longer than its limit of {minutes:g} minutes"
    timer = threading.Timer(minutes * 60, process.stop, [late])
    timer.daemon = True
    timer.start()
    try:
        handle.started(process)
        process.lines(reader.feed)
    except BaseException:
        process.stop("the sandbox could not follow the job")  # a full disk must not leave it running unwatched
        raise
    finally:
        timer.cancel()
    return _outcome(task, folder, reader, process)


def _head(reader: joblog.Reader, task: Assignment, minutes: float) -> None:
    reader.write(f"Runner: {task.row['runner']}, labels: {', '.join(json.loads(task.row['labels']))}")
    reader.write(
        f"Workflow: {task.run['path']} at {task.run['sha']}, event: {task.run['event']}, ref: {task.run['ref']}"
    )
    if minutes != job_expansion.DEFAULT_TIMEOUT_MINUTES:
        reader.write(f"Limit: {minutes:g} minutes")


def _files(sandbox: Sandbox, task: Assignment, folder: Path, mark: str) -> dict[str, Any]:
    job = render.workflow(
        task.source,
        task.job,
        event=task.run["event"],
        known=render.Known(task.needs, json.loads(task.row["matrix"] or "{}"), task.inputs, task.strategy),
        outputs_file=str(folder / "outputs.json"),
    )
    return {
        "job.yml": job,
        "event.json": json.loads(task.run["payload"]),
        "secrets.yml": {**task.secrets, "GITHUB_TOKEN": task.token, "github_token": task.token},
        "vars.yml": dict(task.variables),
        "env.yml": _environment(sandbox, task, mark),
    }


def _environment(sandbox: Sandbox, task: Assignment, mark: str) -> dict[str, str]:
    names = (
        "ref ref_name ref_type head_ref base_ref repository repository_id repository_owner repository_owner_id run_id"
        " run_number run_attempt server_url api_url graphql_url triggering_actor workflow_ref workflow_sha"
    )
    shared = {f"GITHUB_{name.upper()}": str(task.github[name]) for name in names.split()}
    return {
        **shared,
        **_trust(sandbox),
        "RUNNER_NAME": task.row["runner"],
        "RUNNER_ENVIRONMENT": "self-hosted",
        act.MARK: mark,
        "GITML_SANDBOX": "1",
        "GITML_SANDBOX_PYTHON": sys.executable,
        "GITML_SANDBOX_PYTHONS": str(jobfolder.pythons(sandbox.root)),
        "ACTIONS_RUNTIME_URL": f"{sandbox.base_url}/_runner/",
        "ACTIONS_RUNTIME_TOKEN": task.runtime_token,
        "TERM": "dumb",
        "GIT_PAGER": "cat",
        "GIT_CONFIG_NOSYSTEM": "1",
    }


def _trust(sandbox: Sandbox) -> dict[str, str]:
    """With TLS, every client in a job must know the sandbox's own authority."""
    if not sandbox.base_url.startswith("https:"):
        return {}
    file = str(sandbox.root / "tls" / tls.BUNDLE)
    names = ("GIT_SSL_CAINFO", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
    return dict.fromkeys(names, file)


def _outcome(task: Assignment, folder: Path, reader: joblog.Reader, process: act.Process) -> Outcome:
    steps = [s.as_json() for s in reader.steps]
    for step in steps:
        if step["status"] != "completed":
            step |= {"status": "completed", "conclusion": "cancelled", "completed_at": reader.now()}
    if process.reason:
        reader.write(f"##[error]{process.reason}")
        return Outcome("cancelled", process.reason, {}, steps)
    if reader.result is None:
        # No line about the job's result is no success, whatever the exit code says.
        said = "; ".join(reader.said) or "act ended without a result for the job"
        reader.write(f"##[error]{said}")
        return Outcome("failure", said[:1000], {}, steps)
    file = folder / "outputs.json"
    found = render.read_outputs(file.read_text() if file.is_file() else "", task.job.id)
    return Outcome(reader.result, "", _without_secrets(found, reader), steps)


def _without_secrets(found: Mapping[str, str], reader: joblog.Reader) -> dict[str, str]:
    # GitHub drops an output that contains a secret, so that none travels to a job that may not see it.
    for name in [n for n, value in found.items() if reader.mask.hides(value)]:
        reader.write(f"##[warning]the output {name} is dropped: it may contain a secret")
    return {name: value for name, value in found.items() if not reader.mask.hides(value)}
