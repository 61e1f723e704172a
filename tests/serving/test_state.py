"""Swaps under load, canaries and shadows, over real HTTP."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from gitml.errors import UsageError
from gitml.models.model import Predictor
from gitml.serving.limits import Limits
from serving_server import ROW, VERSIONS, Served, constant, deployment

Start = Callable[..., Served]


def wait_for(reached: Callable[[], bool], seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while not reached() and time.monotonic() < until:
        time.sleep(0.01)
    return reached()


def test_the_canary_answers_its_units_and_the_headers_say_so(start: Start) -> None:
    server = start({VERSIONS[0]: constant(0, 0), VERSIONS[1]: constant(1, 1)}, weight=30)
    seen: dict[str, set[float]] = {"champion": set(), "canary": set()}
    chosen = {}
    for n in range(200):
        answer = server.predict({"rows": [ROW]}, **{"Gitml-Unit": f"unit {n}"})
        seen[answer.headers["gitml-variant"]].add(answer.json()["outputs"]["p_late"][0])
        chosen[n] = answer.headers["gitml-version"]
    assert seen == {"champion": {0.0}, "canary": {1.0}}
    assert 30 <= sum(v == VERSIONS[1] for v in chosen.values()) <= 90
    again = {n: server.predict({"rows": [ROW], "unit": f"unit {n}"}).json()["version"] for n in range(50)}
    assert again == {n: chosen[n] for n in range(50)}


def test_a_unit_is_the_same_in_header_and_body(start: Start) -> None:
    server = start({VERSIONS[0]: constant(0, 0), VERSIONS[1]: constant(1, 1)}, weight=50)
    for n in range(20):
        by_header = server.client.post(
            "/models/delay/predict", json={"rows": [ROW]}, headers={"Gitml-Unit": f"Zoë {n}".encode()}
        )
        by_body = server.predict({"rows": [ROW], "unit": f"Zoë {n}"})
        assert by_header.headers["gitml-version"] == by_body.headers["gitml-version"]
    assert {event.unit for event in server.log.events} == {f"Zoë {n}" for n in range(20)}


def test_a_unit_that_is_not_understood_is_refused(start: Start) -> None:
    server = start({VERSIONS[0]: constant(0, 0)})
    for unit in (1.5, True, ["N1"], {"id": 1}):
        assert server.predict({"rows": [ROW], "unit": unit}).status_code == 400
    assert server.predict({"rows": [ROW], "unit": 4711}).status_code == 200
    assert server.predict({"rows": [ROW], "unit": None}).status_code == 200
    assert [event.unit for event in server.log.events if event.outcome == "ok"] == ["4711", None]


def test_shadows_see_the_traffic_and_hold_up_nobody(start: Start) -> None:
    seen: list[int] = []

    def slow(rows: Any) -> Any:
        time.sleep(0.2 if len(seen) < 2 else 0)
        seen.append(len(rows))
        return np.full(len(rows), 9.0)

    shadow = constant(9, 1, slow)
    server = start({VERSIONS[0]: constant(0, 0)})
    server.deploy({VERSIONS[0]: constant(0, 0), VERSIONS[1]: shadow}, shadow=1)
    seen.clear()
    began = time.monotonic()
    answers = [server.predict({"rows": [ROW]}).json() for _ in range(10)]
    assert time.monotonic() - began < 0.2
    assert {a["variant"] for a in answers} == {"champion"}
    assert wait_for(lambda: sum(e.arm.name == "shadow" for e in server.log.events) == 10)
    shown = [e for e in server.log.events if e.arm.name == "shadow"]
    assert {e.request_id for e in shown} == {a["id"] for a in answers}
    assert all(e.output.rows.tolist() == [[9.0]] and e.arm.version == VERSIONS[1] for e in shown)


def test_a_shadow_that_raises_or_is_full_is_counted_and_nothing_else(start: Start) -> None:
    stop = threading.Event()

    def stuck(rows: Any) -> Any:
        if (rows[:, 1] == 700).any():
            stop.wait(20)
            raise RuntimeError("no")
        return np.zeros(len(rows))

    models = {VERSIONS[0]: constant(0, 0), VERSIONS[1]: constant(0, 1, stuck)}
    server = start(models, limits=Limits(shadows=3), shadow=1)
    assert all(server.predict({"rows": [ROW]}).status_code == 200 for _ in range(10))
    metrics = server.client.get("/metrics").text
    dropped = float(metrics.partition('gitml_shadow_dropped_total{model="delay"} ')[2].split()[0])
    assert dropped >= 6
    stop.set()
    counted = f'gitml_requests_total{{code="500",model="delay",variant="shadow",version="{VERSIONS[1]}"}}'
    assert wait_for(lambda: counted in server.client.get("/metrics").text)


def test_versions_that_are_not_loaded_or_other_bytes_are_not_served(start: Start) -> None:
    server = start({VERSIONS[0]: constant(0, 0)})
    both = deployment({VERSIONS[0]: constant(0, 0), VERSIONS[1]: constant(1, 1)}, weight=10)
    with pytest.raises(UsageError, match="is not loaded"):
        server.state.prepare("delay", both, {VERSIONS[0]: constant(0, 0)})
    with pytest.raises(UsageError, match="another file"):
        server.state.prepare("delay", both, {VERSIONS[0]: constant(0, 0), VERSIONS[1]: constant(1, 2)})
    assert server.predict({"rows": [ROW]}).headers["gitml-version"] == VERSIONS[0]


def test_a_swap_waits_for_requests_that_hold_the_old_versions(start: Start) -> None:
    free = threading.Event()

    def waiting(rows: Any) -> Any:
        if (rows[:, 1] == 13).any():
            free.wait(10)
        return np.zeros(len(rows))

    server = start({VERSIONS[0]: constant(0, 0, waiting)}, limits=Limits(seconds=8))
    # The first call decides that the model belongs on a thread.
    server.state.served["delay"].champion.runner.cost = type(server.state.served["delay"].champion.runner.cost)(
        1.0, 0.0
    )
    answers: list[httpx.Response] = []
    body = {"rows": [{**ROW, "distance": 13}]}
    asker = threading.Thread(target=lambda: answers.append(server.predict(body)))
    asker.start()
    assert wait_for(lambda: server.state.served["delay"].in_flight.count == 1)
    models = {VERSIONS[1]: constant(1, 1)}
    old = server.state.swap(server.state.prepare("delay", deployment(models), models))
    assert old is not None
    assert not server.state.drain(old, 0.1)
    with httpx.Client(base_url=server.client.base_url, trust_env=False) as other:
        fresh = other.post("/models/delay/predict", json={"rows": [ROW]})
    assert fresh.headers["gitml-version"] == VERSIONS[1]
    free.set()
    asker.join()
    assert (answers[0].status_code, answers[0].headers["gitml-version"]) == (200, VERSIONS[0])
    assert server.state.drain(old, 2)


class Load:
    """Callers that keep asking, some on one connection, some on a new one each time."""

    def __init__(self, server: Served) -> None:
        self.server, self.stop = server, threading.Event()
        self.answers: list[tuple[int, str, float]] = []
        self.failures: list[str] = []
        self.threads = [threading.Thread(target=self._run, args=(n % 2 == 0,)) for n in range(8)]

    def _run(self, keep: bool) -> None:
        client = httpx.Client(base_url=self.server.client.base_url, trust_env=False)
        while not self.stop.is_set():
            try:
                if not keep:
                    client.close()
                    client = httpx.Client(base_url=self.server.client.base_url, trust_env=False)
                answer = client.post("/models/delay/predict", json={"rows": [ROW] * 3})
                outputs = answer.json()["outputs"]["p_late"]
                self.answers.append((answer.status_code, answer.headers["gitml-version"], outputs[0]))
            except Exception as exc:
                self.failures.append(repr(exc))
            self.stop.wait(0.03)
        client.close()


@pytest.mark.nightly
@pytest.mark.slow
def test_swaps_under_load_fail_no_request_and_mix_no_versions(start: Start, boosting: Predictor) -> None:
    models = [constant(n, n) for n in range(6)]
    server = start({VERSIONS[0]: models[0]})
    load = Load(server)
    for thread in load.threads:
        thread.start()
    for n in range(1, 6):
        time.sleep(0.8)
        both = {VERSIONS[n]: models[n], VERSIONS[n - 1]: models[n - 1]}
        old = server.state.swap(server.state.prepare("delay", deployment(both, weight=50), both))
        assert old is not None
        assert server.state.drain(old, 5)
    time.sleep(0.5)
    load.stop.set()
    for thread in load.threads:
        thread.join()
    assert load.failures == []
    assert len(load.answers) > 100  # a machine that is busy otherwise does a fifth of what an idle one does
    assert {code for code, _, _ in load.answers} == {200}
    assert all(VERSIONS[int(value)] == version for _, version, value in load.answers)
    assert {version for _, version, _ in load.answers} == set(VERSIONS[:6])


def test_requests_in_one_connection_without_waiting_are_all_answered(start: Start, boosting: Predictor) -> None:
    server = start({VERSIONS[0]: boosting})
    body = orjson.dumps({"rows": [ROW]})
    one = b"POST /models/delay/predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.settimeout(10)
        connection.sendall(one * 50)
        got = b""
        while got.count(b"HTTP/1.1 200") < 50 or not got.endswith(b"}}"):
            got += connection.recv(65536)
    assert got.count(b"p_late") == 50
