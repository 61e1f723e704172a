"""From live traffic to a candidate that is raised, and then taken back, by pull requests: real Git, act and HTTP."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import gitml
from evidence.evidence_kit import enveloped, named
from gitml.evidence.canaries import details_of
from gitml.evidence.dsse import unpack
from gitml.evidence.keys import generate, signing_key
from gitml.evidence.statement import Binding, parse_payload
from gitml.git import ledger
from gitml.registry.record import File, Record
from gitml.serving.router import epoch_of, route
from gitml.spec.deployment import Deployment, Pin, parse_deployment, render_deployment
from gitml_sandbox.actions.runner import Runner
from gitml_sandbox.forge import emails, users
from loop.loop_kit import Loop
from loop.test_watch import PATIENCE, runs_of
from loop.turned_kit import TurnedClock
from monitoring.watched_world import build, deploy
from rollout.split_world import Served, SplitWorld, answers, moments
from sandbox.forge_kit import Kit, commit, git
from sandbox.runner_kit import Works

pytestmark = [pytest.mark.slow, pytest.mark.nightly]
POLICY = """\
roles: {{operations: {{people: [olga]}}}}
environments:
  production:
    approvals: {{operations: 1}}
    canary:
      metric: {{name: accuracy, {asked}}}
      labels: {{within: 1d}}
      modes: [split]
keys:
  looks: {{public: '{looks}', owner: CI, purposes: [look, canary], from: 2026-01-01}}
  ci: {{public: '{ci}', owner: CI, purposes: [trained, evaluated, gate, approved, promoted], from: 2026-01-01}}
"""
KEPT = ("gitml-monitor.yml", "gitml-gate.yml", "gitml-review.yml")
FILE = "models/delay/production.yaml"


class CanaryLoop:
    """An application whose production has a champion and a shadow; ``right``: how often each version is right."""

    def __init__(self, kit: Kit, runner: Runner, clock: TurnedClock, folder: Path, asked: str) -> None:
        self.kit, self.clock, self.seed = kit, clock, 0
        with kit.sandbox.store.write() as tx:
            # The forge knows whose address stands in the commits of main.
            emails.add(tx, users.get(tx, "ada").id, ["ada@example.org"])
        world = build(folder / "app")
        app = world.root
        first = self._record(app)
        (app / "m.onnx").write_bytes(b"another model")
        deploy(app, "m.onnx", first.signature or {})
        second = self._record(app)
        (app / "m.onnx").write_bytes(b"a third model")
        deploy(app, "m.onnx", first.signature or {})
        # Of the same second: a shadow that is older than the champion is no candidate.
        versions = sorted((first, second, self._record(app)), key=lambda record: record.version)
        self.old, self.between, self.new = versions
        looks, looks_public = generate()
        ci, ci_public = generate()
        self.key = signing_key(ci)
        self.world = SplitWorld(Path(world.traffic))
        (app / "gitml.yaml").write_text(self._application(app))
        (app / "policy.yaml").write_text(POLICY.format(looks=looks_public, ci=ci_public, asked=asked))
        (app / ".gitignore").write_text("/traffic/\n/.dvc/tmp/\n/.gitml-ci/\n")
        state = Deployment(champion=self.pin(self.old), shadow=(self.pin(self.new),))
        (app / FILE).write_text(render_deployment(state))
        git(app, "init", "-q", "-b", "main")
        repo = kit.repo()
        git(app, "remote", "add", "origin", kit.remote(repo, "ada"))
        rendered = gitml(app, "ci", "render")
        assert rendered.code == 0, rendered.err
        for file in (app / ".github/workflows").glob("gitml-*.yml"):
            if file.name not in KEPT:
                file.unlink()
        commit(app, "notes.txt", "start\n")
        git(app, "add", ".")
        git(app, "commit", "-qm", "start")
        git(app, "push", "-q", "origin", "HEAD:refs/heads/main")
        self.loop = Loop(Works(kit, runner, repo, app), folder / "remote")
        fixed = gitml(app, "doctor", "--fix", env={"GITHUB_TOKEN": kit.token["ada"]})
        assert "the Environment gitml-looks is for main alone" in fixed.out, fixed.out + fixed.err
        self.api("PUT", "/environments/gitml-looks/secrets/GITML_LOOKS_KEY", {"value": looks})
        self.api("PUT", "/environments/gitml/secrets/GITML_SIGNING_KEY", {"value": ci})
        self.api("PUT", "/actions/permissions/workflow", {"can_approve_pull_request_reviews": True})
        self.api("DELETE", "/branches/main/protection")
        for record in versions:
            self._prove(record)

    def _application(self, app: Path) -> str:
        text = (app / "gitml.yaml").read_text()
        return "publisher: gitml\n" + text.replace("    artifact: m.onnx", "    origin: external\n    artifact: m.onnx")

    def _record(self, app: Path) -> Record:
        """The newest, which says where its signature's file is."""
        state, raw = parse_deployment((app / FILE).read_bytes(), FILE), (app / "signature.json").read_bytes()
        path = app / f"models/delay/versions/{state.champion.version}.json"
        found = Record.model_validate_json(path.read_bytes())
        file = File(sha256=hashlib.sha256(raw).hexdigest(), size=len(raw))
        more = {
            "files": {**found.files, "signature.json": file},
            "roles": {**found.roles, "signature": "signature.json"},
        }
        path.write_text(found.model_copy(update=more).to_json())
        return Record.model_validate_json(path.read_bytes())

    def pin(self, record: Record) -> Pin:
        return Pin(version=record.version, digest=record.files[record.artifact].sha256)

    def _prove(self, record: Record) -> None:
        """As the job of main that loads what is new would have signed it."""
        pin, head = self.pin(record), git(self.loop.clone, "rev-parse", "HEAD").strip()
        about = Binding(
            kind="evaluated", repository=self.loop.works.repo.full_name, time=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            model="delay", version=pin.version, artifact=pin.digest, head=head,
        )  # fmt: skip
        envelope = enveloped(about, self.key)
        remote = ledger.Remote(self.kit.remote(self.loop.works.repo, "ada"))
        ledger.append(remote, {named(about, envelope): envelope}, near=self.loop.clone)

    def api(self, method: str, path: str, body: Any = None, *, token: str = "ada") -> Any:
        response = self.loop.works.api(method, path, body, token=token)
        assert response.status_code < 300, f"{method} {path}: {response.text}"
        return response.json() if response.content else None

    @property
    def state(self) -> Deployment:
        clone = self.loop.clone
        git(clone, "fetch", "-q", self.kit.remote(self.loop.works.repo, "ada"), "+main:refs/remotes/origin/main")
        return parse_deployment(git(clone, "show", f"origin/main:{FILE}").encode(), FILE)

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(hours=self.clock.hours)

    def put(self, state: Deployment) -> None:
        """On main, by whoever may push there."""
        self.loop.change({FILE: render_deployment(state)}, branch="main", message="by hand")
        self.loop.settled()

    def comment(self) -> str:
        """What the draft says of the candidate now."""
        bodies = [c["body"] for c in self.loop.comments(self.pulls()["promote"]["number"])]
        (found,) = [body for body in bodies if "gitml:report:flights/canary" in body]
        return str(found)

    def killed(self) -> None:
        """The jobs of the newest look are cancelled while they run, and somebody starts them again."""
        runs = self.loop.works.runs
        (running,) = self.loop.until(lambda: [r for r in runs("schedule") if _at_work(r)], PATIENCE)
        self.api("POST", f"/actions/runs/{running['id']}/cancel")
        self.loop.settled()
        before = len(runs("workflow_dispatch"))
        self.api("POST", "/actions/workflows/gitml-monitor.yml/dispatches", {"ref": "main"})
        self.loop.until(lambda: len(runs("workflow_dispatch")) > before, PATIENCE)
        self.loop.settled()

    def days(self, days: int, count: int, *, killed: bool = False, **right: float) -> None:
        """Traffic that follows what main says, then the scheduled jobs, two hours after the last request."""
        state, first = self.state, self.now()
        epoch = epoch_of(state, model="delay", environment="production")
        rng = np.random.default_rng(self.seed)
        self.seed += 1
        units = [f"u{self.seed}-{n}" for n in range(count)]
        when, late = np.array(moments(count, days, first), dtype=object), (rng.random(count) < 0.4).astype(float)
        mine = np.array([route(state, u, model="delay", environment="production") == "canary" for u in units])
        weight = float(state.canary.weight) if state.canary else 0.0
        parts = [("champion", state.champion.version, ~mine, 100 - weight, right["old"])]
        parts += [("canary", state.canary.version, mine, weight, right["new"])] if state.canary else []
        parts += [("shadow", one.version, np.ones(count, bool), 100.0, right["new"]) for one in state.shadow]
        self.world.now = first + timedelta(days=days, hours=1)
        served = []
        for arm, version, rows, share, often in parts:
            p, names = answers(rng.random(count) < often, late), [units[n] for n in np.flatnonzero(rows)]
            told = late[rows] if arm != "shadow" else np.full(rows.sum(), np.nan)
            ids = [f"r-{name}" for name in names]
            served.append(Served(arm, when[rows].tolist(), p[rows], told, names, version, share, epoch, ids=ids))
        self.world.serve(*served, label_delay=timedelta(hours=1))
        before = len(self.monitors())
        self.clock.later(hours=24 * days + 2)
        if killed:
            self.killed()
            return
        self.loop.until(lambda: len(self.monitors()) > before, PATIENCE)
        self.loop.settled()

    def monitors(self) -> list[Any]:
        return [run for run in runs_of(self.loop, "schedule") if run["path"].endswith("gitml-monitor.yml")]

    def looks(self) -> set[tuple[str, str]]:
        """The champion and the phase of each evaluation that is signed."""
        clone, remote = self.loop.clone, self.kit.remote(self.loop.works.repo, "ada")
        git(clone, "fetch", "-q", remote, "+gitml-looks:refs/remotes/origin/gitml-looks")
        names = git(clone, "ls-tree", "-r", "--name-only", "origin/gitml-looks").split()
        raw = [git(clone, "show", f"origin/gitml-looks:{name}") for name in names if "-canary-" in name]
        told = [details_of(parse_payload(unpack(one.encode()).payload)).evaluation for one in raw]
        return {(one.champion.version, one.phase.value) for one in told}

    def pulls(self) -> dict[str, Any]:
        found = self.api("GET", "/pulls?state=open")
        return {p["head"]["ref"].removeprefix("gitml/").partition("/")[0]: p for p in found}

    def accept(self, pull: Any) -> None:
        """Olga approves, the gate opens, and it is merged."""
        number, sha = pull["number"], pull["head"]["sha"]
        self.api("POST", f"/pulls/{number}/reviews", {"event": "APPROVE", "body": "fine"}, token="olga")

        def is_open() -> bool:
            found = [s for s in self.api("GET", f"/commits/{sha}/statuses") if s["context"] == "gitml/gate"]
            return bool(found) and found[0]["state"] == "success"

        self.loop.until(is_open, PATIENCE)
        self.loop.merge(number)


def _at_work(run: Any) -> bool:
    return run["status"] == "in_progress" and run["path"].endswith("gitml-monitor.yml")


@pytest.fixture
def begin(
    place: tuple[Kit, Runner, TurnedClock], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], CanaryLoop]:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    kit, runner, clock = place

    def made(asked: str) -> CanaryLoop:
        city = CanaryLoop(kit, runner, clock, tmp_path / "here", asked)
        clock.turn(minutes=1)  # the runner reads schedules once a minute
        works = city.loop.works
        city.loop.until(lambda: works.query("SELECT 1 FROM schedules WHERE repo_id = ?", works.repo.id))
        return city

    return made


@pytest.mark.timeout(900)
def test_a_better_one_becomes_champion_through_shadow_and_canary(begin: Callable[[str], CanaryLoop]) -> None:
    city = begin("margin: 0.01")
    city.days(3, 2500, old=0.7, new=0.72)
    pulls = city.pulls()
    assert set(pulls) == {"promote", "raise"}, city.loop.logs()
    assert pulls["promote"]["draft"]
    assert "accuracy" in city.comment()
    city.accept(pulls["raise"])
    for weight in (10, 50):
        assert city.state.canary is not None
        assert (city.state.canary.weight, city.state.shadow) == (weight, ())
        city.days(3, 12_000, old=0.7, new=0.72)
        opened = city.pulls()
        if weight == 10:
            assert set(opened) == {"promote", "raise"}, city.loop.logs()
            city.accept(opened["raise"])
    assert not opened["promote"]["draft"], city.loop.logs()
    assert opened["promote"]["number"] == pulls["promote"]["number"]
    city.accept(opened["promote"])
    assert (city.state.champion, city.state.canary) == (city.pin(city.new), None)


@pytest.mark.timeout(900)
def test_a_canary_that_does_worse_is_taken_back(begin: Callable[[str], CanaryLoop]) -> None:
    city = begin("margin: 0.03")
    city.days(3, 2500, old=0.7, new=0.75)
    city.accept(city.pulls()["raise"])
    city.days(4, 2500, old=0.8, new=0.5)
    pulls = city.pulls()
    assert set(pulls) == {"promote", "take-back"}, city.loop.logs()
    city.accept(pulls["take-back"])
    assert city.state.canary is None
    assert [held.version for held in city.state.held] == [city.new.version]


@pytest.mark.timeout(900)
def test_an_equal_one_expires_under_a_goal_and_another_champion_begins_anew(begin: Callable[[str], CanaryLoop]) -> None:
    city = begin("goal: better}\n      maximum: 8d\n      guardrails: {errors: 0.01")
    city.days(3, 2500, killed=True, old=0.7, new=0.7)
    pulls = city.pulls()
    assert set(pulls) == {"promote", "raise"}, "killed in between, the next run ended the same\n" + city.loop.logs()
    assert "not yet shown to be better" in city.comment()
    signed = city.looks()
    city.put(Deployment(champion=city.pin(city.between), shadow=(city.pin(city.new),)))
    city.old = city.between
    city.days(2, 500, old=0.7, new=0.7)
    (told,) = city.looks() - signed
    assert told == (city.between.version, "inconclusive")
    city.days(6, 500, old=0.7, new=0.7)
    city.days(1, 100, old=0.7, new=0.7)
    assert "expired undecided" in city.comment()
    pulls = city.pulls()
    assert set(pulls) == {"promote", "take-back"}, city.loop.logs()
    assert pulls["promote"]["draft"], "it stays a draft, and the shadow's step is taken back"
    city.accept(pulls["take-back"])
    assert (city.state.shadow, [held.version for held in city.state.held]) == ((), [city.new.version])
