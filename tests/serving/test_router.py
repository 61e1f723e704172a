"""Who gets the canary: as many as its weight says, the same ones for ever, more of them as it grows."""

from __future__ import annotations

import subprocess
import sys
from math import sqrt

import pytest

from gitml.serving.router import route, share
from gitml.spec.deployment import Canary, Deployment, Pin
from serving_server import VERSIONS

UNITS = [f"N{n:05d}" for n in range(100_000)]


def deployment(weight: float, canary: str = VERSIONS[1]) -> Deployment:
    champion = Pin(version=VERSIONS[0], digest="0" * 64)
    return Deployment(champion=champion, canary=Canary(version=canary, digest="1" * 64, weight=weight))


def taken(weight: float, canary: str = VERSIONS[1]) -> set[str]:
    wanted = deployment(weight, canary)
    return {u for u in UNITS if route(wanted, u, model="delay", environment="production") == "canary"}


@pytest.mark.parametrize("weight", [0.5, 10, 50])
def test_the_split_is_within_binomial_limits(weight: float) -> None:
    p = weight / 100
    limit = 4 * sqrt(len(UNITS) * p * (1 - p))
    assert abs(len(taken(weight)) - len(UNITS) * p) < limit


def test_whoever_has_the_canary_keeps_it_while_it_grows() -> None:
    assert taken(5) < taken(20)


def test_another_candidate_draws_anew() -> None:
    both = len(taken(20) & taken(20, VERSIONS[2]))
    assert abs(both - len(UNITS) * 0.04) < 4 * sqrt(len(UNITS) * 0.04 * 0.96)


def test_another_process_draws_the_same() -> None:
    code = "from gitml.serving.router import share; print([share(f'N{n:05d}', 'a', 'b') for n in range(100)])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env={"PYTHONHASHSEED": "7"})
    assert done.stdout.decode().strip() == str([share(f"N{n:05d}", "a", "b") for n in range(100)])


def test_any_text_is_a_unit() -> None:
    for unit in ("", "é", "\ud800", "x" * 10_000, "\0"):
        assert 0 <= share(unit, "key") < 100


def test_without_a_canary_everybody_has_the_champion() -> None:
    alone = Deployment(champion=Pin(version=VERSIONS[0], digest="0" * 64))
    assert {route(alone, u, model="delay", environment="production") for u in UNITS[:100]} == {"champion"}
