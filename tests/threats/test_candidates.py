"""Who may write pushes a commit with the bot's address and a claim: a step of a canary that once was ready.

Policy may let the bot's own steps go without anybody's approval, so what a claim names must hold now.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from evidence.look_kit import stamp
from gitml.control.looks import copy_to_ledger, heard_canaries
from gitml.control.signing import rules_of
from gitml.derivation import proposal, raising, succession
from gitml.derivation.claim import Claim
from gitml.forges.base import NewPull, State
from gitml.git.bot import BOT_EMAIL, BOT_NAME
from gitml.git.edit import Who
from gitml.registry.record import Record
from promotion.gating import Gated
from promotion.promoting import MemoryTown
from promotion.test_gate_canary import g, judge, versions

__all__ = ["g"]
pytestmark = pytest.mark.slow

READY = {"step": {"weight": 10, "next": 50, "ready": True}}
WAITS = {"step": {"weight": 10, "next": 50, "ready": False}}


def forged(g: Gated[MemoryTown], new: Record, branch: str, kind: str = raising.NAME) -> int:
    """A pull request of Rita's with the step that the newest evaluation of now says is ready."""
    with g.ground() as (place, known):
        since = g.town.now - timedelta(days=1)
        one = heard_canaries(place, rules_of(place, known.policy), since).counting[-1]
        copy_to_ledger(place, [one.said])
        subject = f"delay production {new.version}"
        causes = (one.said,) if kind == raising.NAME else ()
        claim = Claim(kind, known.main.commit, tuple(c.name for c in causes), stamp(one.told.until), subject)
        made = proposal.commit_of(
            place.git,
            claim,
            [c.statement for c in causes if c.statement],
            "Raise",
            Who(BOT_NAME, BOT_EMAIL),
        )
        place.remote.git(place.root, "push", "-q", place.remote.url, f"{made}:refs/heads/{branch}-objects")
    g.town.home.move("rita", branch, made)
    with g.town.hub("rita") as hub:
        return hub.pulls.open(NewPull(branch, branch, "main")).number


def test_a_step_that_was_ready_once_is_not_taken_without_approval_later(g: Gated[MemoryTown]) -> None:
    canary = {"approvals": {"raise": {}}}
    g.rules(environments={"production": {"approvals": {"operations": 1}, "canary": canary}})
    old, new, _ = versions(g)
    judge(g, old, new, "inconclusive", **READY)
    number = forged(g, new, "forged")
    assert g.one(number).state is State.SUCCESS, "it is what the bot would propose: policy asks nobody"
    judge(g, old, new, "inconclusive", **WAITS)
    shut = g.one(number)
    assert shut.state is not State.SUCCESS
    assert "it is not ready" in str(shut.judged)
    judge(g, old, new, "inconclusive", **READY)
    assert g.one(number).state is State.SUCCESS
    g.town.now += timedelta(days=3)
    assert g.one(number).state is not State.SUCCESS, "nobody looked since"


@pytest.mark.nightly
def test_a_step_does_not_follow_from_rules_that_main_had_before(g: Gated[MemoryTown]) -> None:
    """The claim names a commit of main whose rules were met; main has other ones since, by which nobody judged."""
    canary = {"approvals": {"raise": {}}}
    g.rules(environments={"production": {"approvals": {"operations": 1}, "canary": canary}})
    old, new, _ = versions(g)
    judge(g, old, new, "inconclusive", **READY)
    number = forged(g, new, "stale")
    assert g.one(number).state is State.SUCCESS
    strict = {**canary, "steps": [10, 20, 50]}
    g.rules(environments={"production": {"approvals": {"operations": 1}, "canary": strict}})
    shut = g.one(number)
    assert shut.state is not State.SUCCESS
    assert "it is not ready" in str(shut.judged)
    judge(g, old, new, "inconclusive", step={"weight": 10, "next": 20, "ready": True})
    shut = g.one(number)
    assert shut.state is not State.SUCCESS
    assert "another file follows" in str(shut.judged)


@pytest.mark.nightly
def test_a_champion_does_not_lose_the_guard_that_main_has_since(g: Gated[MemoryTown]) -> None:
    canary = {"approvals": {"promote": {}}}
    g.rules(environments={"production": {"approvals": {"operations": 1}, "canary": canary}})
    old, new, _ = versions(g)
    judge(g, old, new)
    number = forged(g, new, "unguarded", succession.NAME)
    assert g.one(number).state is State.SUCCESS, "it is what the bot would propose: policy asks nobody"
    g.rules(environments={"production": {"approvals": {"operations": 1}, "canary": {**canary, "guard": "7d"}}})
    shut = g.one(number)
    assert shut.state is not State.SUCCESS, "no version stays beside it that could bring it back"
    assert "another file follows" in str(shut.judged)
