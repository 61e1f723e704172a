"""Jobs that wait for a machine: what gives way to a newer run, what passes by, and what two jobs at once share."""

from __future__ import annotations

from pathlib import Path

import pytest

from gitml_sandbox.actions import event_runs
from gitml_sandbox.actions.runner import QUICK, Runner, machines
from gitml_sandbox.server.serve import Options, serving
from sandbox.forge_kit import Kit, commit, git, people
from sandbox.runner_kit import Works
from sandbox.runner_kit import works as make_works


def test_a_machine_for_each_core_and_one_for_quick_jobs() -> None:
    assert list(machines(1)) == ["sandbox-1", QUICK]
    assert set(machines(3)) == {"sandbox-1", "sandbox-2", "sandbox-3", QUICK}
    assert len(machines()) >= 3


def test_an_event_starts_its_workflow_once_however_often_it_is_judged(kit: Kit, tmp_path: Path) -> None:
    repo, clone = kit.seeded(tmp_path / "clone")
    commit(clone, ".github/workflows/ci.yml", "on: push\njobs: {a: {runs-on: x, steps: [{run: ls}]}}\n")
    git(clone, "push", "-q", "origin", "HEAD:main")
    with kit.sandbox.store.read() as tx:
        mine = tx.execute("SELECT * FROM events WHERE repo_id = ? ORDER BY id", (repo.id,)).fetchall()
    assert [row["name"] for row in mine] == ["create", "push", "push"]
    assert [event_runs.handle(kit.sandbox, row, {}) for row in (*mine, mine[2])] == [0, 0, 1, 0]


@pytest.mark.nightly
def test_a_run_that_has_not_begun_gives_way_to_a_newer_one_of_its_group(works: Works) -> None:
    """No machine is free: three pushes end in one run, and nothing of the others ever runs."""
    gpu = "runs-on: [self-hosted, gpu], steps: [{run: ls}]"
    with works.runner._guard:
        works.runner._busy["g1"] = 0
    try:
        files = f"on: push\nname: CI\nconcurrency: g\njobs:\n  a: {{{gpu}}}\n  b: {{needs: a, if: always(), {gpu}}}\n"
        first = works.flow(files)
        works.until(lambda: [r["status"] for r in works.runs()] == ["queued"])
        for number in range(2):
            works.push({"x": str(number)})
        works.until(lambda: [r["status"] for r in works.runs()] == ["completed", "completed", "queued"])
    finally:
        with works.runner._guard:
            works.runner._busy.pop("g1")
    runs = works.done(count=3)
    assert [r["conclusion"] for r in runs] == ["cancelled", "cancelled", "success"]
    assert [{j["runner"] for j in works.jobs(r).values()} for r in runs] == [{""}, {""}, {"g1"}]
    assert "newer run entered the concurrency group g" in works.jobs(runs[0])["a"]["reason"]
    assert works.statuses(first) == {"CI / a": "error", "CI / b": "error"}


def test_what_gave_way_says_nothing_about_the_commit_that_a_newer_run_judges(works: Works) -> None:
    gpu = "runs-on: [self-hosted, gpu], steps: [{run: ls}]"
    works.flow(f"name: CI\non: pull_request_review\nconcurrency: g\njobs:\n  a: {{{gpu}}}\n")
    works.push({"x": "1"}, branch="topic")
    works.pull("topic")
    with works.runner._guard:
        works.runner._busy["g1"] = 0
    try:
        for login in ("olga", "rita"):
            works.api("POST", "/pulls/1/reviews", {"event": "APPROVE"}, token=login)
        works.until(lambda: [r["status"] for r in works.runs()] == ["completed", "queued"])
        assert works.statuses(works.runs()[0]["head_sha"]) == {"CI / a": "pending"}
    finally:
        with works.runner._guard:
            works.runner._busy.pop("g1")
    assert [r["conclusion"] for r in works.done(count=2)] == ["cancelled", "success"]


@pytest.mark.nightly
def test_a_quick_job_does_not_wait_for_a_long_one(tmp_path: Path) -> None:
    """One machine and the quick one: the gate passes two trainings by, and takes no place of theirs."""
    with serving(tmp_path / "state", Options(port=0, runner=False)) as running:
        kit = Kit(running.sandbox, running.address.url, people(running.sandbox))
        works = make_works(kit, Runner(running.sandbox, machines(1)), tmp_path / "clone")
        works.runner.start()
        try:
            done = tmp_path / "done"
            train = f"runs-on: ubuntu-latest, steps: [{{run: 'until [ -e {done} ]; do sleep 0.05; done'}}]"
            gate = f"runs-on: ubuntu-latest, timeout-minutes: 15, steps: [{{run: 'touch {done}'}}]"
            works.flow(f"on: push\njobs:\n  t1: {{{train}}}\n  t2: {{{train}}}\n  gate: {{{gate}}}\n")
            jobs = works.only()
        finally:
            works.runner.stop()
    assert {name: job["conclusion"] for name, job in jobs.items()} == dict.fromkeys(("t1", "t2", "gate"), "success")
    assert {name: job["runner"] for name, job in jobs.items()} == {"t1": "sandbox-1", "t2": "sandbox-1", "gate": QUICK}


def test_two_jobs_at_once_share_no_folder(works: Works, tmp_path: Path) -> None:
    """Both are there at the same time, each with a workspace, home, cache and temporary folder of its own."""
    both = f"touch {tmp_path}/$ME; for o in a b; do until [ -e {tmp_path}/$o ]; do sleep 0.02; done; done"
    places = "pwd $HOME $XDG_CACHE_HOME $TMPDIR $RUNNER_TEMP $RUNNER_TOOL_CACHE".replace("pwd", "$PWD")
    job = f"""{{runs-on: ubuntu-latest, env: {{ME: NAME}}, steps: [{{run: '{both}; echo "places {places}"'}}]}}"""
    works.flow(f"on: push\njobs:\n  a: {job.replace('NAME', 'a')}\n  b: {job.replace('NAME', 'b')}\n")
    jobs = works.only()
    said = [works.log(job).rpartition("Z places ")[2].split("\n")[0].split() for job in jobs.values()]
    assert [len(s) for s in said] == [6, 6], said
    assert set(said[0]) & set(said[1]) == set()
    assert jobs["a"]["runner"] != jobs["b"]["runner"]
