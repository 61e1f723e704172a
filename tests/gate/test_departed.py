"""A rollback goes to what served and was not taken away."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gitml.gate.departed import departure
from gitml.registry.record import Record
from gitml.spec import Deployment, render_deployment
from gitml.spec.deployment import Hold
from promotion.gating import Gated
from promotion.promoting import MemoryTown, pin

Town = Gated[MemoryTown]
HOLD = Hold(by="olga", reason="alerts doubled")
STAGING = "models/delay/staging.yaml"


@pytest.fixture
def town(new_gated_here: Callable[[], Town]) -> Town:
    return new_gated_here()


def put(g: Town, *states: Deployment) -> None:
    for state in states:
        g.town.put("staging", state)


def left(g: Town, version: Record) -> bool | None:
    """Whether a rollback took it away; None where it never left."""
    with g.place() as place:
        found = departure(place.newest(whole=True), "delay", "staging", pin(version))
    return found and found.by_rollback


@pytest.mark.slow
def test_how_a_version_left_is_read_from_main(town: Town) -> None:
    one, two, three = (town.town.train(seed) for seed in (1, 2, 3))
    put(town, Deployment(champion=pin(one)), Deployment(champion=pin(two)))
    assert [left(town, v) for v in (one, two, three)] == [False, None, None]
    # The hold came before the rollback did.
    put(town, Deployment(champion=pin(two), hold=HOLD), Deployment(champion=pin(one), hold=HOLD))
    assert [left(town, v) for v in (one, two)] == [False, True]
    put(town, *(Deployment(champion=pin(v)) for v in (one, two, three)))
    assert [left(town, v) for v in (one, two)] == [False, False], "it was promoted again, and left for a newer one"


@pytest.mark.slow
def test_nobody_rolls_forward_to_what_a_rollback_took_away(town: Town) -> None:
    one, two = town.town.train(1), town.town.train(2)
    for version in (one, two):
        town.prove(version, "trained", "evaluated")
        town.prove(version, "promoted", environment="staging")
    put(town, Deployment(champion=pin(one)), Deployment(champion=pin(two)))
    assert judged(town, one, "back").endswith("success")
    put(town, Deployment(champion=pin(one), hold=HOLD))
    assert "a rollback took it out of staging" in judged(town, two, "forward")


def judged(g: Town, version: Record, branch: str) -> str:
    state = Deployment(champion=pin(version), hold=HOLD.model_copy(update={"reason": branch}))
    number = g.pull({STAGING: render_deployment(state)}, branch)
    g.approve(number)
    outcome = g.one(number)
    return f"{g.comments(number)[-1]} {outcome.state.value}"
