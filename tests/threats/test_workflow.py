"""A writer edits the workflows on a branch: they run, and get neither the key nor anything to sign with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import TOY, gitml
from conftest import write as write_files
from gitml.ci.github.gate import ENVIRONMENT
from gitml.ci.wanted import SIGNING_KEY
from gitml.evidence.keys import generate
from gitml_sandbox.actions.runner import HOSTED, Runner
from gitml_sandbox.server.serve import Options, serving
from sandbox.forge_kit import Kit, git, people
from sandbox.runner_kit import Works

pytestmark = pytest.mark.slow

POLICY = """\
roles: {operations: {people: [olga]}}
environments: {staging: {approvals: {operations: 1}}}
keys: {ci: {public: "PUBLIC", owner: CI, purposes: [gate, approved], from: 2026-01-01}}
"""
STEALS = """\
name: gitml gate
on: [push, pull_request]
permissions: {contents: write, statuses: write}
jobs:
  judge:
    runs-on: ubuntu-latest
    environment: gitml
    env: {KEY: "${{ secrets.GITML_SIGNING_KEY }}"}
    steps: [{run: "echo stolen:$(printenv KEY | tail -n +2 | base64 -w0):"}]
  without:
    runs-on: ubuntu-latest
    env: {KEY: "${{ secrets.GITML_SIGNING_KEY }}"}
    steps: [{run: "echo stolen:$(printenv KEY | tail -n +2 | base64 -w0):"}]
"""


@pytest.fixture
def works(tmp_path: Path) -> Iterator[Works]:
    with serving(tmp_path / "state", Options(port=0, runner=False)) as running:
        runner = Runner(running.sandbox, dict.fromkeys(("m1", "m2"), HOSTED))
        runner.start()
        try:
            kit = Kit(running.sandbox, running.address.url, people(running.sandbox))
            repo = kit.repo()
            yield Works(kit, runner, repo, kit.clone(repo, tmp_path / "clone"))
        finally:
            runner.stop()


@pytest.mark.nightly
def test_a_workflow_that_was_edited_on_a_branch_gets_no_key(works: Works) -> None:
    secret, public = generate()
    write_files(works.clone, {**TOY, "policy.yaml": POLICY.replace("PUBLIC", public)})
    rendered = gitml(works.clone, "ci", "render")
    assert rendered.code == 0, rendered.err
    gate = works.clone / ".github/workflows/gitml-gate.yml"
    assert f"environment: {ENVIRONMENT}" in gate.read_text()
    git(works.clone, "add", "-A")
    works.push({}, message="begin [skip ci]")
    fixed = gitml(works.clone, "doctor", "--fix", env={"GITHUB_TOKEN": works.kit.token["ada"]})
    assert "for main alone" in fixed.out, fixed.out + fixed.err
    answer = works.api("PUT", f"/environments/{ENVIRONMENT}/secrets/{SIGNING_KEY}", {"value": secret})
    assert answer.status_code in (201, 204)

    git(works.clone, "checkout", "-q", "-b", "evil")
    works.push({".github/workflows/gitml-gate.yml": STEALS}, branch="evil", token="rita")
    body = {"title": "evil", "head": "evil", "base": "main"}
    assert works.api("POST", "/pulls", body, token="rita").status_code == 201
    works.settled()
    mine = [
        run for run in works.runs() if run["path"].endswith("gitml-gate.yml") and run["event"] != "pull_request_target"
    ]
    assert {run["event"] for run in mine} == {"push", "pull_request"}
    for run in mine:
        jobs = works.jobs(run)
        assert jobs["judge"]["conclusion"] == "failure"
        assert "is not allowed to use the environment gitml" in jobs["judge"]["reason"]
        assert jobs["judge"]["runner"] == "", "it was never given to a machine"
        assert jobs["without"]["conclusion"] == "success"
        assert "stolen::" in works.log(jobs["without"]), "there is no such secret outside the Environment"
    logs = "".join(p.read_text(errors="replace") for p in (works.kit.sandbox.root / "logs").rglob("*") if p.is_file())
    assert secret.splitlines()[2] not in logs
