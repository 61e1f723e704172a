"""`gitml retire`: a model ends wherever it runs, and what was recorded stays."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gitml.errors import RefError
from gitml.policy.change import Move, classify
from gitml.promotion.promote import Proposed
from gitml.promotion.retire import RetireOrder, retire
from gitml.promotion.rollback import RollbackOrder, resume
from gitml.registry.desired import retired, rolled_back, with_champion
from gitml.spec import Deployment, parse_deployment, render_deployment
from gitml.spec.deployment import Canary, Hold
from promotion.promoting import NOW, MemoryTown, pin


def ended(town: MemoryTown, **more: str) -> tuple[Proposed, ...]:
    with town.place("olga") as place:
        return retire(place, RetireOrder("delay", "the desk was closed", **more))


def test_it_ends_everywhere_keeps_what_ran_and_can_be_taken_back(new_town_here: Callable[[], MemoryTown]) -> None:
    town = new_town_here()
    one, two = town.train(1), town.train(2)
    town.put("staging", Deployment(champion=pin(one)))
    canary = Canary(version=two.version, digest=pin(two).digest, weight=5)
    town.put("production", old := Deployment(champion=pin(one), canary=canary))
    production, staging = ended(town)
    assert (production.environment, staging.environment) == ("production", "staging"), "the last one first"
    new = town.state("production", production.pull.head.commit)
    assert new == Deployment(champion=pin(one), hold=Hold(by="olga", reason="the desk was closed"), retired=True)
    assert classify(old, new, NOW).move is Move.STOP, "one approval, also in freezes"
    assert "nobody is answered any more" in town.pull(production.pull.number).body
    assert [one.how for one in ended(town)] == ["unchanged", "unchanged"]
    town.merge(production.pull.number)
    assert [one.environment for one in ended(town)] == ["staging"]
    with pytest.raises(RefError, match="does not run in production"):
        ended(town, environment="production")

    with town.place("olga") as place:
        again = resume(place, RollbackOrder("delay", "production", "opened again"))
    back = town.state("production", again.pull.head.commit)
    assert (back.retired, back.hold, back.champion) == (False, None, pin(one))
    assert classify(new, back, NOW).move is Move.RESUME, "as many approvals as a promotion"


def test_no_other_change_brings_a_retired_model_back(new_town_here: Callable[[], MemoryTown]) -> None:
    town = new_town_here()
    first, second = pin(town.train(1)), pin(town.train(2))
    hold = Hold(by="olga", reason="closed")
    gone = retired(Deployment(champion=first), hold)
    assert parse_deployment(render_deployment(gone).encode(), "x.yaml") == gone
    quiet = gone.model_copy(update={"retired": False})
    assert classify(gone, quiet, NOW).move is Move.RESUME, "also with the hold left in place"
    assert classify(gone, rolled_back(gone, second, hold), NOW).move is Move.PROMOTION, "which the hold stops"
    assert classify(gone, with_champion(gone, second, NOW), NOW).move is Move.PROMOTION
    still = replace_champion(gone, second)
    assert classify(gone, still, NOW).move is Move.ROLLBACK, "it answers nobody still"
    for wrong in ({"hold": None}, {"hold": Hold(by="olga", reason="x", until="2027-01-01")}):
        with pytest.raises(ValueError, match="retired"):
            Deployment(champion=first, retired=True, **wrong)


def replace_champion(state: Deployment, champion: object) -> Deployment:
    return state.model_copy(update={"champion": champion})
