"""Who may write pushes a commit with the bot's address and a claim: a step of a canary that once was ready.

Policy may let the bot's own steps go without anybody's approval, so what a claim names must hold now.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from evidence.look_kit import stamp
from gitml.control.looks import copy_to_ledger, heard_canaries
from gitml.control.place import BOT_EMAIL, BOT_NAME
from gitml.control.signing import rules_of
from gitml.derivation import proposal, raising
from gitml.derivation.claim import Claim
from gitml.forges.base import NewPull, State
from gitml.git.edit import Who
from gitml.registry.record import Record
from promotion.gating import Gated
from promotion.promoting import MemoryTown
from promotion.test_gate_canary import g, judge, versions

__all__ = ["g"]
pytestmark = pytest.mark.slow

READY = {"step": {"weight": 10, "next": 50, "ready": True}}
WAITS = {"step": {"weight": 10, "next": 50, "ready": False}}


def forged(g: Gated[MemoryTown], new: Record, branch: str) -> int:
    """A pull request of Rita's with the step that the newest evaluation of now says is ready."""
    with g.ground() as (place, known):
        since = g.town.now - timedelta(days=1)
        one = heard_canaries(place, rules_of(place, known.policy), since).counting[-1]
        copy_to_ledger(place, [one.said])
        subject = f"delay production {new.version}"
        claim = Claim(raising.NAME, known.main.commit, (one.said.name,), stamp(one.told.until), subject)
        made = proposal.commit_of(
            place.git,
            claim,
            [one.said.statement],
            "Raise",
            Who(BOT_NAME, BOT_EMAIL),  # type: ignore[list-item]
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
    assert "is not ready now" in str(shut.judged)
    judge(g, old, new, "inconclusive", **READY)
    assert g.one(number).state is State.SUCCESS
    g.town.now += timedelta(days=3)
    assert g.one(number).state is not State.SUCCESS, "nobody looked since"
