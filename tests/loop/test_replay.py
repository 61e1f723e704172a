"""From a promotion to a signed replay and a comment: real Git, act, HTTP, and two real models."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import gitml
from gitml.evidence.keys import generate
from gitml_sandbox.actions.runner import Runner
from gitml_sandbox.forge import emails, users
from loop.loop_kit import Loop
from loop.test_watch import PATIENCE
from loop.turned_kit import TurnedClock
from rollout.candidate_town import build
from sandbox.forge_kit import Kit, commit, git
from sandbox.runner_kit import Works

pytestmark = [pytest.mark.slow, pytest.mark.nightly]
POLICY = """\
roles: {{operations: {{people: [olga]}}}}
environments:
  production:
    approvals: {{operations: 1}}
    canary: {{metric: {{margin: 0.03}}, labels: {{within: 2d}}, replay: 14d}}
keys:
  looks: {{public: '{looks}', owner: CI, purposes: [look, canary], from: 2026-01-01}}
"""


@pytest.mark.timeout(600)
def test_the_version_of_a_promotion_is_replayed_and_its_request_says_how_it_did(
    place: tuple[Kit, Runner, TurnedClock], tmp_path: Path
) -> None:
    kit, runner, _ = place
    with kit.sandbox.store.write() as tx:
        emails.add(tx, users.get(tx, "ada").id, ["ada@example.com", "ada@example.org"])
    town = build(tmp_path / "app")
    app = town.root
    town.ask()
    looks, public = generate()
    text = (app / "gitml.yaml").read_text()
    town.write({"policy.yaml": POLICY.format(looks=public), "gitml.yaml": f"publisher: gitml\n{text}"})
    town.write({".gitignore": "/log/\n/.dvc/tmp/\n/.gitml-ci/\n"})
    repo = kit.repo()
    git(app, "remote", "add", "origin", kit.remote(repo, "ada"))
    assert gitml(app, "ci", "render").code == 0
    for file in (app / ".github/workflows").glob("gitml-*.yml"):
        if file.name != "gitml-replay.yml":
            file.unlink()
    commit(app, "notes.txt", "start\n")
    git(app, "add", ".")
    git(app, "commit", "-qm", "start")
    git(app, "push", "-q", "origin", "HEAD:refs/heads/main")
    loop = Loop(Works(kit, runner, repo, app), tmp_path / "remote")
    token = {"GITHUB_TOKEN": kit.token["ada"]}
    assert "the Environment gitml-looks is for main alone" in gitml(app, "doctor", "--fix", env=token).out
    secret = loop.works.api("PUT", "/environments/gitml-looks/secrets/GITML_LOOKS_KEY", {"value": looks})
    assert secret.status_code < 300, secret.text

    def run() -> None:
        before = len(loop.works.runs("workflow_dispatch"))
        started = loop.works.api("POST", "/actions/workflows/gitml-replay.yml/dispatches", {"ref": "main"})
        assert started.status_code < 300, started.text
        loop.until(lambda: len(loop.works.runs("workflow_dispatch")) > before, PATIENCE)
        loop.until(lambda: loop.works.runs("workflow_dispatch")[-1]["status"] == "completed", 2 * PATIENCE)
        loop.settled()

    def ran() -> dict[str, str]:
        return {
            name: job["conclusion"] for name, job in loop.works.jobs(loop.works.runs("workflow_dispatch")[-1]).items()
        }

    run()
    assert ran() == {"due": "success", "replay-delay": "skipped", "sign": "skipped", "publish": "skipped"}
    asked = gitml(app, "promote", f"delay@{town.new.digest[:8]}", "--to", "production", env=token)
    assert asked.code == 0, asked.out + asked.err
    (pull,) = loop.works.api("GET", "/pulls?state=open").json()
    run()
    assert set(ran().values()) == {"success"}, loop.logs()
    (comment,) = [c["body"] for c in loop.comments(pull["number"]) if "gitml:report:flights/replay" in c["body"]]
    assert "a replay of logged requests: it opens no gate by itself" in comment
    assert "accuracy" in comment
    assert "1,500" in comment
    run()
    assert ran() == {"due": "success", "replay-delay": "skipped", "sign": "skipped", "publish": "skipped"}, "once a day"
