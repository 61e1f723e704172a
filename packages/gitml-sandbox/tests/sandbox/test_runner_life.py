"""Runs that wait, end early, go again, follow one another, or outlive the sandbox."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from gitml_sandbox.actions import joblog
from gitml_sandbox.actions.act import mark_of
from gitml_sandbox.actions.runner import Runner
from gitml_sandbox.forge import events
from gitml_sandbox.server.serve import Options, serving
from sandbox.forge_kit import Kit, people
from sandbox.runner_kit import Clock, Works
from sandbox.runner_kit import works as make_works

SIMPLE = "{runs-on: ubuntu-latest, steps: [{run: ls}]}"


def running(works: Works, number: int = 0) -> sqlite3.Row:
    """The job of a run, once its log shows `begun`."""

    def begun() -> sqlite3.Row | None:
        runs = works.runs()
        for job in works.jobs(runs[number]).values() if len(runs) > number else ():
            file = joblog.path(works.kit.sandbox.root, job["run_id"], job["id"])
            if file.is_file() and "Z begun" in file.read_text():
                return job
        return None

    found: sqlite3.Row = works.until(begun)
    return found


def marked(works: Works, job: sqlite3.Row) -> list[int]:
    prefix = mark_of(works.kit.sandbox.root, job["run_id"], job["id"])
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("RUNNER_TRACKING_ID", "").startswith(prefix):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def test_jobs_get_the_variables_that_the_sandbox_was_told_to_hand_on(works: Works) -> None:
    works.flow("""
        name: Env
        on: push
        jobs:
          look:
            runs-on: ubuntu-latest
            steps: [{run: 'test "$HANDED_ON $GITHUB_REF" = "a value refs/heads/main"'}]
    """)
    assert [run["conclusion"] for run in works.done()] == ["success"]


LONG = """
    name: Long
    on: push
    CONCURRENCY
    jobs:
      a:
        runs-on: ubuntu-latest
        steps: [{run: 'setsid sleep 300 & echo begun; sleep 300'}, {run: echo never}]
      b: {needs: a, if: always(), runs-on: ubuntu-latest, steps: [{run: 'echo tidy'}]}
      c: {needs: a, runs-on: ubuntu-latest, steps: [{run: ls}]}
    """


def long(concurrency: str = "") -> str:
    return LONG.replace("CONCURRENCY", concurrency or "run-name: long")


def test_cancel_ends_every_process_and_runs_what_always_runs(works: Works) -> None:
    sha = works.flow(long())
    job = running(works)
    assert len(marked(works, job)) >= 3
    path = f"/actions/runs/{job['run_id']}/cancel"
    assert works.api("POST", path, token="eve").status_code == 403
    works.api("POST", path, checked=True)
    jobs = works.only()
    assert {n: j["conclusion"] for n, j in jobs.items()} == {"a": "cancelled", "b": "success", "c": "cancelled"}
    assert marked(works, job) == []
    assert "never" not in works.log(jobs["a"]).split("##[step 1]", 1)[1].replace("Run echo never", "")
    assert "cancelled by ada" in works.log(jobs["a"])
    assert works.runs()[0]["conclusion"] == "cancelled"
    assert works.statuses(sha)["Long / a"] == "error"
    assert works.api("POST", path, checked=True).status_code == 409


@pytest.mark.nightly
def test_a_job_that_takes_too_long_is_cancelled_with_the_reason(works: Works) -> None:
    """Row run/timeout."""
    works.flow(
        long().replace(
            "runs-on: ubuntu-latest\n        steps",
            "runs-on: ubuntu-latest\n        timeout-minutes: 0.02\n        steps",
        )
    )
    jobs = works.only()
    assert jobs["a"]["conclusion"] == "cancelled"
    assert jobs["a"]["reason"] == "the job ran longer than its limit of 0.02 minutes"
    assert jobs["b"]["conclusion"] == "success"
    assert marked(works, jobs["a"]) == []


def test_what_a_job_leaves_behind_is_ended_and_does_not_hold_it_up(works: Works) -> None:
    works.flow("on: push\njobs:\n  a: {runs-on: ubuntu-latest, steps: [{run: 'setsid sleep 300 & disown; echo ok'}]}\n")
    began = time.monotonic()
    job = works.only()["a"]
    assert job["conclusion"] == "success"
    assert time.monotonic() - began < 15
    works.until(lambda: not marked(works, job))


@pytest.mark.slow
@pytest.mark.nightly
def test_one_runs_one_waits_and_a_newer_one_takes_its_place(works: Works) -> None:
    """Row run/concurrency, without cancel-in-progress."""
    works.flow(long("concurrency: {group: 'g-${{ github.ref }}'}"))
    running(works)
    works.push({"x": "1"})
    works.until(lambda: len(works.runs()) == 2 and works.runs()[1]["status"] == "pending")
    works.push({"x": "2"})
    works.until(lambda: len(works.runs()) == 3 and works.runs()[1]["status"] == "completed")
    first, second, third = works.runs()
    assert (first["status"], second["conclusion"], third["status"]) == ("in_progress", "cancelled", "pending")
    assert "newer run entered the concurrency group g-refs/heads/main" in second["reason"]
    works.api("POST", f"/actions/runs/{first['id']}/cancel")
    running(works, 2)
    works.api("POST", f"/actions/runs/{third['id']}/cancel")
    works.done(count=3)


@pytest.mark.nightly
def test_cancel_in_progress_ends_the_one_that_runs(works: Works) -> None:
    """Row run/concurrency, with cancel-in-progress."""
    works.flow(long("concurrency: {group: g, cancel-in-progress: true}"))
    job = running(works)
    works.flow(f"on: push\nconcurrency: G\njobs:\n  a: {SIMPLE}\n")
    works.flow(f"on: push\nconcurrency: {{group: g, cancel-in-progress: true}}\njobs:\n  a: {SIMPLE}\n")
    runs = works.done(count=3)
    assert [r["conclusion"] for r in runs] == ["cancelled", "cancelled", "success"]
    assert marked(works, job) == []


@pytest.mark.slow
@pytest.mark.nightly
def test_a_cron_line_runs_when_the_clock_says_so(works: Works, clock: Clock) -> None:
    """Row run/schedule."""
    job = "{runs-on: ubuntu-latest, steps: [{run: 'echo ${{ github.event.schedule }}'}]}"
    works.flow(f"on:\n  schedule: [{{cron: '7 3 * * *'}}]\njobs:\n  a: {job}\n")
    works.until(
        lambda: clock.turn(minutes=1) or works.query("SELECT 1 FROM schedules WHERE repo_id = ?", works.repo.id)
    )
    assert works.runs() == []
    clock.turn(days=3)
    (run,) = works.done("schedule")
    assert "7 3 * * *" in works.log(works.jobs(run)["a"])
    assert run["ref"] == "refs/heads/main"
    clock.turn(minutes=2)
    time.sleep(0.4)  # several turns of the runner
    assert len(works.runs()) == 1


@pytest.mark.nightly
def test_a_clock_that_is_turned_back_stops_no_schedule(works: Works, clock: Clock) -> None:
    """Nor does a day that never comes, in a workflow or in another repository."""
    job = "{runs-on: ubuntu-latest, steps: [{run: ls}]}"
    works.flow(f"on:\n  schedule: [{{cron: '*/5 * * * *'}}, {{cron: '0 0 31 2 *'}}]\njobs:\n  a: {job}\n")
    ahead = (clock() + timedelta(days=300)).strftime("%Y-%m-%dT%H:%M:%SZ")
    works.until(
        lambda: clock.turn(minutes=1) or works.query("SELECT 1 FROM schedules WHERE repo_id = ?", works.repo.id)
    )
    with works.kit.sandbox.store.write() as tx:
        tx.execute("UPDATE schedules SET seen_until = ? WHERE repo_id = ?", (ahead, works.repo.id))
    works.until(lambda: clock.turn(minutes=1) or time.sleep(0.2) or works.runs("schedule"))
    assert works.done("schedule")


@pytest.mark.slow
@pytest.mark.nightly
def test_workflows_follow_one_another_three_levels_deep(works: Works) -> None:
    for number in range(1, 6):
        on = (
            "{push: {branches: [main]}}"
            if number == 1
            else f"{{workflow_run: {{workflows: [W{number - 1}], types: [completed]}}}}"
        )
        step = "{run: 'echo ${{ github.event.workflow_run.conclusion }}'}"
        text = f"name: W{number}\non: {on}\njobs:\n  a: {{runs-on: ubuntu-latest, steps: [{step}]}}\n"
        works.push({f".github/workflows/w{number}.yml": text}, branch="main" if number == 5 else "prepare")
    works.until(
        lambda: len([r for r in works.runs() if r["status"] == "completed" and r["head_branch"] == "main"]) == 4
    )
    works.settled()
    last = [r for r in works.runs() if r["head_branch"] == "main"]
    assert [r["path"][-6:] for r in last] == ["w1.yml", "w2.yml", "w3.yml", "w4.yml"]
    assert "success" in works.log(works.jobs(last[1])["a"])


def test_one_event_that_makes_no_sense_does_not_stop_those_behind_it(works: Works) -> None:
    works.flow(f"on: push\njobs:\n  a: {SIMPLE}\n")
    works.done()
    with works.kit.sandbox.store.write() as tx:
        for payload in ({}, {"pull_request": 3}, {"pull_request": {"number": 99}}):
            events.emit(
                tx,
                repo_id=works.repo.id,
                name="pull_request",
                action="opened",
                actor_id=None,
                token_kind="user",
                payload=payload,
            )
    works.push({"x": "1"})
    assert [r["conclusion"] for r in works.done(count=2)] == ["success", "success"]
    assert works.query("SELECT 1 FROM events WHERE handled_at IS NULL AND name = 'pull_request'") == []


@pytest.mark.nightly
def test_dispatch_with_typed_inputs(works: Works) -> None:
    works.flow(
        """
        name: By hand
        run-name: To ${{ inputs.where }}
        on:
          workflow_dispatch:
            inputs:
              where: {type: choice, options: [prod, test], required: true}
              dry: {type: boolean, default: false}
              times: {type: number, default: 3}
        jobs:
          a:
            if: inputs.where == 'prod' && !inputs.dry
            runs-on: ubuntu-latest
            steps:
              - run: echo ${{ inputs.where }} ${{ toJSON(inputs.dry) }} ${{ inputs.times == 3 && 'three' || 'other' }}
        """
    )
    path = "/actions/workflows/ci.yml/dispatches"
    for wrong in (
        {"ref": "main"},
        {"ref": "none", "inputs": {"where": "prod"}},
        {"ref": "main", "inputs": {"where": "x"}},
    ):
        assert works.api("POST", path, wrong, checked=True).status_code == 422
    assert works.api("POST", path, {"ref": "main", "inputs": {"where": "prod"}}, token="eve").status_code == 403
    body = {"ref": "main", "inputs": {"where": "prod"}, "return_run_details": True}
    found = works.api("POST", path, body, checked=True).json()
    (run,) = works.done("workflow_dispatch")
    assert (found["workflow_run_id"], run["title"]) == (run["id"], "To prod")
    assert "prod false three" in works.log(works.jobs(run)["a"])


@pytest.mark.slow
@pytest.mark.nightly
def test_run_again_all_or_what_failed(works: Works) -> None:
    works.flow(
        """
        on: push
        jobs:
          good:
            runs-on: ubuntu-latest
            outputs: {attempt: "${{ github.run_attempt }}"}
            steps: [{run: ls}]
          bad:
            needs: good
            runs-on: ubuntu-latest
            steps: [{run: "echo good was ${{ needs.good.outputs.attempt }}; test ${{ github.run_attempt }} = 2"}]
        """
    )
    (run,) = works.done()
    assert run["conclusion"] == "failure"
    assert works.api("POST", f"/actions/runs/{run['id']}/rerun-failed-jobs").status_code == 201
    works.until(lambda: works.done()[0]["attempt"] == 2)
    (run,) = works.done()
    assert run["conclusion"] == "success"
    assert "good was 1" in works.log(works.jobs(run)["bad"])
    works.api("POST", f"/actions/runs/{run['id']}/rerun", checked=True)
    works.until(lambda: works.done()[0]["attempt"] == 3)
    assert works.done()[0]["conclusion"] == "failure"
    bad = works.jobs(works.runs()[0])["bad"]
    assert "good was 3" in works.log(bad)
    assert works.api("POST", f"/actions/jobs/{bad['id']}/rerun").status_code == 201
    works.until(lambda: works.done()[0]["attempt"] == 4)
    bad = works.jobs(works.done()[0])["bad"]
    assert "good was 3" in works.log(bad), "what it needs stands as it was"
    assert bad["attempt"] == 4


SERVER = """
import sys, time
from pathlib import Path
from gitml_sandbox.actions.runner import HOSTED, Runner
from gitml_sandbox.server.serve import Options, serving
with serving(Path(sys.argv[1]), Options(port=0, runner=False)) as running:
    runner = Runner(running.sandbox, {"only": HOSTED})
    runner.start()
    print("up", running.address.url, flush=True)
    time.sleep(300)
"""


@pytest.mark.slow
@pytest.mark.nightly
def test_after_a_kill_running_jobs_fail_with_a_reason_and_queued_ones_go_on(tmp_path: Path) -> None:
    root = tmp_path / "state"
    with serving(root, Options(port=0, runner=False)) as first:
        kit = Kit(first.sandbox, first.address.url, people(first.sandbox))
        works = make_works(kit, Runner(first.sandbox), tmp_path / "clone")
        works.flow(long())
        works.push({".github/workflows/ci.yml": f"on: push\njobs:\n  q: {SIMPLE}\n"})
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(root)], stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert server.stdout.readline().startswith(b"up")
    job = running(works)
    server.stdout.close()
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    assert marked(works, job)
    with serving(root, Options(port=0, runner=False)) as again:
        after = Works(Kit(again.sandbox, again.address.url, kit.token), Runner(again.sandbox), works.repo, works.clone)
        after.runner.start()
        try:
            lost, queued = after.done(count=2)
            jobs = after.jobs(lost)
            assert (lost["conclusion"], queued["conclusion"]) == ("failure", "success")
            assert "ended while the job ran" in jobs["a"]["reason"]
            assert jobs["b"]["conclusion"] == "success"
            assert marked(works, job) == []
            assert after.statuses(lost["head_sha"])["Long / a"] == "failure"
            live = after.query("SELECT name FROM tokens WHERE kind = 'job' AND revoked_at IS NULL")
            assert live == []
            assert list((root / "tmp").glob("job-*")) == []
        finally:
            after.runner.stop()


@pytest.mark.nightly
def test_a_log_can_be_read_while_it_is_written_and_by_its_steps(works: Works) -> None:
    works.flow(long())
    job = running(works)
    steps = joblog.read(joblog.path(works.kit.sandbox.root, job["run_id"], job["id"]))
    assert any("begun" in line for step in steps for line in step.lines)
    works.api("POST", f"/actions/runs/{job['run_id']}/cancel")
    row = works.only()["a"]
    assert json.loads(row["steps"])[0]["conclusion"] in {"cancelled", "failure"}
