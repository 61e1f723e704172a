"""What goes over one connection, byte by byte."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import uvicorn

from gitml.internals import CHECKED, is_checked
from gitml.models.model import Predictor
from gitml.serving.eager import begun
from gitml.serving.limits import Limits
from serving_server import ROW, VERSIONS, Served, constant

BODY = json.dumps({"rows": [ROW]}).encode()


@pytest.fixture
def server(start: Callable[..., Served], boosting: Predictor) -> Served:
    return start({VERSIONS[0]: boosting}, limits=Limits(head_seconds=0.5))


@pytest.fixture
def connection(server: Served) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as found:
        yield found


def post(*lines: str, body: bytes = BODY) -> bytes:
    head = ["POST /models/delay/predict HTTP/1.1", "host: x", f"content-length: {len(body)}", *lines]
    return "\r\n".join([*head, "", ""]).encode() + body


def test_head_and_body_arrive_together(connection: socket.socket) -> None:
    for _ in range(20):
        connection.sendall(post())
        head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert f"content-length: {len(body)}".encode() in head
        assert json.loads(body)["model"] == "delay"


def test_an_answer_without_a_body_is_not_kept_back(connection: socket.socket) -> None:
    for _ in range(2):
        connection.sendall(b"HEAD /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"\r\n\r\n")


def test_a_caller_who_asks_first_is_told_to_go_on(connection: socket.socket) -> None:
    request = post("expect: 100-continue")
    connection.sendall(request[: -len(BODY)])
    assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(BODY)
    assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_requests_sent_at_once_are_answered_in_their_order(connection: socket.socket) -> None:
    count = 200
    connection.sendall(
        b"".join(post(f"x-request-id: n{n}") for n in range(count)) + post("connection: close", body=b"{")
    )
    answer = b""
    while piece := connection.recv(65536):
        answer += piece
    parts = answer.split(b"HTTP/1.1 ")[1:]
    assert [p[:3] for p in parts] == [b"200"] * count + [b"400"]
    assert [json.loads(p.partition(b"\r\n\r\n")[2])["id"] for p in parts[:count]] == [f"n{n}" for n in range(count)]


def test_what_begins_at_once_goes_on_as_a_task_where_it_waits() -> None:
    async def work(what: asyncio.Future[str]) -> None:
        said.append("begun")
        try:
            said.append(await what)
            raise ValueError("at last")
        except asyncio.CancelledError:
            said.append("cancelled")
            raise

    async def tried() -> None:
        loop = asyncio.get_running_loop()
        assert begun(done(), loop) is None
        first, second = loop.create_future(), loop.create_future()
        tasks = [begun(work(what), loop) for what in (first, second)]
        assert said == ["done", "begun", "begun"]
        await asyncio.sleep(0)
        first.set_result("answer")
        assert tasks[1] is not None
        tasks[1].cancel()
        found = await asyncio.gather(*filter(None, tasks), return_exceptions=True)
        assert [type(one) for one in found] == [ValueError, asyncio.CancelledError]

    async def done() -> None:
        said.append("done")

    said: list[str] = []
    asyncio.run(tried())
    assert sorted(said[3:]) == ["answer", "cancelled"]


@pytest.mark.parametrize("first", [b"", post()], ids=["new", "kept"])
def test_a_head_that_never_ends_loses_its_connection(connection: socket.socket, first: bytes) -> None:
    if first:
        connection.sendall(first)
        assert connection.recv(65536)
    connection.sendall(b"POST /models/delay/predict HTTP/1.1\r\nhost: x\r\n")
    began = time.monotonic()
    assert connection.recv(65536) == b""
    assert 0.4 < time.monotonic() - began < 4


def test_a_connection_that_rests_between_requests_is_kept(connection: socket.socket) -> None:
    for _ in range(2):
        connection.sendall(post())
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        time.sleep(0.7)


def test_the_release_that_is_installed_was_checked() -> None:
    assert is_checked("uvicorn", uvicorn.__version__), f"run this file, then add it to {CHECKED}"


def said(server: Served) -> list[str]:
    """All that one connection hears, in several requests, but for what is another one each time."""
    requests = [
        post("x-request-id: a"),
        post("x-request-id: b", body=b"{"),
        b"GET /v2/models/delay HTTP/1.1\r\nhost: x\r\n\r\n",
        b"HEAD /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    ]
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        heard = b""
        for request in requests:
            connection.sendall(request)
            time.sleep(0.05)
        while piece := connection.recv(65536):
            heard += piece
    return [re.sub(r"(?m)^date: .*$", "", part) for part in heard.decode().split("HTTP/1.1 ")[1:]]


def test_another_release_of_uvicorn_answers_the_same_its_own_way(
    start: Callable[..., Served], boosting: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = said(start({VERSIONS[0]: boosting}))
    monkeypatch.setattr(uvicorn, "__version__", "0.999.0")
    public = start({VERSIONS[0]: boosting})
    assert "uvicorn 0.999.0 was not checked" in public.missing
    assert said(public) == ours
    assert [a[:3] for a in ours] == ["200", "400", "200", "200", "404"]


def asking(server: Served) -> socket.socket:
    """A connection that was answered once, and stays open."""
    found = socket.create_connection(("127.0.0.1", server.port), timeout=5)
    found.sendall(post())
    assert found.recv(65536).startswith(b"HTTP/1.1 200 ")
    return found


def test_idle_connections_make_room_for_new_callers_the_oldest_first(
    start: Callable[..., Served], boosting: Predictor
) -> None:
    server = start({VERSIONS[0]: boosting}, limits=Limits(connections=5, head_seconds=30))
    with ExitStack() as stack:
        idle = [stack.enter_context(asking(server)) for _ in range(5)]
        half = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
        half.sendall(b"POST /models/delay/predict HTTP/1.1\r\n")
        for _ in range(8):
            stack.enter_context(asking(server))
        assert [one.recv(65536) for one in (*idle, half)] == [b""] * 6


def test_a_connection_whose_request_is_in_work_is_not_closed_for_others(start: Callable[..., Served]) -> None:
    def slow(rows: Any) -> Any:
        time.sleep(0.3)
        return [1.0] * len(rows)

    server = start({VERSIONS[0]: constant(1.0, score=slow)}, limits=Limits(connections=3))
    with ExitStack() as stack:
        busy = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
        busy.sendall(post())
        time.sleep(0.1)
        for _ in range(4):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=5))
        assert busy.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_connection_that_rests_too_long_is_closed(start: Callable[..., Served], boosting: Predictor) -> None:
    server = start({VERSIONS[0]: boosting}, limits=Limits(idle_seconds=1))
    with asking(server) as idle:
        began = time.monotonic()
        assert idle.recv(65536) == b""
        assert 0.5 < time.monotonic() - began < 4
