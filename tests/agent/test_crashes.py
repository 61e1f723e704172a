"""What becomes of a version that was being called when the server's process ended."""

from __future__ import annotations

from agent.kit import World
from agent.running import Running, start, version
from gitml.agent.failures import SAID, Failure
from gitml.agent.shop import Loss
from gitml.evidence.dsse import unpack
from gitml.evidence.statement import parse_payload


def loses(running: Running, world: World, slope: float) -> None:
    """The server loses the model whose version has this slope."""
    name = version(world, slope)
    record = world.versions[name]
    digest = record.files[record.artifact].sha256
    reason = f"m {name} was being called when the server's process ended (SIGSEGV)"
    running.shop.lost.append(Loss("m", reason, name, digest))


def test_a_champion_is_loaded_again_later_and_later_and_others_serve_on(world: World) -> None:
    running = start(world)
    running.one()
    loses(running, world, 1.0)
    seen = running.one()
    assert (seen.sync, seen.health, len(running.shop.shown)) == ("synced", "degraded", 1)
    assert "was being called when the server's process ended (SIGSEGV), 1 times by now" in seen.reason
    assert start(world).shop.shown == [], "it is remembered on disk"
    world.promote(version(world, 5.0), "n")
    assert (running.one("n").health, running.shop.ask("n")) == ("healthy", 15.0)
    running.clock.ahead = 61.0
    assert running.one().health == "healthy"
    loses(running, world, 1.0)
    running.one()
    running.clock.ahead = 61.0 + 60.0
    assert running.one().health == "degraded"
    running.clock.ahead = 61.0 + 122.0
    assert running.one().health == "healthy"


def test_another_version_is_loaded_at_once_and_the_same_artifact_is_not(world: World) -> None:
    running = start(world)
    running.one()
    loses(running, world, 1.0)
    running.one()
    world.promote(version(world, 2.0))
    assert (running.one().health, running.shop.ask("m")) == ("healthy", 6.0)
    world.promote(version(world, 1.0))
    seen = running.one()
    assert (seen.sync, seen.health, running.shop.ask("m")) == ("out of sync", "degraded", 6.0)
    assert "(SIGSEGV)" in seen.reason


def test_without_its_canary_and_shadow_the_champion_answers_alone(world: World) -> None:
    running = start(world)
    world.promote(
        version(world, 1.0),
        canary=world.pin(version(world, 2.0), weight=10),
        shadow=[world.pin(version(world, 3.0))],
    )
    running.one()
    assert len(running.shop.shown[-1].members) == 3
    loses(running, world, 2.0)
    seen = running.one()
    assert (seen.sync, seen.health) == ("synced", "degraded")
    assert set(running.shop.shown[-1].members) == {version(world, 1.0), version(world, 3.0)}
    assert running.shop.ask("m") == 3.0
    running.clock.ahead = 61.0
    assert running.one().health == "healthy"
    assert len(running.shop.shown[-1].members) == 3


def test_a_model_that_was_lost_without_a_reason_is_loaded_with_the_next_round(world: World) -> None:
    running = start(world)
    running.one()
    running.shop.lost.append(Loss("m", "it could not be loaded again"))
    assert running.one().health == "healthy"
    assert len(running.shop.shown) == 2


def test_an_end_and_the_return_are_signed_with_no_word_of_the_model(world: World) -> None:
    """Operations see it in the ledger; what it printed is on this machine alone."""
    running = start(world)
    running.one()
    for ahead, ends in ((5.0, True), (6.0, False), (66.0, False), (67.0, False), (70.0, True)):
        running.clock.ahead = ahead
        if ends:
            loses(running, world, 1.0)
        running.one()
    paths = sorted((running.folder / "outbox").glob("*.json"))
    told = [parse_payload(unpack(path.read_bytes()).payload) for path in paths]
    assert [(s.binding.result, s.details["reason"]) for s in told[1:]] == [
        ("failed", SAID[Failure.CRASHED]),
        ("passed", "it answers again"),
        ("failed", SAID[Failure.CRASHED]),
    ]
    assert [s.details.get("failure") for s in told[1:]] == ["crashed", None, "crashed"]
    assert [s.details["ends"] for s in told[1:]] == [1, 1, 2]
    assert {s.binding.version for s in told} == {version(world, 1.0)}
    change = told[0].binding.change
    assert [s.binding.change for s in told] == [change] * 4


def test_of_a_canary_the_end_is_its_own(world: World) -> None:
    running = start(world)
    world.promote(version(world, 1.0), canary=world.pin(version(world, 2.0), weight=10))
    running.one()
    running.clock.ahead = 5.0
    loses(running, world, 2.0)
    running.one()
    path = sorted((running.folder / "outbox").glob("*.json"))[-1]
    about = parse_payload(unpack(path.read_bytes()).payload).binding
    assert (about.result, about.version) == ("failed", version(world, 2.0))
    assert about.artifact == world.pin(version(world, 2.0))["digest"]


def lose_both(running: Running, world: World) -> None:
    """Both models were being called when the process ended."""
    found = [(m, world.versions[version(world, slope)]) for m, slope in (("m", 1.0), ("n", 5.0))]
    digests = [record.files[record.artifact].sha256 for _, record in found]
    for (model, record), digest, other in zip(found, digests, reversed(digests), strict=True):
        running.shop.lost.append(Loss(model, f"{model} was being called", record.version, digest, (other,)))


def test_who_is_busy_whenever_another_ends_the_process_is_not_blamed_for_long(world: World) -> None:
    """Once it cannot be told who it was. Then one of the two comes back first, and answers: it was the other."""
    world.promote(version(world, 5.0), "n")
    running = start(world)
    running.one()
    lose_both(running, world)
    seen = [running.one(model).health for model in ("m", "n")]
    assert seen == ["degraded", "degraded"]
    running.clock.ahead = 61.0
    first = {model: running.one(model).health for model in ("m", "n")}
    assert sorted(first.values()) == ["degraded", "healthy"]
    innocent, guilty = sorted(first, key=lambda model: first[model], reverse=True)
    running.clock.ahead = 125.0
    assert {running.one(model).health for model in first} == {"healthy"}
    for _ in range(3):
        running.clock.ahead += 10_000.0
        running.one()
        lose_both(running, world)
        assert running.one(innocent).health == "healthy", "it answered all the time while the other was away"
        assert running.one(guilty).health == "degraded"
