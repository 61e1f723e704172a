"""The gate `canary`: from the branch of looks to the status, and into the ledger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from conftest import git
from evidence.canary_kit import evaluation
from evidence.look_kit import stamp
from gitml.control.signing import Signer, bound
from gitml.derivation.testrules import digest_of_test, rules_on
from gitml.evidence.canaries import KIND, canary_details
from gitml.evidence.keys import generate, signing_key
from gitml.evidence.looks import RESULTS
from gitml.evidence.statement import Statement
from gitml.forges.base import State
from gitml.git import ledger
from gitml.registry.record import Record
from gitml.spec import Deployment
from gitml.spec.deployment import Canary
from gitml.verdict import Phase
from promotion.gating import Gated
from promotion.promoting import MemoryTown, pin

pytestmark = pytest.mark.slow

HOUR = timedelta(hours=1)


@pytest.fixture
def g(new_gated_here: Callable[..., Gated[MemoryTown]]) -> Gated[MemoryTown]:
    secret, public = generate()
    made = new_gated_here()
    monitor = {"public": public, "owner": "CI", "purposes": ["canary"], "from": "2026-01-01"}
    made.rules(
        environments={"production": {"approvals": {"operations": 1}, "canary": {}}},
        keys={**made.policy["keys"], "monitor": monitor},
    )
    made.monitor = signing_key(secret)  # type: ignore[attr-defined]
    return made


def versions(g: Gated[MemoryTown]) -> tuple[Record, Record, int]:
    """A champion, its canary, and the approved pull request that would make the canary champion."""
    old, new = g.town.train(1), g.town.train(2)
    g.prove(old, "trained", "evaluated")
    g.prove(new, "trained", "evaluated")
    canary = Canary(**pin(new).model_dump(), weight=10)
    g.town.put("production", Deployment(champion=pin(old), canary=canary))
    number = g.town.promote(new, "production").pull.number
    g.approve(number)
    return old, new, number


def judge(g: Gated[MemoryTown], old: Record, new: Record, phase: str = "successful", **more: Any) -> str:
    """Sign an evaluation up to now."""
    arms = {
        name: {"version": r.version, "artifact": r.files[r.artifact].sha256}
        for name, r in (("candidate", new), ("champion", old))
    }
    g.town.now += HOUR
    now = g.town.now.replace(microsecond=0)
    with g.ground() as (place, known):
        rules = rules_on(known.main.tree, "delay", "production")
        assert rules is not None
        told = evaluation(
            phase=phase, model="delay", **arms, since=stamp(now - HOUR), until=stamp(now), at=stamp(now),
            next_look=stamp(now + HOUR), epochs=[], series=[],
            **{"rules": digest_of_test(known.main.tree, "delay", "production", rules), **more},
        )  # fmt: skip
        about = {"model": "delay", "environment": "production", **arms["candidate"]}
        made = bound(place, KIND, "", **about, result=RESULTS[Phase(phase)])
        signer = Signer(place, known.policy, g.monitor)  # type: ignore[attr-defined]
        (name,) = signer.sign([Statement(made, canary_details(told))], branch=ledger.LOOKS, message="Looks\n")
    return name


def test_a_pass_opens_it_and_is_copied_to_the_ledger_and_a_failure_shuts_it_for_good(g: Gated[MemoryTown]) -> None:
    old, new, number = versions(g)
    shut = g.one(number)
    assert (shut.state, "no signed evaluation of it yet" in g.comments(number)[0]) == (State.PENDING, True)
    name = judge(g, old, new)
    done = g.one(number)
    assert done.state is State.SUCCESS, done.line
    assert g.results(KIND) == ["passed"]
    assert name in str(g.events("gate")[-1].statement.details)  # type: ignore[union-attr]
    judge(g, old, new, "failed", rules="e" * 64)
    assert g.one(number).state is State.FAILURE
    assert "stays failed" in g.comments(number)[0]


def test_a_file_that_failed_stays_failed_when_it_is_trained_again(g: Gated[MemoryTown]) -> None:
    old, new, _ = versions(g)
    judge(g, old, new, "failed")
    again = g.town.train(2)
    assert (pin(again).digest, again.version != new.version) == (pin(new).digest, True)
    g.prove(again, "trained", "evaluated")
    g.town.put("production", Deployment(champion=pin(old), canary=Canary(**pin(again).model_dump(), weight=10)))
    judge(g, old, again)
    number = g.town.promote(again, "production").pull.number
    g.approve(number)
    assert g.one(number).state is State.FAILURE
    assert "stays failed" in g.comments(number)[0]


@pytest.mark.nightly
def test_a_failure_stays_one_where_the_branch_of_looks_is_gone(g: Gated[MemoryTown]) -> None:
    """A clone that never saw it does not miss it; what shut a gate lies on the ledger too."""
    old, new, number = versions(g)
    judge(g, old, new, "failed")
    assert g.one(number).state is State.FAILURE
    here = g.town.here
    git(here, "push", "-q", str(g.town.home.forge.remote), f":refs/heads/{ledger.LOOKS}")
    git(here, "update-ref", "-d", ledger.local_of(ledger.LOOKS))
    shut = g.one(number)
    assert shut.state is State.FAILURE
    assert "failed" in str(shut.judged)
