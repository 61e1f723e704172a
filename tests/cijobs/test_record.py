"""`gitml ci record`: what was decided and what versions showed is signed, once."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gitml import clock
from gitml.cijobs.record import RecordOrder, RecordResult, record
from gitml.forges.base import State
from gitml.promotion.rollback import RollbackOrder as Back
from gitml.promotion.rollback import rollback
from gitml.registry.record import Record
from gitml.spec import Deployment
from promotion.gating import RUN, Gated
from promotion.promoting import MemoryTown, pin
from sandbox.forge_kit import git

pytestmark = pytest.mark.slow

Build = Callable[..., Gated[MemoryTown]]
COMMIT = "1" * 40


@pytest.fixture
def build(new_gated_here: Build) -> Build:
    return new_gated_here


def recorded(g: Gated, *, key: bool = True, run: str = RUN) -> tuple[RecordResult, ...]:
    with g.place() as place:
        return record(place, RecordOrder(g.key if key else None, run, COMMIT))


def told(g: Gated, kind: str) -> list[tuple[str, Any]]:
    return [(b.statement.binding.result, b.statement) for b in g.events(kind) if b.statement]


def test_a_merge_is_recorded_with_who_approved_it_and_only_once(build: Build) -> None:
    g = build()
    version, number = g.ready()
    g.approve(number)
    head = g.one(number).head
    base = g.town.tip
    merged = g.town.merge(number)
    git(g.town.main, "pull", "-q", "origin", "main")
    before = recorded(g, key=False)
    assert [("promoted" in r.due.said, r.awaits) for r in before if r.due.statements] == [(True, ("ci",))]
    assert g.results("approved") == []
    assert all(r.is_fine for r in recorded(g))
    ((result, approved),) = told(g, "approved")
    ((placed, promoted),) = told(g, "promoted")
    assert (result, placed, approved.details["approvers"]) == ("passed", "passed", ["olga"])
    for about in (approved.binding, promoted.binding):
        assert (about.pull, about.head, about.base, about.by) == (number, head, base, "ada")
        assert (about.version, about.environment) == (version.version, "staging")
        assert about.change.new == git(g.town.main, "rev-parse", f"{merged}:models/delay/staging.yaml").strip()
    recorded(g)
    recorded(g, run=f"{RUN}8")
    assert (g.results("approved"), g.results("promoted")) == (["passed"], ["passed"])


@pytest.mark.nightly
def test_a_merge_past_a_shut_gate_is_recorded_as_what_it_is(build: Build) -> None:
    g = build()
    _, number = g.ready()
    g.one(number)
    g.town.merge(number)
    recorded(g)
    assert g.results("approved") == ["inconclusive"]
    assert g.results("promoted") == ["failed"]


def test_an_approval_after_the_merge_comes_too_late(build: Build, tmp_path: Path) -> None:
    g = build()
    _, number = g.ready()
    ahead = timedelta(days=30_000)
    g.town.forge = g.town.forge.copy(tmp_path / "turned", now=lambda: clock.now() + ahead)
    g.approve(number)
    ahead = timedelta()
    assert g.one(number).state is State.SUCCESS
    g.town.merge(number)
    recorded(g)
    assert g.results("approved") == ["inconclusive"]


def test_a_review_that_is_dismissed_after_the_merge_was_there_at_the_merge(build: Build, tmp_path: Path) -> None:
    """Any writer may dismiss."""
    g = build()
    _, number = g.ready()
    ahead = timedelta()
    g.town.forge = g.town.forge.copy(tmp_path / "turned", now=lambda: clock.now() + ahead)
    g.approve(number)
    g.one(number)
    g.town.merge(number)
    ahead = timedelta(minutes=1)
    with g.town.hub() as hub:
        (review,) = hub.reviews.list(number)
    g.town.home.dismiss("ada", number, review.id)
    recorded(g)
    assert g.results("approved") == ["passed"]


def test_a_role_taken_away_between_approval_and_merge_does_not_count(build: Build) -> None:
    g = build()
    _, number = g.ready()
    g.approve(number)
    g.one(number)
    g.rules(roles={"operations": {"people": ["rita"]}, "risk": {"people": ["olga"]}})
    g.town.merge(number)
    recorded(g)
    assert (g.results("approved"), g.results("promoted")) == (["inconclusive"], ["failed"])


def test_a_direct_push_gets_no_approval(build: Build) -> None:
    g = build()
    version = g.town.train(1)
    g.town.put("staging", Deployment(champion=pin(version)))
    done = recorded(g)
    assert any("no pull request brought it" in r.due.said for r in done)
    assert (g.results("approved"), g.results("promoted")) == ([], [])


def test_a_rollback_is_judged_by_its_own_rules_and_recorded_as_one(build: Build) -> None:
    g = build()
    _, number = g.ready(1)
    g.approve(number)
    g.one(number)
    g.town.merge(number)
    recorded(g)
    _, number = g.ready(2)
    g.approve(number)
    g.one(number)
    g.town.merge(number)
    recorded(g)
    with g.town.place("ada") as place:
        back = rollback(place, Back("delay", "staging", reason="it is wrong"))
    assert g.one(back.pull.number).state.value == "pending"
    g.approve(back.pull.number)
    assert g.one(back.pull.number).state.value == "success"
    g.town.merge(back.pull.number)
    recorded(g)
    assert g.results("rolled-back") == ["passed"]
    assert g.results("approved") == ["passed"] * 3


def trials(g: Gated, job: str, tried: Record, *, run: str = RUN, commit: str = COMMIT, **more: Any) -> Path:
    one = {
        "kind": "evaluated",
        "model": tried.model,
        "version": tried.version,
        "artifact": tried.files[tried.artifact].sha256,
        "result": "passed",
        "details": {"latency_ms_p95": 0.4, "reason": "fine"},
        **more,
    }
    folder = g.town.here / ".gitml-ci" / f"gitml-{job}-delay"
    folder.mkdir(parents=True, exist_ok=True)
    text = {"format": "gitml trials 1", "commit": commit, "run": run, "tried": [one]}
    path = folder / f"{job}-delay.json"
    path.write_text(json.dumps(text))
    return path


def test_what_a_job_found_out_is_signed_once_a_run_and_never_of_something_else(build: Build) -> None:
    g = build()
    version = g.town.train(1)
    trials(g, "verify", version)
    recorded(g)
    recorded(g)
    ((result, statement),) = told(g, "evaluated")
    assert (result, statement.details["latency_ms_p95"]) == ("passed", 0.4)
    wrongs = (
        {"artifact": "f" * 64},
        {"version": "20260101T000000Z-00000000"},
        {"kind": "reproduced"},
        {"kind": "compared"},
    )
    for wrong in wrongs:
        trials(g, "verify", version, run=f"{RUN}9", **wrong)
        assert not all(r.is_fine for r in recorded(g, run=f"{RUN}9")), wrong
    assert (g.results("evaluated"), g.results("reproduced")) == (["passed"], [])
    trials(g, "verify", version, run=f"{RUN}10", result="failed")
    recorded(g, run=f"{RUN}10")
    assert g.results("evaluated") == ["passed", "failed"]


def test_files_in_git_and_of_other_runs_and_commits_are_no_hand_overs(build: Build) -> None:
    """A hand-made version, and "trained and evaluated" as files that whoever may push can write."""
    g = build()
    version = g.town.train(1)
    for other in ({"run": f"{RUN}1"}, {"run": ""}, {"commit": "2" * 40}):
        path = trials(g, "reproduce", version, kind="reproduced", **other)
        said = [r.due.said for r in recorded(g) if not r.is_fine]
        assert any("is of the run" in text for text in said), said
    path = trials(g, "reproduce", version, kind="reproduced")
    git(g.town.here, "add", "--force", str(path))
    assert any(".gitml-ci/gitml-reproduce-delay" in r.due.said for r in recorded(g) if not r.is_fine)
    with g.place() as place:
        assert record(place, RecordOrder(g.key, "", COMMIT)) == record(place, RecordOrder(g.key, RUN, "")), "not in CI"
    assert [g.results(kind) for kind in ("evaluated", "reproduced", "trained")] == [[], [], []]


def test_a_version_that_main_trained_again_is_trained(build: Build) -> None:
    g = build()
    version = g.town.train(1)
    assert g.results("trained") == []
    trials(g, "reproduce", version, kind="reproduced")
    recorded(g)
    assert (g.results("reproduced"), g.results("trained")) == (["passed"], ["passed"])


def test_a_version_that_no_run_of_the_forge_gave_is_not_trained(build: Build) -> None:
    g = build()
    g.town.train(1, origin="local")
    g.town.train(2, commit=g.town.tip)
    done = recorded(g)
    said = " ".join(r.due.said for r in done)
    assert "trained outside CI" in said
    assert g.results("trained") == []
