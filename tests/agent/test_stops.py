"""A canary that the server stopped: remembered on disk, told once, and over with another pin."""

from __future__ import annotations

import pytest

from agent.kit import World
from agent.running import Running, start, version
from agent.test_report import reports
from gitml.agent.messages import StoppedCanary

pytestmark = pytest.mark.slow


def with_canary(world: World, slope: float, weight: float = 10) -> str:
    """Main gives the version with this slope a part of the traffic; its name."""
    world.promote(version(world, 1.0), canary=world.pin(version(world, slope), weight=weight))
    return version(world, slope)


def stops(running: Running, world: World, slope: float) -> None:
    name = version(world, slope)
    record = world.versions[name]
    one = StoppedCanary(version=name, digest=record.files[record.artifact].sha256, reason="5 requests in a row failed")
    running.shop.stopped = {"m": one}


def serving(running: Running) -> set[str]:
    return set(running.shop.shown[-1].members)


def test_it_is_served_no_more_told_once_and_remembered(world: World) -> None:
    running = start(world)
    name = with_canary(world, 2.0)
    running.one()
    assert serving(running) == {version(world, 1.0), name}
    stops(running, world, 2.0)
    seen = running.one()
    assert (seen.sync, seen.health, serving(running)) == ("synced", "degraded", {version(world, 1.0)})
    assert f"the canary {name} was stopped: 5 requests in a row failed" in seen.reason
    running.one()
    (told,) = [s for s in reports(running.folder / "outbox") if s.binding.result == "failed"]
    assert (told.binding.kind, told.binding.version, told.details["part"]) == ("deployed", name, "canary")
    again = start(world)
    again.agent.restore()
    again.one()
    assert serving(again) == {version(world, 1.0)}


@pytest.mark.nightly
def test_more_weight_begins_nothing_anew_and_another_pin_does(world: World) -> None:
    running = start(world)
    with_canary(world, 2.0)
    running.one()
    stops(running, world, 2.0)
    running.one()
    running.shop.stopped = {}
    with_canary(world, 2.0, 50)
    running.one()
    assert serving(running) == {version(world, 1.0)}
    with_canary(world, 3.0)
    assert running.one().health == "healthy"
    assert serving(running) == {version(world, 1.0), version(world, 3.0)}
    with_canary(world, 2.0)
    assert running.one().health == "healthy"
    assert serving(running) == {version(world, 1.0), version(world, 2.0)}


def test_what_is_no_canary_here_is_not_stopped(world: World) -> None:
    running = start(world)
    with_canary(world, 2.0)
    running.one()
    stops(running, world, 3.0)
    assert running.one().health == "healthy"
    stops(running, world, 1.0)
    assert running.one().health == "healthy"
