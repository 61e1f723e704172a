"""A canary that fails where the champion answers: callers see no error, and it gets no more traffic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gitml.models.signature import parse
from gitml.serving.breaker import Breaker
from serving.test_v2 import tensors
from serving_models import SIGNATURE
from serving_server import ROW, VERSIONS, Served, constant

Start = Callable[..., Served]


def counted(results: str) -> list[str]:
    """``x`` is a failure; the reasons after each."""
    breaker, found = Breaker(), []
    for one in results:
        breaker.count(failed=one == "x")
        found.append(breaker.reason)
    return found


def test_five_in_a_row_open_it_and_nothing_closes_it() -> None:
    assert counted("xxxx") == [""] * 4
    assert counted(".xxxx.xxxx")[-1] == ""
    assert counted("xxxxx" + "." * 50)[-1].startswith("5 requests in a row failed")


def test_more_than_half_of_twenty_open_it() -> None:
    assert counted("x." * 10)[-1] == ""
    assert counted("xxx." * 4 + "xxx")[-1] == "", "too few"
    assert counted("xxx." * 5)[-1] == "15 of 20 requests failed that the champion answered"
    assert counted("." * 40 + "xx." * 40)[-1].startswith("51 of 100"), "of the last hundred"


@given(st.lists(st.booleans(), max_size=300))
def test_rare_failures_never_open_it(good: list[bool]) -> None:
    breaker = Breaker()
    for n, fine in enumerate(good):
        breaker.count(failed=not fine and n % 10 == 0)
    assert not breaker.is_open


class Sick:
    """A canary that gets nearly all units; it fails while ``ill``."""

    def __init__(self, start: Start, champion: Callable[[Any], Any] | None = None) -> None:
        self.ill = False
        self.server = start({VERSIONS[0]: constant(0, 0, champion)})
        self.models = {VERSIONS[0]: constant(0, 0, champion), VERSIONS[1]: constant(1, 1, self.score)}
        self.server.deploy(self.models, weight=99.999)
        self.ill = True

    def score(self, rows: Any) -> Any:
        if self.ill:
            raise ValueError("out of range")
        return np.full(len(rows), 1.0)

    def asks(self, count: int, row: dict[str, Any] = ROW) -> list[tuple[int, str]]:
        found = [self.server.predict({"rows": [row], "unit": f"u{n}"}) for n in range(count)]
        return [(one.status_code, one.headers.get("gitml-variant", "")) for one in found]


def test_callers_see_no_error_and_the_canary_gets_no_more_traffic(start: Start) -> None:
    sick = Sick(start)
    assert sick.asks(5) == [(200, "champion")] * 5
    sick.ill = False
    assert sick.asks(10) == [(200, "champion")] * 10, "it stays so, however well it is"
    logged = [(e.arm.name, e.arm.version, e.outcome) for e in sick.server.log.events]
    once = [("canary", VERSIONS[1], "failed"), ("asked", VERSIONS[0], "ok")]
    assert logged == once * 5 + once[1:] * 10, "nobody was drawn for the champion"
    first, second = sick.server.log.events[:2]
    assert first.request_id == second.request_id
    sick.server.deploy(sick.models, weight=50)
    assert {how for _, how in sick.asks(10)} == {"champion"}, "more weight is no new pin"
    sick.server.deploy(sick.models)
    sick.server.deploy(sick.models, weight=99.999)
    assert sick.asks(2) == [(200, "canary")] * 2


def test_what_a_canary_alone_finds_invalid_is_its_failure(start: Start) -> None:
    sick = Sick(start)
    inputs = [{name: one for name, one in field.items() if name != "nullable"} for field in SIGNATURE["inputs"]]
    stricter = replace(constant(1, 2), signature=parse({**SIGNATURE, "inputs": inputs}))
    sick.server.deploy({VERSIONS[0]: sick.models[VERSIONS[0]], VERSIONS[1]: stricter}, weight=99.999)
    assert sick.asks(1, {**ROW, "age": None}) == [(200, "champion")]
    assert [(e.arm.name, e.outcome) for e in sick.server.log.events] == [("canary", "failed"), ("asked", "ok")]


def test_callers_stop_nothing_with_bad_input(start: Start) -> None:
    sick = Sick(start)
    for row in ({}, {**ROW, "distance": "far"}, {**ROW, "age": []}):
        assert {code for code, _ in sick.asks(10, row)} == {422}
    sick.ill = False
    assert sick.asks(1) == [(200, "canary")]
    assert {e.arm.name for e in sick.server.log.events} == {"canary"}


def test_what_the_champion_cannot_answer_either_says_nothing(start: Start) -> None:
    ill = [False]

    def champion(rows: Any) -> Any:
        if ill[0]:
            raise ValueError("also out of range")
        return np.full(len(rows), 0.0)

    sick = Sick(start, champion)
    ill[0] = True
    assert sick.asks(10) == [(500, "canary")] * 10
    sick.ill = ill[0] = False
    assert sick.asks(1) == [(200, "canary")]


def test_a_version_that_callers_choose_is_theirs(start: Start) -> None:
    sick = Sick(start)
    path, body = f"/v2/models/delay/versions/{VERSIONS[1]}/infer", {"inputs": tensors([ROW])}
    codes = {sick.server.client.post(path, json=body).status_code for _ in range(10)}
    assert codes == {500}
    sick.ill = False
    assert sick.asks(1) == [(200, "canary")]
