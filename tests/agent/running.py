"""Agents in this process, over the worlds of agent_kit: what they serve can be looked at and asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.kit import REPOSITORY, World, key, template
from conftest import packed
from gitml.agent.attempt import Backoff
from gitml.agent.front import Server
from gitml.agent.loop import Agent, Setup
from gitml.agent.messages import ServedVersion, ServeOrder, StoppedCanary
from gitml.agent.news import Reporter
from gitml.agent.report import DeploymentsPage, Outbox
from gitml.agent.room import Furnished, bring_up
from gitml.agent.shop import Loss
from gitml.agent.source import Mirror
from gitml.agent.usage import Usage
from gitml.agent.view import View
from gitml.clock import now
from gitml.jsontext import plain
from quarantined import quarantine


@pytest.fixture(scope="session")
def agent_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Main with three versions of `m` and one of `n`, and the first of `m` promoted to production."""
    world = World(tmp_path_factory.mktemp("agent")).begin()
    first, *_ = [world.version(slope) for slope in (1.0, 2.0, 3.0)]
    world.version(5.0, "n")
    world.promote(first)
    return packed(world.folder)


@pytest.fixture
def world(agent_world: Path, tmp_path: Path) -> World:
    """A copy of it, for one test."""
    return template(tmp_path / "world", agent_world)


def version(world: World, slope: float) -> str:
    """The first version whose model has this slope."""
    return next(name for name, record in world.versions.items() if record.source == f"slope {slope}")


@dataclass
class Shop:
    """A front in this process, which keeps what it loads; ``ask`` answers with it. ``lost``: what it says it lost,
    ``stopped``: the canaries that it says it stopped; ``usage``: what it says it did."""

    shown: list[Furnished] = field(default_factory=list)
    lost: list[Loss] = field(default_factory=list)
    stopped: dict[str, StoppedCanary] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)

    def stopped_canaries(self) -> dict[str, StoppedCanary]:
        return self.stopped

    def used(self) -> Usage:
        used, self.usage = self.usage, Usage()
        return used

    def serve(self, order: ServeOrder) -> tuple[ServedVersion, ...]:
        there = next((one for one in reversed(self.shown) if one.name == order.name), None)
        self.shown.append(bring_up(order, there))
        return self.shown[-1].told

    def prepare(self, order: ServeOrder, formats: frozenset[str]) -> None:
        assert "ensemble" in formats or len(formats) == 1

    def tell(self, view: View) -> None:
        assert json.dumps(plain(view))

    def losses(self) -> list[Loss]:
        lost, self.lost = self.lost, []
        return lost

    def ask(self, model: str, a: float = 3.0, b: float = 0.0) -> float:
        """The champion's answer to one row: slope · a + b."""
        loaded = next(one for one in reversed(self.shown) if one.name == model)
        champion = loaded.members[loaded.deployment.champion.version].model
        return float(champion.predict({"a": np.array([a]), "b": np.array([b])})[0])


class InsideServer(Server):
    """A front that answers over HTTP from this process."""

    def prepare(self, order: ServeOrder, formats: frozenset[str]) -> None:
        pass

    def tell(self, view: View) -> None:
        pass

    def losses(self) -> list[Loss]:
        return []

    def stopped_canaries(self) -> dict[str, StoppedCanary]:
        return self.stopped

    def used(self) -> Usage:
        return Usage()


@dataclass
class Clock:
    """gitml's clock, and how far a test moved this one."""

    ahead: float = 0.0

    def __call__(self) -> datetime:
        return now() + timedelta(seconds=self.ahead)


@dataclass
class Running:
    agent: Agent
    shop: Shop
    clock: Clock
    notes: list[str]
    folder: Path

    def one(self, model: str = "m") -> Any:
        """The model's view after one round."""
        view = self.agent.round()
        return next(m for m in view.models if m.model == model)


def start(world: World, environment: str = "production", *, folder: Path | None = None, **more: Any) -> Running:
    """An agent that has restored what its folder holds, and not yet looked at main."""
    place = folder or world.folder / f"agent-{environment}"
    mirror = Mirror(place / "mirror.git", more.pop("remote", world.remote), "main")
    shop, clock, notes = Shop(), Clock(), []
    outbox = Outbox(place, more.pop("outbox", ""))
    page: DeploymentsPage | None = more.pop("page", None)
    signer = more.pop("key", key("agent"))
    reporter = Reporter(environment, REPOSITORY, mirror, outbox, signer, page, notes.append)
    backoff = more.pop("backoff", Backoff(first=0.0))
    place.mkdir(parents=True, exist_ok=True)
    tried_in = more.pop("quarantine", None) or quarantine()
    setup = Setup(
        environment,
        REPOSITORY,
        mirror,
        place,
        more.pop("front", shop),
        reporter,
        tried_in,
        note=notes.append,
        clock=clock,
        backoff=backoff,
        **more,
    )
    agent = Agent(setup)
    agent.restore()
    return Running(agent, shop, clock, notes, place)
