"""Several processes behind one port: who answers, what they serve together, what they say together."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.apart import deadly, sound
from deadly import Once
from gitml.agent.confinement import Confinement
from gitml.agent.crew import Crew, crew_of
from gitml.agent.messages import BeginOrder
from gitml.errors import GitmlError
from gitml.serving.listener import Listen, bound_for, url_of
from gitml.traffic.reader import requests

pytestmark = pytest.mark.slow


@contextmanager
def two(folder: Path, log: str = "") -> Iterator[tuple[Crew, str]]:
    listen = Listen(port=0, grace=2.0)
    begin, confinement = BeginOrder(environment="production", log=log), Confinement(folder / "c", folder / "home", log)
    with bound_for(2, listen) as listeners, crew_of(begin, confinement, listeners, note=lambda _: None) as crew:
        crew.start()
        yield crew, url_of(listen, listeners[0])


def ask(url: str, model: str = "m") -> float:
    """On a connection of its own, which the kernel gives to either process."""
    answer = httpx.post(f"{url}/models/{model}/predict", json={"rows": [{"a": 3.0, "b": 0.0}]}, timeout=60)
    assert answer.status_code == 200, answer.text
    return float(answer.json()["outputs"]["y"][0])


@pytest.mark.nightly
def test_both_answer_one_that_is_killed_comes_back_and_the_page_and_the_log_tell_of_both(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with two(tmp_path, str(log)) as (crew, url):
        crew.serve(sound(tmp_path / "c"))
        crew.open()
        assert {ask(url) for _ in range(20)} == {6.0}
        first, second = crew.pids
        os.kill(first or 0, signal.SIGKILL)
        assert {ask(url) for _ in range(20)} == {6.0}, "those that come to the one that is gone wait for the next"
        assert crew.pids[1] == second
        assert crew.pids[0] != first
        crew.serve(sound(tmp_path / "c", "m", 5.0))
        assert {ask(url) for _ in range(20)} == {15.0}, "none of them serves what was before"
        end = time.monotonic() + 20
        while (told := counted(url)).keys() != {"0", "1"} and time.monotonic() < end:
            time.sleep(0.05)
        assert told.keys() == {"0", "1"}
    batches = list(requests(log, "m"))
    assert 50 <= sum(batch.num_rows for batch in batches) <= 60, "but for those of the second before the kill"
    hosts = {host for batch in batches for host in batch["host"].to_pylist()}
    assert len(hosts) == 2


def counted(url: str) -> dict[str, float]:
    """Requests by process, as any process tells them: Prometheus's own parser takes the page."""
    page = httpx.get(f"{url}/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(page)}
    assert len({sample.labels["process"] for sample in families["gitml_served"].samples}) == 2, page
    found: dict[str, float] = {}
    for sample in families["gitml_requests"].samples:
        found[sample.labels["process"]] = found.get(sample.labels["process"], 0.0) + sample.value
    return found


@pytest.mark.nightly
def test_what_one_of_them_cannot_load_none_of_them_serves(tmp_path: Path) -> None:
    with two(tmp_path) as (crew, url):
        before = sound(tmp_path / "c", "d")
        crew.serve(before)
        crew.open()
        (tmp_path / "home").mkdir(exist_ok=True)
        with pytest.raises(GitmlError, match="raised"):
            crew.serve(deadly(tmp_path / "c", Once(str(tmp_path / "home" / "once"))))
        assert (tmp_path / "home" / "once").is_dir(), "one of them had it ready"
        assert {ask(url, "d") for _ in range(12)} == {6.0}
        assert crew.losses() == []
