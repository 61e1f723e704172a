"""From live traffic to a signed look and a comment where the champion came from: real Git, act and HTTP."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import gitml
from gitml.evidence.keys import generate
from gitml.git import ledger
from gitml.traffic.exchange import Arm, Exchange
from gitml.traffic.predictionlog import LogLimits, LogOrigin, PredictionLog
from gitml_sandbox.actions.runner import Runner
from loop.loop_kit import Loop
from loop.turned_kit import TurnedClock
from monitoring.watched_world import WatchedWorld, build, rows
from sandbox.forge_kit import Kit, commit, git
from sandbox.runner_kit import Works

pytestmark = [pytest.mark.slow, pytest.mark.nightly]
POLICY = """\
roles: {{operations: {{people: [olga]}}}}
environments: {{production: {{}}}}
keys:
  looks: {{public: '{public}', owner: CI, purposes: [look], from: 2026-01-01}}
"""
PATIENCE = 300.0


def serve(world: WatchedWorld, some: pd.DataFrame) -> None:
    """Answered a minute ago."""
    arm = Arm("delay", "production", "champion", world.version, 100.0, "e1")
    log = PredictionLog(world.traffic, limits=LogLimits(window=0.01), origin=LogOrigin("web", "production"))
    when = (datetime.now(UTC) - timedelta(minutes=1)).timestamp()
    features = {column: some[column].to_numpy() for column in ("fare", "weather", "word")}
    log.put(Exchange("r1", "", "u", arm, features, {"p": some["p"].to_numpy()}, 0.1, when, when))
    log.close()


def watched(kit: Kit, runner: Runner, folder: Path) -> tuple[Loop, WatchedWorld, int]:
    """An application whose version a pull request brought to production; the key of looks lies in its Environment."""
    world = build(folder / "app")
    app, pin = world.root, (world.root / "models/delay/production.yaml").read_text()
    (app / "models/delay/production.yaml").unlink()
    secret, public = generate()
    text = "publisher: gitml\n" + (app / "gitml.yaml").read_text().replace("window: 1w", "window: 1h")
    (app / "gitml.yaml").write_text(text.replace("    artifact: m.onnx", "    origin: external\n    artifact: m.onnx"))
    (app / "policy.yaml").write_text(POLICY.format(public=public))
    (app / ".gitignore").write_text("/traffic/\n/.dvc/tmp/\n/.gitml-ci/\n")
    git(app, "init", "-q", "-b", "main")
    repo = kit.repo()
    git(app, "remote", "add", "origin", kit.remote(repo, "ada"))
    rendered = gitml(app, "ci", "render")
    assert rendered.code == 0, rendered.err
    # Only what looks: the other workflows have tests of their own.
    for file in (app / ".github/workflows").glob("gitml-*.yml"):
        if file.name != "gitml-monitor.yml":
            file.unlink()
    commit(app, "notes.txt", "start\n")
    git(app, "add", ".")
    git(app, "commit", "-qm", "start")
    git(app, "push", "-q", "origin", "HEAD:refs/heads/main")
    loop = Loop(Works(kit, runner, repo, app), folder / "remote")
    fixed = gitml(app, "doctor", "--fix", env={"GITHUB_TOKEN": kit.token["ada"]})
    assert "the Environment gitml-looks is for main alone" in fixed.out, fixed.out + fixed.err
    loop.works.api("PUT", "/environments/gitml-looks/secrets/GITML_LOOKS_KEY", {"value": secret})
    loop.change({"models/delay/production.yaml": pin}, branch="promote")
    number = loop.pull("promote")
    loop.works.api("DELETE", "/branches/main/protection")  # what guards main is not what this is about
    loop.merge(number)
    return loop, world, number


def runs_of(loop: Loop, event: str) -> list[Any]:
    return [run for run in loop.works.runs(event) if run["status"] == "completed"]


def test_from_traffic_to_a_signed_look_and_a_comment(place: tuple[Kit, Runner, TurnedClock], tmp_path: Path) -> None:
    kit, runner, clock = place
    loop, world, number = watched(kit, runner, tmp_path / "here")
    serve(world, rows(2, 700, seed=3).assign(fare=lambda some: some["fare"] + 2.0, weather=np.nan))
    clock.turn(minutes=1)  # the runner reads schedules once a minute
    loop.until(lambda: loop.works.query("SELECT 1 FROM schedules WHERE repo_id = ?", loop.works.repo.id))
    clock.later(hours=2)
    loop.until(lambda: runs_of(loop, "schedule"), PATIENCE)
    loop.settled()
    run = runs_of(loop, "schedule")[-1]
    jobs = loop.works.jobs(run)
    assert {name: job["conclusion"] for name, job in jobs.items()} == dict.fromkeys(
        ("due", "evaluate", "sign", "publish"), "success"
    ), loop.logs()

    comments = [c["body"] for c in loop.comments(number)]
    assert [re.findall(r"gitml:report:(\S+)", body)[0].rpartition("/")[0] for body in comments] == [
        "flights/monitor/delay", "flights/alarm/delay",
    ]  # fmt: skip
    assert "fare" in comments[1]
    clone = loop.fresh(tmp_path / "audit", "main")
    head = ledger.fetch(clone, ledger.Remote(kit.remote(loop.works.repo, "ada")), ledger.LOOKS)
    names = [event.name for event in ledger.read(clone, head or "")]
    assert names
    assert all(re.fullmatch(r"\d{4}/\d\d/\d{8}T\d{6}Z-look-[0-9a-f]{12}\.json", name) for name in names)

    # Nothing is new: by hand a run looks again, signs nothing and changes no comment but for who told it.
    loop.works.api("POST", "/actions/workflows/gitml-monitor.yml/dispatches", {"ref": "main"})
    loop.until(lambda: runs_of(loop, "workflow_dispatch"), PATIENCE)
    loop.settled()
    assert ledger.fetch(clone, ledger.Remote(kit.remote(loop.works.repo, "ada")), ledger.LOOKS) == head
    assert len(loop.comments(number)) == 2
    marked = git(clone, "ls-remote", kit.remote(loop.works.repo, "ada"), "refs/heads/gitml-looked")
    assert marked.strip(), "the job that tells left its mark"
