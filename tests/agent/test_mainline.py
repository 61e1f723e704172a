"""Commits of main that nobody judged: they freeze nothing, undo nothing, and keep no new agent from serving."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from agent.kit import GITML, World
from agent.running import start, version
from conftest import git, write

pytestmark = pytest.mark.slow
PRODUCTION = "models/m/production.yaml"


def by_hand(world: World, *texts: str | None, path: str = PRODUCTION) -> None:
    """Commits of main without any evidence, as one ungated pull request leaves them when it is rebased."""
    for text in texts:
        (world.clone / path).unlink() if text is None else write(world.clone, {path: text})
        world.push("by hand")


def now(world: World) -> str:
    return (world.clone / PRODUCTION).read_text(encoding="utf-8")


def other(world: World, slope: float) -> str:
    return yaml.safe_dump(world.desired(version(world, slope)))


def back_to(world: World, commit: str) -> None:
    git(world.clone, "reset", "-q", "--hard", commit)
    git(world.clone, "push", "-q", "--force", "origin", "main")


def fresh(world: World, name: str) -> tuple[str, float]:
    """How a new agent stands, and what it answers; 0 for nothing."""
    running = start(world, folder=world.folder / name)
    seen = running.one()
    return seen.sync.value, running.shop.ask("m") if running.shop.shown else 0.0


def test_what_is_changed_and_changed_back_keeps_no_new_agent_from_serving(world: World) -> None:
    by_hand(world, other(world, 2.0), now(world))
    assert fresh(world, "a") == ("synced", 3.0)
    by_hand(world, None, now(world))
    assert fresh(world, "b") == ("synced", 3.0)
    for _ in range(2):
        by_hand(world, other(world, 3.0), other(world, 2.0), now(world))
    assert fresh(world, "c") == ("synced", 3.0)


def test_nothing_that_was_judged_is_passed_over(world: World) -> None:
    """A promotion, and back by nobody's leave; a rollback, and forth again: neither is followed."""
    first = now(world)
    world.promote(version(world, 2.0))
    second = now(world)
    by_hand(world, first)
    assert fresh(world, "a") == ("out of sync", 0.0)
    by_hand(world, second)
    assert fresh(world, "b") == ("synced", 6.0)
    world.rollback(version(world, 1.0))
    third = now(world)
    by_hand(world, second)
    assert fresh(world, "c") == ("out of sync", 0.0)
    by_hand(world, third)
    assert fresh(world, "d")[1] == 3.0


@pytest.mark.parametrize("path", ["models/délai/production.yaml", "models/other/production.yaml"])
def test_a_file_of_no_model_freezes_nothing(world: World, path: str) -> None:
    """It was never believed, so what was verified stood still, and a rollback could be undone by force."""
    running = start(world)
    world.promote(version(world, 2.0))
    before = world.tip
    running.one()
    by_hand(world, "champion: nobody\n", path=path)
    assert running.agent.round().sync == "synced"
    assert [one.model for one in running.agent.view.models] == ["m"]
    world.rollback(version(world, 1.0))
    running.one()
    assert running.agent.state.verified == world.tip
    back_to(world, before)
    assert "was rewritten" in running.agent.round().reason
    assert running.shop.ask("m") == 3.0


def test_one_models_broken_file_does_not_let_anybody_undo_the_rollback_of_another(world: World) -> None:
    running = start(world)
    world.promote(version(world, 2.0))
    running.one()
    by_hand(world, "champion: nobody\n", path="models/n/production.yaml")
    running.one()
    frozen = world.tip
    world.rollback(version(world, 1.0))
    assert running.one().sync == "synced"
    assert set(running.agent.state.marks) == {"m"}
    back_to(world, frozen)
    for one in (running, start(world)):
        seen = one.one()
        assert seen.sync == "unknown"
        assert "main was rewritten: it no longer holds" in seen.reason
        assert one.shop.ask("m") == 3.0


def test_what_was_never_believed_may_be_taken_off_again(world: World) -> None:
    running = start(world)
    running.one()
    good = world.tip
    by_hand(world, "champion: nobody\n", path="models/n/production.yaml")
    running.one()
    back_to(world, good)
    assert running.agent.round().sync == "synced"
    assert running.agent.state.marks == {}


def test_a_model_that_serves_is_followed_though_gitml_yaml_lost_it(world: World) -> None:
    running = start(world)
    running.one()
    write(world.clone, {"gitml.yaml": GITML.replace("  m:", "  k:")})
    world.push("rename")
    world.promote(version(world, 2.0))
    assert running.one().sync == "synced"
    assert running.shop.ask("m") == 6.0
    assert start(world, folder=world.folder / "new").agent.round().models == ()


def test_a_gitml_yaml_that_cannot_be_read_hides_no_model(world: World, tmp_path: Path) -> None:
    write(world.clone, {"gitml.yaml": "models: ["})
    world.push("broken")
    assert fresh(world, "a") == ("synced", 3.0)
