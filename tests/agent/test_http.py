"""The agent as a process: `gitml agent`, over HTTP, killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet
import pytest

from agent.agentprocess import AgentProcess, agent_process
from agent.kit import REPOSITORY, World, keys
from agent.running import start, version
from agent.swapping import Counted, Load
from conftest import at_home
from gitml import clock
from gitml.engines.places import place_of
from gitml.sketches.form import sketch_bytes
from gitml.sketches.grids import NumberGrid
from gitml.sketches.layout import Layout
from gitml.traffic import compaction
from gitml.traffic.marks import completeness
from gitml.traffic.reader import Window, requests
from gitml.traffic.windowsketch import CountedRows, sketch_of_window

SECRET = "a secret of the webhook"


@dataclass
class Process(AgentProcess):
    def ask(self, a: float = 3.0) -> dict[str, Any]:
        answer = httpx.post(f"{self.url}/models/m/predict", json={"rows": [{"a": a, "b": 0.0}]}, timeout=10)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def environment() -> dict[str, str]:
    return {
        **at_home(),
        "GITML_SIGNING_KEY": keys()["agent"][0],
        "GITML_WEBHOOK_SECRET": SECRET,
        "GITHUB_TOKEN": "",
        "GH_TOKEN": "",
    }


def words(world: World, *more: str) -> list[str]:
    options = ["--from", str(world.forge), "--repository", REPOSITORY, "--state", str(world.folder / "state")]
    return [sys.executable, "-m", "gitml", "agent", "production", *options, *more]


@contextlib.contextmanager
def running(world: World, *more: str, env: dict[str, str] | None = None) -> Iterator[Process]:
    asked = words(world, "--port", "0", "--interval", "3600", "--json", *more)
    with agent_process(asked, world.folder, {**environment(), **(env or {})}) as started:
        yield Process(started.process, started.url)


def servers(pid: int) -> list[int]:
    """The server's processes of an agent, which has Git run as well."""
    found = [Path(f"/proc/{pid}/task/{task}/children").read_text() for task in os.listdir(f"/proc/{pid}/task")]
    lines = {}
    for one in [int(word) for text in found for word in text.split()]:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            lines[one] = Path(f"/proc/{one}/cmdline").read_bytes()
    return [one for one, line in lines.items() if b"gitml.agent.child" in line]


def knock(process: Process, *, secret: str = SECRET) -> int:
    body = b'{"ref": "refs/heads/main"}'
    signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"x-hub-signature-256": signature}
    return httpx.post(f"{process.url}/gitml/wake", content=body, headers=headers, timeout=10).status_code


@pytest.mark.slow
@pytest.mark.nightly
def test_swaps_under_load_lose_no_request_and_every_answer_is_of_the_version_it_names(world: World) -> None:
    slopes = {name: float((record.source or "").removeprefix("slope ")) for name, record in world.versions.items()}
    for model in ("m", "n"):
        for slope in (3.0, 4.0, 5.0):
            slopes[world.version(slope, model)] = slope
    by_slope = {(world.versions[name].model, slope): name for name, slope in slopes.items()}
    world.promote(by_slope["n", 3.0], "n")
    with running(world) as process:
        process.wait(lambda s: s["sync"] == "synced" and len(s["models"]) == 2)
        counted = Counted()

        async def swaps() -> None:
            for model, slope in (("m", 2.0), ("n", 4.0), ("m", 3.0), ("n", 5.0), ("m", 4.0)):
                await asyncio.sleep(0.2)
                await asyncio.to_thread(world.promote, by_slope[model, slope], model)
                assert await asyncio.to_thread(knock, process) == 202
                version = by_slope[model, slope]
                await asyncio.to_thread(
                    process.wait,
                    lambda s, v=version: any((m["applied"] or {}).get("champion") == v for m in s["models"]),
                )

        port = int(process.url.rpartition(":")[2])
        took = asyncio.run(Load("127.0.0.1", port, slopes).run(counted, swaps))
        assert counted.failed == []
        assert counted.wrong == []
        assert counted.total > 0.9 * 200 * took
        assert {version for _, version in counted.answers} >= {by_slope["m", s] for s in (1.0, 2.0, 3.0, 4.0)}
        assert {version for _, version in counted.answers} >= {by_slope["n", s] for s in (3.0, 4.0, 5.0)}
        assert knock(process, secret="another") == 401
        assert httpx.get(f"{process.url}/gitml/wake", timeout=10).status_code == 405
        refused = subprocess.run(words(world, "--once"), env=environment(), capture_output=True, text=True, check=False)
        assert refused.returncode == 4
        assert "another agent works in" in refused.stderr
        os.kill(process.process.pid, signal.SIGKILL)
        process.process.wait()
    after = start(world, folder=world.folder / "state")
    assert (after.shop.ask("m"), after.shop.ask("n")) == (12.0, 15.0), "what a killed agent left is whole"
    assert len(list((world.folder / "state" / "outbox").glob("*-deployed-*.json"))) == 7


@pytest.mark.nightly
@pytest.mark.slow
def test_a_server_comes_up_without_network_and_ends_when_it_is_told(world: World) -> None:
    start(world, folder=world.folder / "state").one()
    world.forge.rename(world.folder / "away")
    shutil.rmtree(world.store)
    with running(world) as process:
        answer = process.ask()
        assert (answer["outputs"], answer["version"]) == ({"y": [3.0]}, version(world, 1.0))
        state = process.wait(lambda s: s["sync"] == "unknown")
        assert (state["health"], state["models"][0]["health"]) == ("healthy", "healthy")
        (child,) = servers(process.process.pid)
        assert b"GITML_SIGNING_KEY" not in Path(f"/proc/{child}/environ").read_bytes()
        os.kill(child, signal.SIGKILL)
        assert process.ask()["outputs"] == {"y": [3.0]}, "what was asked meanwhile is answered by the next one"
        (child,) = servers(process.process.pid)
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(20) == 0
        assert not Path(f"/proc/{child}").exists()


@pytest.mark.slow
@pytest.mark.nightly
def test_no_server_outlives_its_supervisor(world: World) -> None:
    start(world, folder=world.folder / "state").one()
    with running(world) as process:
        (child,) = servers(process.process.pid)
        process.process.kill()
        process.process.wait()
        end = time.monotonic() + 10
        while Path(f"/proc/{child}").exists() and time.monotonic() < end:
            time.sleep(0.02)
        assert not Path(f"/proc/{child}").exists()


@pytest.mark.nightly
@pytest.mark.slow
def test_main_does_not_say_where_features_are_sent_and_private_columns_are_nowhere(world: World) -> None:
    spec = world.clone / "gitml.yaml"
    elsewhere, own = world.folder / "elsewhere", world.folder / "traffic"
    spec.write_text(f"{spec.read_text()}\nprivate: [b]\ntraffic: {{at: '{elsewhere}'}}\n")
    world.push()
    world.promote(version(world, 3.0))
    with running(world) as process:
        process.wait(lambda s: bool(s["models"]) and s["models"][0]["health"] == "healthy")
        process.ask()
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(20) == 0
    assert not elsewhere.exists()
    with running(world, "--log", str(own)) as process:
        process.wait(lambda s: bool(s["models"]) and s["models"][0]["health"] == "healthy")
        process.ask()
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(20) == 0
    columns = {name for file in own.rglob("*.parquet") for name in pyarrow.parquet.read_schema(file).names}
    assert "feature_a" in columns
    assert "feature_b" not in columns


@pytest.mark.slow
@pytest.mark.nightly
def test_a_reading_at_a_moment_repeats_to_the_byte_after_rows_labels_and_merging(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(world, folder=world.folder / "state").one()
    own, turned = world.folder / "traffic", world.folder / "clock"
    monkeypatch.setenv("GITML_CLOCK", str(turned))
    monkeypatch.setattr(compaction, "MANY", 2)

    def served(days: int, asked: float) -> None:
        turned.write_text(f"{days}d")
        here = dict.fromkeys(("GITHUB_API_URL", "GITHUB_SERVER_URL"), "http://127.0.0.1:1")
        with running(world, "--log", str(own), env={**here, "GITML_CLOCK": str(turned)}) as process:
            process.wait(lambda s: bool(s["models"]) and s["models"][0]["health"] == "healthy", 60)
            body = {"id": "r-1", "rows": [{"a": asked, "b": 0.0}]}
            assert httpx.post(f"{process.url}/models/m/predict", json=body, timeout=10).status_code == 200
            process.ask(asked)
            label = {"labels": [{"request_id": "r-1", "label": asked}]}
            assert httpx.post(f"{process.url}/models/m/labels", json=label, timeout=10).status_code == 200
            process.process.send_signal(signal.SIGTERM)
            assert process.process.wait(20) == 0

    def read(at: datetime) -> tuple[bytes, bytes, str]:
        window = Window(begin, begin + timedelta(days=30), at)
        rows = json.dumps([b.to_pylist() for b in requests(own, "m", window)], default=str).encode()
        grid = Layout({"feature_a": NumberGrid((1.5, 2.5), (0, 2))})
        sketch = sketch_bytes(sketch_of_window(own, "m", window, grid, CountedRows("production")))
        state = completeness(own, window.since, window.until, at=at, environment="production")
        return rows, sketch, str(state)

    begin = datetime.now(UTC) - timedelta(hours=1)
    served(0, 1.0)
    turned.write_text("2d")
    moment = clock.now()
    before = read(moment)
    assert before[0].count(b"request_id") == 2
    served(3, 3.0)
    compaction.compact(place_of(own / "predictions"), own / ".spool/predictions")
    compaction.compact(place_of(own / "labels"), own / ".spool/labels")
    turned.write_text("6d")
    assert read(moment) == before
    for kept in (own / "sketches").rglob("*.json"):
        kept.unlink()
    assert read(moment) == before
    assert read(clock.now()) != before
