"""KPIs by PromQL, from a server on loopback that speaks Prometheus' format."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gitml.errors import GitmlError, InconclusiveError, UsageError
from success.facts_kit import WEEK, kpi_of, read

SOURCE = {"prometheus": {"query": "sum(increase(orders[1h]))", "server": "PROM"}}


@contextmanager
def serving(answer: Any) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """``answer``: the parameters of a call → status and JSON."""
    asked: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            asked.append({**query, "path": parts.path, "token": self.headers.get("Authorization", "")})
            status, value = answer(query)
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def matrix(*series: list[tuple[int, str]]) -> tuple[int, Any]:
    found = [{"metric": {"shop": str(n)}, "values": values} for n, values in enumerate(series)]
    return 200, {"status": "success", "data": {"resultType": "matrix", "result": found}}


def ones(query: dict[str, str]) -> list[tuple[int, str]]:
    start, end, step = (int(query[key]) for key in ("start", "end", "step"))
    return [(moment, "1") for moment in range(start, end + 1, step)]


def test_each_day_is_asked_for_and_has_as_many_hours_as_it_has(tmp_path: Path) -> None:
    with serving(lambda query: matrix(ones(query), ones(query))) as (address, asked):
        found = read(tmp_path, kpi_of(**SOURCE), PROM=address, PROM_TOKEN="t")
    assert found.total == (48.0, 48.0, 46.0, 48.0)
    assert found.units == (2, 2, 2, 2)
    assert not found.broken
    assert asked[0]["start"] == str(round(WEEK.since.timestamp()) + 3600)
    assert {(one["path"], one["step"], one["token"]) for one in asked} == {("/api/v1/query_range", "3600", "Bearer t")}


def test_a_day_that_lacks_samples_is_told(tmp_path: Path) -> None:
    def answer(query: dict[str, str]) -> tuple[int, Any]:
        there = [(moment, "NaN" if n == 3 else value) for n, (moment, value) in enumerate(ones(query)) if n != 5]
        return matrix() if int(query["start"]) < WEEK.edges[1].timestamp() else matrix(there)

    with serving(answer) as (address, _):
        found = read(tmp_path, kpi_of(**SOURCE), PROM=address)
    assert found.facts[0] == 0
    assert found.broken[1] == "2 of its 24 samples are not there"


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        ((400, {"status": "error", "error": "parse error"}), UsageError, "refuses the query"),
        ((503, {"status": "error"}), InconclusiveError, "out of reach"),
        ((200, {"some": "thing"}), InconclusiveError, "does not answer as Prometheus does"),
        ((200, {"status": "success", "data": {"resultType": "string", "result": []}}), UsageError, "gives a string"),
        ((200, {"status": "success", "data": {"result": [1]}}), InconclusiveError, "no series that can be read"),
    ],
)
def test_a_server_that_does_not_answer(
    tmp_path: Path, answer: tuple[int, Any], error: type[GitmlError], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with serving(lambda query: answer) as (address, _), pytest.raises(error, match=said):
        read(tmp_path, kpi_of(**SOURCE), PROM=address)


def test_an_address_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InconclusiveError, match="needs the environment variable PROM"):
        read(tmp_path, kpi_of(**SOURCE))
    with pytest.raises(UsageError, match="without encryption"):
        read(tmp_path, kpi_of(**SOURCE), PROM="http://prometheus.example.org")
