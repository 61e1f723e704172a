"""Gates that ask what monitors saw: from the branch of looks to the status, and into the ledger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from conftest import git
from gitml.evidence.keys import generate, signing_key
from gitml.evidence.looks import KIND
from gitml.forges.base import State
from gitml.git import ledger
from gitml.registry.record import Record
from gitml.spec import Deployment
from gitml.verdict import Phase
from promotion.gating import Gated
from promotion.looking import sign_look
from promotion.promoting import MemoryTown, pin

pytestmark = pytest.mark.slow

HOUR = timedelta(hours=1)
GATES = {"quality": "2d", "drift": {"within": "8d"}, "harm": {"within": "14d", "in": "staging"}}


@pytest.fixture
def g(new_gated_here: Callable[..., Gated[MemoryTown]]) -> Gated[MemoryTown]:
    secret, public = generate()
    made = new_gated_here()
    approvals = {"approvals": {"operations": 1}}
    monitor = {"public": public, "owner": "CI", "purposes": ["look"], "from": "2026-01-01"}
    made.rules(
        environments={"staging": approvals, "production": {**approvals, "gates": GATES}},
        keys={**made.policy["keys"], "monitor": monitor},
    )
    made.monitor = signing_key(secret)  # type: ignore[attr-defined]
    return made


def promoted(g: Gated[MemoryTown]) -> tuple[Record, int]:
    """A version that runs in staging, and the approved pull request that brings it to production."""
    version = g.town.train(1)
    g.town.put("staging", Deployment(champion=pin(version)))
    g.prove(version, "trained", "evaluated")
    g.prove(version, "promoted", environment="staging")
    number = g.town.promote(version, "production").pull.number
    g.approve(number)
    return version, number


def watch(g: Gated[MemoryTown], version: Record, ended: timedelta = HOUR, **phases: str) -> str:
    """Sign a look in staging at a window that ended so long ago; the name of its event."""
    return sign_look(g, g.monitor, version, "staging", ended, **phases)  # type: ignore[attr-defined]


def shut(g: Gated[MemoryTown], number: int) -> set[str]:
    judged = g.one(number).judged
    assert judged is not None
    assert judged.decision is not None
    return {name for name, v in judged.decision.verdicts.items() if v.phase is not Phase.SUCCESSFUL}


def test_a_look_where_all_is_well_opens_it_and_is_copied_to_the_ledger(g: Gated[MemoryTown]) -> None:
    version, number = promoted(g)
    assert shut(g, number) == {"quality", "drift", "harm"}
    assert g.one(number).state is State.PENDING
    (comment,) = g.comments(number)
    assert "no signed look at delay in staging" in comment
    assert "wait for the next look" in comment
    name = watch(g, version)
    done = g.one(number)
    assert done.state is State.SUCCESS, done.line
    assert g.results(KIND) == ["passed"]
    assert name in str(g.events("gate")[-1].statement.details)  # type: ignore[union-attr]
    assert g.one(number).known
    assert g.results(KIND) == ["passed"]


def test_a_failed_verdict_shuts_it_and_the_next_window_opens_it_again(g: Gated[MemoryTown]) -> None:
    version, number = promoted(g)
    watch(g, version, 25 * HOUR, drift="failed")
    assert shut(g, number) == {"drift"}
    (comment,) = g.comments(number)
    assert "train on newer data" in comment
    watch(g, version, HOUR, harm="inconclusive")
    assert shut(g, number) == {"harm"}
    g.town.now += 3 * 24 * HOUR
    assert shut(g, number) == {"quality", "harm"}


def test_a_look_at_another_version_or_by_another_key_opens_nothing(g: Gated[MemoryTown]) -> None:
    version, number = promoted(g)
    watch(g, version, 2 * HOUR)
    watch(g, g.town.train(2))
    assert shut(g, number) == {"quality", "drift", "harm"}
    g.rules(keys={"ci": g.policy["keys"]["ci"]})
    assert "no signed look" in g.one(number).judged.decision.verdicts["drift"].reason  # type: ignore[union-attr]


def test_looks_that_were_rewritten_are_no_looks(g: Gated[MemoryTown]) -> None:
    version, number = promoted(g)
    watch(g, version)
    assert g.one(number).state is State.SUCCESS
    with g.place() as place:
        other = git(g.town.here, "commit-tree", "-m", "x", "HEAD^{tree}").strip()
        git(g.town.here, "push", "-q", "--force", place.remote.url, f"{other}:refs/heads/{ledger.LOOKS}")
    assert shut(g, number) == {"quality", "drift", "harm"}
