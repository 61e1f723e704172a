"""`gitml retire`: a model ends wherever it runs, and what was recorded stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from gitml.cijobs.record import RecordOrder, record
from gitml.errors import RefError
from gitml.forges.base import State
from gitml.gate.judge import end_together
from gitml.gates.facts import Unknown
from gitml.policy.change import Move, classify
from gitml.promotion.merge import MergeOrder, merge
from gitml.promotion.promote import Proposed
from gitml.promotion.retire import RetireOrder, retire
from gitml.promotion.rollback import RollbackOrder, resume
from gitml.registry.desired import retired, rolled_back, with_champion
from gitml.spec import Deployment, parse_deployment, render_deployment
from gitml.spec.deployment import Canary, Hold, Pin
from promotion.gating import RUN, Gated
from promotion.promoting import NOW, MemoryTown, pin


def ended(town: MemoryTown, **more: str) -> Proposed:
    with town.place("olga") as place:
        return retire(place, RetireOrder("delay", "the desk was closed", **more))


def test_one_pull_request_ends_it_everywhere_by_the_rules_of_each_environment(
    new_gated_here: Callable[..., Gated[MemoryTown]],
) -> None:
    rules = {"staging": {"approvals": {"operations": 1}}, "production": {"approvals": {"risk": 1}}}
    g = new_gated_here(environments=rules)
    town = g.town
    one, two = town.train(1), town.train(2)
    town.put("staging", Deployment(champion=pin(one)))
    canary = Canary(version=two.version, digest=pin(two).digest, weight=5)
    town.put("production", old := Deployment(champion=pin(one), canary=canary))
    done = ended(town)
    number, head = done.pull.number, done.pull.head.commit
    gone = Deployment(champion=pin(one), hold=Hold(by="olga", reason="the desk was closed"), retired=True)
    assert (town.state("production", head), town.state("staging", head)) == (gone, gone)
    assert classify(old, gone, NOW).move is Move.STOP, "one approval of each, also in freezes"
    assert [name in town.pull(number).body for name in ("in `production`", "in `staging`", "risk")] == [True] * 3
    assert ended(town).how == "unchanged"

    g.approve(number, "rita")
    assert (g.one(number).state, g.results()) == (State.PENDING, ["inconclusive"] * 2), "staging has not agreed"
    # olga, who asked for it, is nobody to approve it.
    g.rules(roles={"operations": {"people": ["olga", "rita"]}, "risk": {"people": ["rita"]}})
    opened = g.one(number)
    assert (opened.state, g.results()[2:]) == (State.SUCCESS, ["passed"] * 2)
    assert {b.binding.environment for b in g.events("gate")[2:] if b.binding} == {"staging", "production"}
    with town.place("ada") as place:
        merge(place, MergeOrder(number, wait=0))
    with g.place() as place:
        assert all(one.is_fine for one in record(place, RecordOrder(g.key, RUN)))
    assert (g.results("approved"), g.results("promoted")) == (["passed"] * 2, ["passed"] * 2)
    with pytest.raises(RefError, match="does not run in production"):
        ended(town, environment="production")

    with town.place("olga") as place:
        again = resume(place, RollbackOrder("delay", "production", "opened again"))
    back = town.state("production", again.pull.head.commit)
    assert (back.retired, back.hold, back.champion) == (False, None, pin(one))
    assert classify(gone, back, NOW).move is Move.RESUME, "as many approvals as a promotion"


def test_only_files_that_all_end_the_model_may_come_together() -> None:
    """Judged on the states alone: what is one edit too many is refused as ever."""
    first, second = (
        Pin(version="20260101T000000Z-00000001", digest="1" * 64),
        Pin(version="20260101T000000Z-00000002", digest="2" * 64),
    )
    hold, other = Hold(by="olga", reason="closed"), Hold(by="olga", reason="another")
    runs = Deployment(champion=first)
    end = retired(runs, hold)
    assert end_together([("m", runs, end), ("m", runs, end)])
    lasting = Hold(by="olga", reason="worse", until=datetime(2026, 3, 9, tzinfo=UTC))
    for wrong in (
        [("m", runs, rolled_back(runs, second, lasting))],  # a rollback whose hold ends by itself
        [("m", runs, end), ("n", runs, end)],  # another model
        [("m", runs, end), ("m", runs, retired(runs, other))],  # other words
        [("m", runs, end), ("m", runs, retired(Deployment(champion=second), hold))],  # another version on the way
        [("m", runs, end), ("m", end, end)],  # ended before
        [("m", runs, end), ("m", None, end)],  # nothing ran
        [("m", runs, end), ("m", end, runs)],  # one ends and one begins
        [("m", runs, end), ("m", runs, Unknown("unreadable"))],
    ):
        assert not end_together(wrong)


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
