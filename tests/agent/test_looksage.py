"""The age of looks: asked of the branch's newest commit alone, and told for the models that are watched here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from agent.kit import GITML, World
from conftest import write
from gitml import clock
from gitml.agent.lookgauges import LookGauges
from gitml.agent.looksage import LookAges
from gitml.agent.source import Mirror
from gitml.evidence.lookcommits import look_message
from gitml.git.orphan import Addition, add
from gitml.jsontext import plain

MONITORS = """\
monitors:
  models:
    m: {window: 1w}
    n: {environments: [staging]}
    o: {watch: []}
"""
ALL = frozenset({"m", "n", "o", "e"})


def look(world: World, number: int, model: str = "m", environment: str = "production") -> None:
    message = look_message([(model, environment)], 1)
    add(world.remote, Addition("gitml-looks", {f"2026/11/{number}.json": b"{}"}, message))


@pytest.fixture
def mirror(world: World) -> Mirror:
    write(world.clone, {"gitml.yaml": GITML + MONITORS})
    world.push()
    found = Mirror(world.folder / "mirror.git", world.remote, "main")
    found.prepare()
    found.fetch()
    return found


@pytest.mark.slow
def test_the_newest_look_is_told_for_each_model_that_is_watched_here(world: World, mirror: Mirror) -> None:
    ticks = [0.0]
    ages = LookAges(mirror, "production", lambda: ticks[0])
    main = mirror.heads().main
    assert [(one.model, one.window, one.newest) for one in ages.of(main, ALL)] == [
        ("e", 86_400, ""),
        ("m", 604_800, ""),
    ]
    look(world, 1)
    look(world, 2, "m", "staging")
    look(world, 3, "e", "staging")
    assert not ages.of(main, ALL)[1].newest, "the forge is asked once a minute"
    ticks[0] += 61
    assert not ages.of(main, ALL)[0].newest, "that others look hides nobody's silence"
    (found,) = ages.of(main, frozenset({"m"}))
    age = found.age(clock.timestamp())
    assert age is not None
    assert 0 <= age < 60
    shutil.move(world.forge, world.folder / "away.git")
    ticks[0] += 61
    assert ages.of(main, frozenset({"m"})) == (found,), "what was known stays known while the forge is away"


@pytest.mark.slow
def test_prometheus_sees_age_and_window(world: World, mirror: Mirror) -> None:
    look(world, 1)
    told = LookAges(mirror, "production").of(mirror.heads().main, ALL)
    registry = CollectorRegistry()
    registry.register(LookGauges(lambda: {"looks": plain(told)}, lambda: clock.timestamp() + 3600))
    text = generate_latest(registry).decode()
    (age,) = (
        float(line.split()[1]) for line in text.splitlines() if line.startswith('gitml_look_age_seconds{model="m"')
    )
    assert age == pytest.approx(3600, abs=60)
    assert 'gitml_look_window_seconds{model="m"} 604800.0' in text
    empty = CollectorRegistry()
    empty.register(LookGauges(lambda: None))
    assert "gitml_look_age_seconds{" not in generate_latest(empty).decode()


def test_nothing_is_asked_of_the_mirror_itself(world: World, mirror: Mirror, tmp_path: Path) -> None:
    """A shallow fetch into it would cut off main's history, by which the agent believes."""
    look(world, 1)
    LookAges(mirror, "production").of(mirror.heads().main, ALL)
    assert not (mirror.folder / "shallow").exists()
