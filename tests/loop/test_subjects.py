"""A person erased by the rendered workflow: two jobs with two keys, from the request to signed proof, under act."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import forkserver
from conftest import dvc, gitml, write
from gitml.evidence.keys import generate
from gitml.git import ledger
from gitml_sandbox.actions.runner import HOSTED, Runner
from gitml_sandbox.server.serve import Options, serving
from governance.trained_people import ADA, BOB, ENV, KEYS, MARK, built
from loop.loop_kit import Loop
from sandbox.forge_kit import Kit, commit, git, people
from sandbox.runner_kit import Works

pytestmark = [pytest.mark.slow, pytest.mark.nightly]
PATIENCE = 240.0


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Kit, Runner]]:
    tools = tmp_path / "tools"
    tools.mkdir()
    forkserver.commands(tools)
    with serving(tmp_path / "state", Options(port=0, runner=False)) as running:
        runner = Runner(running.sandbox, {"m1": HOSTED}, tools=tools)
        runner.start()
        try:
            yield Kit(running.sandbox, running.address.url, people(running.sandbox)), runner
        finally:
            runner.stop()


def town(kit: Kit, runner: Runner, folder: Path) -> Loop:
    """Three versions of which two saw Ada; each job's secrets lie in its own Environment."""
    folder.mkdir()
    app = folder / "app"
    built(app)
    secret, public = generate()
    text = (app / "gitml.yaml").read_text().replace("traffic: {at: traffic}", f"traffic: {{at: {folder / 'traffic'}}}")
    key = {"public": public, "owner": "CI", "purposes": ["erased"], "from": "2026-01-01"}
    policy = {"environments": {"production": {}}, "keys": {"erasures": key}}
    write(app, {"gitml.yaml": f"publisher: gitml\n{text}", "policy.yaml": yaml.safe_dump(policy)})
    repo = kit.repo()
    git(app, "remote", "add", "origin", kit.remote(repo, "ada"))
    rendered = gitml(app, "ci", "render")
    assert rendered.code == 0, rendered.err
    for file in (app / ".github/workflows").glob("gitml-*.yml"):
        if file.name != "gitml-subjects.yml":
            file.unlink()
    commit(app, "notes.txt", "start\n")
    git(app, "add", ".")
    git(app, "commit", "-qm", "start")
    git(app, "push", "-q", "origin", "HEAD:refs/heads/main")
    loop = Loop(Works(kit, runner, repo, app), folder / "store")
    fixed = gitml(app, "doctor", "--fix", env={"GITHUB_TOKEN": kit.token["ada"]})
    for name, variable, value in (
        ("gitml-subjects", "SUBJECT_KEYS", KEYS),
        ("gitml-erasures", "GITML_ERASURES_KEY", secret),
    ):
        assert f"the Environment {name} is for main alone" in fixed.out, fixed.out + fixed.err
        loop.works.api("PUT", f"/environments/{name}/secrets/{variable}", {"value": value})
    loop.works.api("DELETE", "/branches/main/protection")  # what guards main is not what this is about
    return loop


def asked(loop: Loop) -> dict[str, Any]:
    env = {**os.environ, **ENV, "GITHUB_TOKEN": loop.works.kit.token["ada"]}
    words = ["gitml", "subject", "erase", "--request", "R-1", "--json"]
    done = subprocess.run(words, cwd=loop.clone, input=ADA, text=True, capture_output=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    assert ADA not in done.stdout + done.stderr
    return dict(json.loads(done.stdout))


def carried_out(loop: Loop, number: int) -> dict[str, str]:
    """What became of both jobs, in the run of that number."""
    loop.works.api("POST", "/actions/workflows/gitml-subjects.yml/dispatches", {"ref": "main"})

    def runs() -> list[Any]:
        return [run for run in loop.works.runs("workflow_dispatch") if run["status"] == "completed"]

    loop.until(lambda: len(runs()) >= number, PATIENCE)
    loop.settled()
    return {name: str(job["conclusion"]) for name, job in loop.works.jobs(runs()[-1]).items()}


def test_two_jobs_erase_and_prove_it(place: tuple[Kit, Runner], tmp_path: Path) -> None:
    kit, runner = place
    loop = town(kit, runner, tmp_path / "here")
    done = asked(loop)
    assert done["removed"] == [{"path": "data/people.parquet", "rows": 1}]
    body = str(loop.works.api("GET", f"/pulls/{done['pull']}").json()["body"])
    assert "R-1" in body
    assert ADA.casefold() not in body.casefold()
    loop.merge(done["pull"])
    assert carried_out(loop, 1) == {"carry-out": "success", "sign": "failure"}, "main's data/clean still has her"

    app = loop.clone
    git(app, "pull", "-q", "origin", "main")
    dvc(app, "checkout", "data/people.parquet.dvc")
    trained = gitml(app, "train", env=ENV)
    assert trained.code == 0, trained.err
    (app / "models/m/production.yaml").unlink()
    git(app, "add", ".")
    git(app, "commit", "-qm", "trained without her")
    dvc(app, "push")
    git(app, "push", "-q", "origin", "HEAD:refs/heads/main")
    gone = gitml(app, "subject", "gc", "--request", "R-1", "--yes", "--json", env=ENV)
    assert (gone.code, json.loads(gone.out)["gone"]) == (0, True), gone.err
    assert carried_out(loop, 2) == {"carry-out": "success", "sign": "success"}, loop.logs()

    clone = loop.fresh(tmp_path / "audit", "main")
    remote = ledger.Remote(kit.remote(loop.works.repo, "ada"))
    events = [*ledger.read(clone, ledger.fetch(clone, remote, ledger.BRANCH) or "")]
    assert [event.name.split("-")[1] for event in events] == ["erased", "erased"]
    told = [loop.works.log(job) for run in loop.works.runs() for job in loop.works.jobs(run).values()]
    assert told
    store = [path.read_bytes() for path in loop.remote.rglob("*") if path.is_file()]
    for secret in (ADA, ADA.lower(), MARK, KEYS.partition(":")[2]):
        assert not [text for text in told if secret in text]
        assert not [raw for raw in store if secret.encode() in raw]
    shown = gitml(app, "subject", "find", "--json", env=ENV)
    assert BOB not in shown.out
