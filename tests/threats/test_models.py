"""Models that were approved and signed, and are made to harm whoever loads them: what an agent does with them."""

from __future__ import annotations

import time

import pytest

from agent.kit import World
from agent.running import start, version
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
