"""An alarm at a webhook, over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from gitml.publishing.webhook import address_of, announce
from gitml.reports.lookhook import webhook_body
from gitml.spec.monitors import MonitorTell
from reports.look_kit import drifted


@contextmanager
def hook(status: int, answer: bytes) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    seen: list[tuple[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            seen.append((self.path, json.loads(body)))
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hooks/s3cret?key=s3cret", seen
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("status", "answer"), [(200, b"ok"), (200, b'{"ok": true}'), (204, b""), (202, b"<html>")])
def test_the_body_is_told_once(status: int, answer: bytes) -> None:
    said: list[str] = []
    body = webhook_body(drifted(), "https://forge.example/pulls/1#c2")
    with hook(status, answer) as (address, seen):
        assert announce(address, body, said.append)
    assert seen == [("/hooks/s3cret?key=s3cret", body)]
    assert said == []


@pytest.mark.parametrize("status", [301, 400, 404, 429, 500])
def test_a_refusal_is_said_without_the_secret_part_of_the_address_and_stops_nothing(status: int) -> None:
    said: list[str] = []
    with hook(status, b"no") as (address, _):
        assert not announce(address, {}, said.append)
    assert said == [f"the webhook at 127.0.0.1 was not told: {status}"]


def test_nobody_there_and_an_address_that_is_none() -> None:
    said: list[str] = []
    with hook(200, b"") as (address, _):
        pass
    assert not announce(address, {}, said.append)
    assert not announce("http://elsewhere.example/s3cret", {}, said.append)
    assert said[0] == "the webhook at 127.0.0.1 was not told: no answer"
    assert len(said) == 2
    assert not any("s3cret" in line for line in said)


def test_the_address_may_be_a_secret_and_one_that_cannot_be_used_is_said_without_it() -> None:
    said: list[str] = []
    tell = MonitorTell(webhook_secret="HOOK")
    assert (
        address_of(tell, {"HOOK": " https://hooks.example.org/s3cret\n"}, said.append)
        == "https://hooks.example.org/s3cret"
    )
    assert address_of(tell, {}, said.append) == ""
    assert said == []
    assert address_of(tell, {"HOOK": "http://hooks.example.org/s3cret"}, said.append) == ""
    assert said == ["the secret HOOK holds no address that can be used: https://…"]
    assert address_of(MonitorTell(webhook="https://a.example/x"), {}, said.append) == "https://a.example/x"
    assert address_of(MonitorTell(), {}, said.append) == ""
