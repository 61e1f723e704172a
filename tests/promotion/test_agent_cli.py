"""`gitml agent` as people call it, and its two addresses; everything in this process."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from agent.kit import REPOSITORY, World, keys
from agent.running import InsideServer, start, version
from gitml.agent.http import with_agent
from gitml.agent.view import Health, ModelView, Sync, View
from gitml.cli.main import gitml
from gitml.errors import GitmlError, UsageError
from gitml.http import HttpError
from gitml.promotion.agentask import answers, ask
from gitml.serving.app import create_app
from gitml.serving.server import Listen, serving
from gitml.serving.state import ServerState
from gitml.verdict import Phase


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_TOKEN", "GH_TOKEN", "GITHUB_REPOSITORY", "GITML_OUTBOX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GITML_SIGNING_KEY", keys()["agent"][0])
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))


def call(world: World, *words: str, repository: bool = True) -> Result:
    named = ["--repository", REPOSITORY] if repository else []
    return CliRunner().invoke(gitml, ["-C", str(world.clone), "agent", *words, *named], standalone_mode=False)


@pytest.mark.nightly
def test_one_convergence_and_its_exit_code(world: World, tmp_path: Path) -> None:
    done = call(world, "production", "--once", "--json")
    assert done.return_value == 0, done.output
    found = json.loads(done.stdout)
    assert (found["sync"], found["health"], found["verdict"]["phase"]) == ("synced", "healthy", "successful")
    assert (tmp_path / "xdg/gitml/agent" / REPOSITORY / "production/state.json").exists()
    world.merge("champion: {}\n")
    assert call(world, "--once", "production").return_value == 1, "options may come first"
    world.forge.rename(world.folder / "away")
    assert call(world, "production", "--once").return_value == 4


@pytest.mark.nightly
def test_observing_says_what_would_be_done_and_does_not(world: World) -> None:
    assert call(world, "production", "--once").return_value == 0
    world.promote(version(world, 2.0))
    done = call(world, "production", "--observe", "--once", "--json")
    assert done.return_value == 3
    (model,) = json.loads(done.stdout)["models"]
    assert (model["sync"], model["reason"]) == ("out of sync", "would be applied: its evidence is believed")
    assert model["applied"]["champion"] == version(world, 1.0)


@pytest.mark.nightly
def test_pinning_and_its_end_by_command(world: World) -> None:
    until = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}"
    words = ["--in", "production", "--owner", "olga", "--until", until, "--reason", "forge is down"]
    early = call(world, "pin", "m@latest", *words)
    assert isinstance(early.exception, UsageError)
    call(world, "production", "--once")
    done = call(world, "pin", f"m@{version(world, 2.0)}", *words)
    assert done.exit_code == 0, done.exception
    assert f"m is pinned to {version(world, 2.0)} by olga until" in done.stdout
    seen = json.loads(call(world, "production", "--once", "--json").stdout)
    assert (seen["health"], seen["models"][0]["applied"]["version"]) == ("suspended", version(world, 2.0))
    assert call(world, "unpin", "m", "--in", "production").exit_code == 0
    assert json.loads(call(world, "production", "--once", "--json").stdout)["sync"] == "synced"


@pytest.mark.parametrize("name", ["latest", "main", "beef", "Prod"])
def test_a_name_that_is_no_environment_is_said(world: World, name: str) -> None:
    assert isinstance(call(world, name, "--once").exception, UsageError)


def test_a_repository_must_be_named(world: World) -> None:
    done = call(world, "production", "--once", repository=False)
    assert isinstance(done.exception, UsageError)


@pytest.fixture
def served(world: World) -> Iterator[tuple[str, Any, threading.Event]]:
    """A server around an agent, without its loop: URL, agent, and what a knock sets."""
    state = ServerState("production")
    running = start(world, front=InsideServer(state))
    running.agent.round()
    wake = threading.Event()

    def allowed(scope: Any) -> bool:
        headers = dict(scope["headers"])
        return bool(headers.get(b"authorization") == b"Bearer a-token-of-some-caller")

    app = with_agent(create_app(state), lambda: running.agent.view, wake.set, secret="webhook", allowed=allowed)
    with serving(app, state, Listen(port=0)) as server:
        yield server.url, running.agent, wake


def test_a_running_agent_is_asked_over_http(served: tuple[str, Any, threading.Event], world: World) -> None:
    url, _, _ = served
    found = ask(url, "a-token-of-some-caller")
    assert (found["sync"], found["health"], found["environment"]) == ("synced", "healthy", "production")
    live = answers(url, "a-token-of-some-caller")["m", "production"]
    assert (live.version, live.is_up) == (version(world, 1.0), True)
    with pytest.raises(HttpError):
        ask(url)
    answer = httpx.post(f"{url}/models/m/predict", json={"rows": [{"a": 2.0, "b": 1.0}]})
    assert (answer.json()["outputs"], answer.headers["gitml-version"]) == ({"y": [3.0]}, version(world, 1.0))
    with pytest.raises(GitmlError):
        ask("http://127.0.0.1:1")


def test_a_knock_wakes_only_with_the_secrets_signature(served: tuple[str, Any, threading.Event]) -> None:
    url, _, wake = served
    body = b"{}"
    signed = "sha256=" + hmac.new(b"webhook", body, hashlib.sha256).hexdigest()
    for headers in ({}, {"x-hub-signature-256": "sha256=00"}, {"x-hub-signature-256": signed[:-1] + "é"}):
        sent = {name: value.encode("latin-1") for name, value in headers.items()}
        assert httpx.post(f"{url}/gitml/wake", content=body, headers=sent).status_code == 401
    assert not wake.is_set()
    assert httpx.get(f"{url}/gitml/wake").status_code == 405
    big = httpx.post(f"{url}/gitml/wake", content=b"x" * 1_100_000)
    assert big.status_code == 413
    assert httpx.post(f"{url}/gitml/wake", content=body, headers={"x-hub-signature-256": signed}).status_code == 202
    assert wake.is_set()


@pytest.mark.parametrize(
    ("sync", "health", "failed", "phase"),
    [
        (Sync.SYNCED, Health.HEALTHY, False, Phase.SUCCESSFUL),
        (Sync.SYNCED, Health.SUSPENDED, False, Phase.SUCCESSFUL),
        (Sync.SYNCED, Health.DEGRADED, False, Phase.FAILED),
        (Sync.OUT, Health.SUSPENDED, False, Phase.INCONCLUSIVE),
        (Sync.OUT, Health.HEALTHY, True, Phase.FAILED),
        (Sync.UNKNOWN, Health.HEALTHY, False, Phase.ERROR),
    ],
)
def test_the_verdict_of_a_convergence(sync: Sync, health: Health, failed: bool, phase: Phase) -> None:
    view = View("production", REPOSITORY, "here", (ModelView("m", sync, health, "why", failed=failed),), main="1" * 40)
    assert view.verdict.phase is phase


def test_the_worst_of_all_models_counts() -> None:
    good, bad = ModelView("a", Sync.SYNCED, Health.HEALTHY), ModelView("b", Sync.OUT, Health.DEGRADED, "no")
    view = View("production", REPOSITORY, "here", (good, bad), main="1" * 40)
    assert (view.sync, view.health) == (Sync.OUT, Health.DEGRADED)
    assert View("production", REPOSITORY, "here").sync is Sync.UNKNOWN, "before the first look"
