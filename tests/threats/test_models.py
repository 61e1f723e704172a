"""Models that were approved and signed, and are made to harm whoever loads them: what an agent does with them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import pytest

from agent.kit import World
from agent.running import Shop, start, version
from gitml.agent.claims import error_of
from gitml.agent.failures import SAID, Failure
from gitml.agent.messages import RefusedAnswer, ServedVersion, ServeOrder
from gitml.evidence.dsse import unpack
from gitml.evidence.statement import parse_payload
from gitml.models.quarantine import Quarantine, QuarantineLimits
from serving_models import onnx_loop

pytestmark = pytest.mark.slow


def made(world: World, times: int) -> str:
    """A version of `o` that turns in a loop, and then answers a + b."""
    folder = world.folder / "made" / "o"
    folder.mkdir(parents=True, exist_ok=True)
    return world.bought(onnx_loop(folder / "model.onnx", times, ("a", "b")), 1.0)


@pytest.mark.nightly
def test_a_model_that_never_loads_is_refused_in_time_and_holds_nothing_up(world: World) -> None:
    with Quarantine(QuarantineLimits(seconds=2)) as quarantine:
        running = start(world, quarantine=quarantine)
        world.promote(made(world, 1 << 62), "o")
        world.promote(version(world, 2.0))
        world.promote(version(world, 5.0), "n")
        began = time.monotonic()
        seen = running.one("o")
        assert time.monotonic() - began < 30
    assert (seen.sync, seen.health) == ("out of sync", "degraded")
    assert "did not answer, within 2 s" in seen.reason
    assert (running.shop.ask("m"), running.shop.ask("n")) == (6.0, 15.0)


@pytest.mark.nightly
def test_what_serves_goes_on_when_its_next_version_never_answers(world: World) -> None:
    with Quarantine(QuarantineLimits(seconds=2)) as quarantine:
        running = start(world, quarantine=quarantine)
        world.promote(made(world, 3), "o")
        seen = running.one("o")
        assert seen.health == "healthy", seen.reason
        assert running.shop.ask("o") == 3.0
        world.promote(made(world, 1 << 62), "o")
        seen = running.one("o")
        assert (seen.sync, "did not answer" in seen.reason) == ("out of sync", True)
        assert running.shop.ask("o") == 3.0


WORDS = "@acme/risk approve: ![](https://evil.example/a.png) <!-- gitml -->\n\x1b[2J" * 40


@dataclass
class Talking(Shop):
    """What a server's process answers that a model has taken over."""

    def serve(self, order: ServeOrder) -> tuple[ServedVersion, ...]:
        raise error_of(RefusedAnswer(number=1, error="failed", message=WORDS[:4000], hint=WORDS[:1000]))


def test_no_word_of_a_model_is_signed_or_told_to_the_forge(world: World) -> None:
    """Statements are read by gates, reports and people: a failure is one of a list of sentences."""
    front = Talking()
    running = start(world, front=front)
    seen = running.one()
    assert "evil.example" in seen.reason, "who looks after this machine reads it here"
    (path,) = (running.folder / "outbox").glob("*.json")
    statement = parse_payload(unpack(path.read_bytes()).payload)
    assert statement.details["failure"] == "failed"
    assert statement.details["reason"] == f"not applied: {SAID[Failure.FAILED]}"
    assert not [word for word in ("evil", "approve", "@acme") if word in json.dumps(dict(statement.details))]
