"""The server over real HTTP: answers, what is said of broken requests, limits."""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from gitml.models.fields import UNKNOWN
from gitml.models.loading import load
from gitml.models.model import Predictor
from gitml.models.signature import InputError, Wrong
from gitml.registry.desired import retired
from gitml.serving.auth import Access, hashed
from gitml.serving.limits import Limits
from gitml.serving.wire import parse_json
from gitml.spec.deployment import Hold
from gitml.traffic.tabling import batches_of
from serving_models import SIGNATURE, columns, fitted, onnx_patient
from serving_server import ROW, VERSIONS, Served, constant, deployment

Start = Callable[..., Served]


@pytest.fixture
def server(start: Start, boosting: Predictor) -> Served:
    return start({VERSIONS[0]: boosting})


def test_named_columns_get_the_models_answers_and_headers_name_it(server: Served) -> None:
    table = columns(20)
    rows = [{k: None if v != v else v for k, v in r.items()} for r in table.to_dict("records")]
    answer = server.predict({"rows": rows}, **{"X-Request-Id": "abc"})
    assert answer.status_code == 200
    assert answer.json()["outputs"]["p_late"] == fitted("boosting").predict_proba(table)[:, 1].tolist()
    head = {"gitml-model": "delay", "gitml-version": VERSIONS[0], "gitml-variant": "champion", "x-request-id": "abc"}
    assert {k: answer.headers[k] for k in head} == head
    by_column = server.predict({"columns": {k: [r[k] for r in rows] for k in rows[0]}})
    assert by_column.json()["outputs"] == answer.json()["outputs"]


def test_what_is_wrong_is_named_with_expected_and_got(server: Served) -> None:
    rows = [ROW, {"carrier": 7, "distance": "far", "orign": "EWR", "age": None}]
    answer = server.predict({"rows": rows})
    assert answer.status_code == 422
    problems = {p["input"]: (p["expected"], p["got"], p["row"]) for p in answer.json()["problems"]}
    assert problems == {
        "carrier": ("a word", "7", 1),
        "distance": ("a whole number", '"far"', 1),
        "origin": ("a word", "nothing", 1),
        "orign": ("no such input (is it origin?)", '"EWR"', 1),
    }


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("distance", 2**53 + 1, "a whole number from"),
        ("distance", 10**400, "JSON"),
        ("distance", 1.5, "a whole number"),
        ("distance", None, "a whole number"),
        ("distance", True, "a whole number"),
        ("age", True, "a number or null"),
        ("age", [1], "a number or null"),
        ("carrier", None, "a word"),
    ],
)
def test_values_that_no_model_should_see_are_refused(server: Served, field: str, value: Any, expected: str) -> None:
    answer = server.predict({"rows": [{**ROW, field: value}]})
    assert answer.status_code in (400, 422)
    assert expected in answer.text


@pytest.mark.parametrize("age", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_nan_and_infinite_numbers_are_refused(server: Served, age: str) -> None:
    body = f'{{"rows": [{{"carrier": "AA", "distance": 1, "origin": "EWR", "age": {age}}}]}}'
    assert server.client.post("/models/delay/predict", content=body).status_code in (400, 422)


def test_missing_and_huge_but_finite_numbers_are_answered(server: Served) -> None:
    for age in (None, 1e300, -1e300):
        assert server.predict({"rows": [{**ROW, "age": age}]}).status_code == 200
    without = {k: v for k, v in ROW.items() if k != "age"}
    with_null = server.predict({"rows": [{**ROW, "age": None}]}).json()["outputs"]
    assert server.predict({"rows": [without]}).json()["outputs"] == with_null


def test_unknown_words_are_answered_counted_and_kept_in_the_log(server: Served) -> None:
    assert server.predict({"rows": [{**ROW, "carrier": "ZZ"}, ROW]}).status_code == 200
    text = server.client.get("/metrics").text
    assert 'gitml_unknown_words_total{input="carrier",model="delay"} 1.0' in text
    assert server.log.events[-1].features["carrier"] == ["ZZ", "AA"]


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"{}", b'{"rows": 1}', b'{"rows": []}', b'{"rows": [1]}', b"\xff", b'{"row": [{}]}'),
        b'{"columns": {"carrier": "AA"}}',
        b'{"columns": {"carrier": ["AA"], "distance": []}}',
        b'{"rows": [], "columns": {}}',
        b'{"rows": [' + b'{":":' * 900 + b"1" + b"}" * 900 + b"]}",
    ],
)
def test_broken_bodies_are_told_so(server: Served, body: bytes) -> None:
    answer = server.client.post("/models/delay/predict", content=body)
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "twice"),
    [
        ("models/delay/predict", b'{"rows": [{"carrier": "AA", "carrier": "DL"}]}'),
        ("models/delay/predict", b'{"rows": [{"carrier" : "A:A", "c\\u0061rrier": "DL"}]}'),
        ("models/delay/predict", b'{"columns": {"carrier": ["AA"]}, "columns": {"carrier": ["DL"]}}'),
        ("v2/models/delay/infer", b'{"inputs": [{"name": "carrier", "name": "origin", "shape": [1]}]}'),
    ],
)
def test_a_key_that_stands_twice_is_refused(server: Served, path: str, twice: bytes) -> None:
    answer = server.client.post(f"/{path}", content=twice)
    assert answer.status_code == 400
    assert "stands twice" in answer.json()["error"]


def test_words_with_colons_are_no_keys() -> None:
    row = {":": {'":': '":'}, "at": "2013-01-01T10:00", "deep": [1, {"a": [{"b": ": "}]}]}
    for body in ({"rows": [row, row]}, {"rows": [{"at": ":"}]}, [row]):
        assert parse_json(json.dumps(body).encode()) == body


def test_a_retired_model_answers_nobody_and_still_takes_labels(start: Callable[..., Served]) -> None:
    server = start({VERSIONS[0]: (model := constant(0.5))})
    hold = Hold(by="olga", reason="the desk was closed")
    gone = retired(deployment({VERSIONS[0]: model}), hold)
    server.state.swap(server.state.prepare("delay", gone, {VERSIONS[0]: model}))
    answer = server.predict({"rows": [ROW]})
    assert (answer.status_code, answer.json()["error"]) == (410, "delay is retired")
    assert "the desk was closed" in answer.text
    assert server.client.get("/v2/models/delay/ready").status_code == 410
    assert server.client.post("/models/delay/labels", json={}).status_code != 410
    assert server.log.events == []


def test_paths_methods_and_models_that_are_not_there(server: Served) -> None:
    client = server.client
    assert client.post("/models/none/predict", json={"rows": [ROW]}).status_code == 404
    assert client.post("/v2/models/delay/versions/none/infer", json={}).status_code == 404
    assert client.get("/nothing").status_code == 404
    assert client.get("/").headers.get("allow") is None
    for method, path, allowed in [
        ("DELETE", "/models/delay/predict", "POST"),
        ("GET", "/v2/models/delay/infer", "POST"),
        ("GET", "/models/delay/labels", "POST"),
        ("POST", "/metrics", "GET, HEAD"),
        ("OPTIONS", "/v2/models/delay", "GET, HEAD"),
        ("PUT", "/models/delay", "GET, HEAD"),
    ]:
        answer = client.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert client.delete("/nothing").status_code == 404


def test_a_body_may_be_packed(server: Served) -> None:
    def asked(content: bytes, encoding: str) -> httpx.Response:
        return server.client.post("/models/delay/predict", content=content, headers={"content-encoding": encoding})

    body = json.dumps({"rows": [ROW]}).encode()
    wanted = server.predict({"rows": [ROW]}).json()["outputs"]
    assert asked(gzip.compress(body), "gzip").json()["outputs"] == wanted
    assert asked(gzip.compress(body[:9]) + gzip.compress(body[9:]), "GZIP").json()["outputs"] == wanted
    assert asked(body, "identity").json()["outputs"] == wanted
    assert asked(body, "gzip").status_code == 400
    assert asked(gzip.compress(body)[:-9], "gzip").status_code == 400
    assert asked(gzip.compress(b" " * (17 << 20)), "gzip").status_code == 413
    refused = asked(body, "br")
    assert (refused.status_code, refused.headers["accept-encoding"]) == (415, "gzip")


@pytest.mark.parametrize(
    ("version", "hosts", "code"), [("1.1", 1, 200), ("1.1", 0, 400), ("1.1", 2, 400), ("1.0", 0, 200)]
)
def test_a_request_names_its_host_once(server: Served, version: str, hosts: int, code: int) -> None:
    lines = [f"GET /v2/health/live HTTP/{version}", *(["Host: a.example"] * hosts), "Connection: close", "", ""]
    with socket.create_connection(("127.0.0.1", server.port)) as plain:
        plain.sendall("\r\n".join(lines).encode())
        plain.settimeout(5)
        assert plain.recv(100).split(b" ")[1] == str(code).encode()


def test_a_model_that_raises_harms_nobody_else(start: Start, boosting: Predictor) -> None:
    def broken(rows: Any) -> Any:
        if (rows[:, 1] == 13).any():
            raise RuntimeError("unlucky")
        return np.zeros(len(rows))

    server = start({VERSIONS[0]: constant(0, score=broken)})
    bad = {"rows": [{**ROW, "distance": 13}]}
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda n: server.predict(bad if n % 4 == 0 else {"rows": [ROW]}).status_code, range(80)))
    assert codes == [500 if n % 4 == 0 else 200 for n in range(80)]
    assert "unlucky" in server.predict(bad).json()["error"]
    assert f'gitml_requests_total{{code="500",model="delay",variant="champion",version="{VERSIONS[0]}"}} 21.0' in (
        server.client.get("/metrics").text
    )


@pytest.mark.parametrize(
    "refusal", [ValueError("Found unknown categories"), InputError([Wrong("carrier", "a known word", "another", 1)])]
)
def test_a_word_that_the_model_refuses_is_not_the_models_failure(start: Start, refusal: Exception) -> None:
    def strict(rows: Any) -> Any:
        if (rows[:, 0] == UNKNOWN).any():
            raise refusal
        return np.zeros(len(rows))

    server = start({VERSIONS[0]: constant(0, score=strict)})
    said = server.predict({"rows": [ROW, {**ROW, "carrier": "ZZ"}]})
    assert said.status_code == 422
    assert [(p["input"], p["row"]) for p in said.json()["problems"]] == [("carrier", 1)]
    assert server.predict({"rows": [ROW]}).status_code == 200


def test_a_model_that_answers_nan_is_an_error_not_an_answer(start: Start) -> None:
    def nan_at_13(rows: Any) -> Any:
        return np.where(rows[:, 1] == 13, np.nan, 1.0)

    server = start({VERSIONS[0]: constant(0, score=nan_at_13)})
    assert server.predict({"rows": [{**ROW, "distance": 13}]}).status_code == 500
    assert server.predict({"rows": [ROW]}).json()["outputs"] == {"p_late": [1.0]}


def test_bodies_and_rows_above_the_limits_are_refused(start: Start, boosting: Predictor) -> None:
    server = start({VERSIONS[0]: boosting}, limits=Limits(body=4000, rows=10))
    assert server.predict({"rows": [ROW] * 11}).status_code == 413
    assert server.predict({"rows": [ROW] * 100}).status_code == 413

    def endless() -> Any:
        for _ in range(100):
            yield b" " * 1000

    assert server.client.post("/models/delay/predict", content=endless()).status_code == 413
    assert server.predict({"rows": [ROW]}).status_code == 200


def test_a_hanging_model_is_given_up_and_a_full_queue_says_try_again(start: Start) -> None:
    free = threading.Event()

    def slow(rows: Any) -> Any:
        if (rows[:, 1] == 13).any():
            free.wait(20)
        time.sleep(0.005)
        return np.zeros(len(rows))

    limits = Limits(seconds=1.0, waiting=4)
    server = start({VERSIONS[0]: constant(0, score=slow)}, limits=limits)
    try:
        with ThreadPoolExecutor(10) as pool:
            first = pool.submit(server.predict, {"rows": [{**ROW, "distance": 13}]})
            time.sleep(0.2)
            rest = [pool.submit(server.predict, {"rows": [ROW]}) for _ in range(9)]
            answers = [r.result() for r in (first, *rest)]
        codes = sorted(a.status_code for a in answers)
        assert set(codes) == {429, 504}
        assert codes.count(429) == 5
        assert {a.headers.get("retry-after") for a in answers if a.status_code == 429} == {"1"}
        assert [e.outcome for e in server.log.events].count("busy") == 5
    finally:
        free.set()
    for _ in range(50):
        if (answer := server.predict({"rows": [ROW]})).status_code == 200:
            break
    assert answer.status_code == 200


def test_slow_callers_lose_their_connection_and_hold_up_nobody(start: Start, boosting: Predictor) -> None:
    server = start({VERSIONS[0]: boosting}, limits=Limits(head_seconds=0.5, body_seconds=0.5))
    half = [b"POST /models/delay/predict HTTP/1.1\r\nhost: x\r\n", b"content-length: 100\r\n\r\n{"]
    with (
        socket.create_connection(("127.0.0.1", server.port)) as head,
        socket.create_connection(("127.0.0.1", server.port)) as body,
    ):
        head.sendall(half[0])
        body.sendall(b"".join(half))
        for each in (head, body):
            each.settimeout(5)
        assert server.predict({"rows": [ROW]}).status_code == 200
        assert body.recv(1000).startswith(b"HTTP/1.1 408")
        assert head.recv(1000) == b""


@pytest.mark.parametrize("begin", [b"GET /", b"GET / HTTP/1.1\r\nhost: x\r\nx-long: ", b"GET / HTTP/1.1\r\n"])
def test_a_head_without_end_is_cut_off(server: Served, begin: bytes) -> None:
    piece = b"x: 1\r\n" * 20_000 if begin.endswith(b"\r\n") else b"a" * 100_000
    with socket.create_connection(("127.0.0.1", server.port)) as endless, suppress(ConnectionError):
        endless.settimeout(5)
        endless.sendall(begin)
        for _ in range(1000):
            endless.sendall(piece)
        pytest.fail("100 MB of headers were taken")
    large = {"rows": [ROW] * 2000}
    assert server.predict(large).status_code == server.predict(large).status_code == 200, "bodies are no heads"


def test_ten_thousand_rows_at_once_are_answered_while_others_are(server: Served) -> None:
    many = {"rows": [ROW] * 10_000}
    with ThreadPoolExecutor(2) as pool:
        large = pool.submit(server.client.post, "/models/delay/predict", json=many, timeout=60)
        waits = []
        while not large.done():
            began = time.monotonic()
            assert server.predict({"rows": [ROW]}).status_code == 200
            waits.append(time.monotonic() - began)
    assert len(large.result().json()["outputs"]["p_late"]) == 10_000
    assert max(waits) < 2


def test_tokens_are_asked_for_where_there_are_some(start: Start, boosting: Predictor) -> None:
    server = start({VERSIONS[0]: boosting}, tokens={hashed("s3cret-s3cret-s3cret"): Access("reports")})
    assert server.predict({"rows": [ROW]}).status_code == 401
    assert server.client.get("/metrics").status_code == 401
    assert server.client.get("/v2/health/ready").status_code == 200
    front = server.client.get("/")
    assert (front.status_code, list(front.json())) == (200, ["gitml"])
    known = server.client.get("/", headers={"Authorization": "Bearer s3cret-s3cret-s3cret"}).json()
    assert list(known["models"]) == ["delay"]
    assert server.predict({"rows": [ROW]}, Authorization="Bearer wrong").status_code == 401
    assert server.predict({"rows": [ROW]}, Authorization="Bearer s3cret-s3cret-s3cret").status_code == 200


def test_every_answer_is_in_the_log_with_features_and_outputs(server: Served) -> None:
    answer = server.predict({"rows": [ROW, {**ROW, "age": None}], "unit": "N123"}).json()
    (event,) = server.log.events
    assert (event.request_id, event.unit, event.arm.model, event.arm.name) == (
        answer["id"],
        "N123",
        "delay",
        "champion",
    )
    ((_, kept),) = batches_of([event])
    assert kept["feature_age"].to_pylist() == [3.5, None]
    assert kept["feature_carrier"].to_pylist() == [ROW["carrier"]] * 2
    assert kept["output_p_late"].to_pylist() == answer["outputs"]["p_late"]
    assert 0 < event.latency < 5


def test_openapi_and_the_page_speak_of_the_model(server: Served) -> None:
    document = server.client.get("/openapi.json").json()
    body = document["paths"]["/models/delay/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    rows = body["oneOf"][0]["properties"]["rows"]
    assert list(rows["items"]["properties"]) == [f["name"] for f in SIGNATURE["inputs"]]
    assert server.predict(body["example"]).status_code == 200
    assert "/models/delay/labels" not in document["paths"]
    page = server.client.get("/docs", headers={"host": "models.example:8080"}).text
    assert "http://models.example:8080/models/delay/predict" in page
    assert "AA, DL, UA" in page
    assert "<form action='/models/delay/predict'>" in page
    hostile = server.client.get("/docs", headers={"host": "x';<script>alert(1)</script>"}).text
    assert "<script>alert" not in hostile


def test_nothing_is_ready_before_a_model_is(start: Start, boosting: Predictor) -> None:
    server = start({})
    assert server.client.get("/v2/health/live").status_code == 200
    assert server.client.get("/v2/health/ready").status_code == 503
    server.deploy({VERSIONS[0]: boosting})
    assert server.client.get("/v2/health/ready").status_code == 200


def test_requests_of_any_bytes_never_break_the_server(server: Served) -> None:
    for junk in (
        b"\x00" * 100,
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /models/delay/predict HTTP/1.1\r\ncontent-length: -5\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", server.port)) as broken:
            broken.sendall(junk)
            broken.settimeout(3)
            broken.recv(100)
    assert server.predict({"rows": [ROW]}).status_code == 200


def test_a_model_that_hangs_on_a_value_holds_no_other_model_up(
    start: Start, boosting: Predictor, tmp_path: Path
) -> None:
    path, signature = onnx_patient(tmp_path / "patient.onnx")
    patient = load(path, "onnx", signature, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    server = start({VERSIONS[0]: boosting}, limits=Limits(seconds=1))
    wanted = deployment({VERSIONS[1]: patient})
    server.state.swap(server.state.prepare("patient", wanted, {VERSIONS[1]: patient}))

    def ask(value: float) -> httpx.Response:
        return server.client.post("/models/patient/predict", json={"rows": [{"x": value}]})

    assert ask(3.0).json()["outputs"] == {"y": [3.0]}
    with ThreadPoolExecutor(1) as others:
        hanging = others.submit(ask, 4e6)
        time.sleep(0.2)
        began = time.monotonic()
        assert server.predict({"rows": [ROW]}).status_code == 200
        assert time.monotonic() - began < 0.7
        assert hanging.result().status_code == 504
