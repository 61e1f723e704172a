"""From a signed evaluation to pull requests, in jobs that may be killed, run twice or never."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cijobs.canary_town import HOUR, CanaryTown, build, copied, no_env
from conftest import packed
from evidence.canary_kit import part
from evidence.look_kit import stamp
from gitml.cijobs import canaryproposing
from gitml.control.change import OVERTAKEN
from gitml.derivation.claim import claim_of
from gitml.errors import IntegrityError, OutsideError, RefError, UsageError
from gitml.evidence.canaries import canary_details
from gitml.evidence.keys import generate, signing_key
from gitml.promotion.rollback import RollbackOrder, resume
from gitml.promotion.stop import StopOrder, stop
from gitml.verdict import Phase
from promotion.gating import Gated
from promotion.promoting import MemoryTown, pin

Build = Callable[..., CanaryTown]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def template(gated_template: Gated[MemoryTown], tmp_path_factory: pytest.TempPathFactory) -> CanaryTown:
    with pytest.MonkeyPatch.context() as patch:
        _alone(patch)
        made = build(gated_template, tmp_path_factory.mktemp("canary"))
    packed(made.town.folder)
    return made


@pytest.fixture
def new_canary(
    template: CanaryTown, gated_template: Gated[MemoryTown], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Build:
    _alone(monkeypatch)

    def made(state: str = "canary", **rules: Any) -> CanaryTown:
        same = state == "canary" and not rules
        return copied(template, tmp_path) if same else build(gated_template, tmp_path, state, **rules)

    return made


def _alone(patch: pytest.MonkeyPatch) -> None:
    """Without waiting for the disk, and without what this machine says of a forge."""
    patch.setattr(os, "fsync", lambda _: None)
    no_env(patch)


def test_a_draft_would_make_it_champion_and_its_comment_is_the_evaluation(new_canary: Build) -> None:
    t = new_canary()
    (told,) = t.look()
    (number,) = told.pulls
    pull = t.town.pull(number)
    assert (told.phase, told.pulls, told.comments) == (Phase.INCONCLUSIVE, {number: "opened"}, {number: "posted"})
    assert (pull.is_draft, pull.title) == (True, f"Make delay@{t.new.digest[:8]} the champion of production")
    assert t.town.state("production", pull.head.commit).champion.version == t.new.version
    (comment,) = t.town.comments(number)
    assert "is not decided yet" in comment
    claim = claim_of(t.town.commits(number)[0].message)
    assert claim is not None
    assert (claim.kind, claim.subject) == ("champion", f"delay production {t.new.version}")
    assert t.evaluate() == ()
    assert t.sign().due == 0
    (again,) = t.publish()
    assert (again.pulls, again.problem) == ({number: "unchanged"}, "")


@pytest.mark.nightly
def test_a_better_one_reaches_production_step_by_step(new_canary: Build) -> None:
    t = new_canary("shadow", modes=["split"])
    draft = t.look(parts=[part("errors", of="guardrail"), part(phase="inconclusive")])[0]
    raises = t.pulls()["raise"]
    assert set(draft.pulls) == {raises.number, t.pulls()["promote"].number}
    t.accept(raises.number)
    assert t.state.canary is not None
    assert (t.state.canary.weight, t.state.shadow) == (10, ())
    t.look()
    assert set(t.pulls()) == {"promote"}
    t.look(ready=True)
    t.accept(t.pulls()["raise"].number)
    assert t.state.canary is not None
    assert t.state.canary.weight == 50
    promote = t.pulls()["promote"]
    assert t.town.pull(promote.number).is_draft
    t.look(phase="successful", ready=True)
    ready = t.pulls()["promote"]
    assert (ready.number, ready.is_draft, set(t.pulls())) == (promote.number, False, {"promote"})
    t.accept(ready.number)
    assert t.state.champion == pin(t.new)
    assert t.state.canary is None
    assert t.look() == ()
    assert t.g.results("canary") == ["inconclusive", "inconclusive", "passed"]


@pytest.mark.nightly
def test_one_that_failed_is_taken_back_by_one_operator_and_stays_away(new_canary: Build) -> None:
    t = new_canary()
    t.look(ready=True)
    assert set(t.pulls()) == {"promote", "raise"}
    promote = t.pulls()["promote"].number
    (told,) = t.look(phase="failed")
    assert set(t.pulls()) == {"promote", "take-back"}
    assert len(told.closed) == 1
    assert t.town.comments(told.closed[0])[-1].startswith(OVERTAKEN)
    assert t.evaluate() == (), "a failed candidate is not judged again"
    t.g.approve(promote)
    assert t.g.one(promote).state.value == "failure"
    back = t.pulls()["take-back"].number
    assert "failed beside" in t.town.pull(back).body
    t.accept(back)
    assert t.state.canary is None
    assert [h.version for h in t.state.held] == [t.new.version]
    assert t.look() != ()
    assert t.pulls() == {}
    with pytest.raises(UsageError, match="is held there"):
        t.town.promote(t.new, "production", part="canary")


def test_one_that_is_undecided_after_its_weeks_is_asked_to_go(new_canary: Build) -> None:
    t = new_canary()
    t.look(hours=8 * 7 * 24, ends=stamp(t.town.now + timedelta(weeks=8)))
    pulls = t.pulls()
    assert set(pulls) == {"promote", "take-back"}
    assert pulls["promote"].is_draft
    (held,) = t.town.state("production", pulls["take-back"].head.commit).held
    assert (held.version, held.by) == (t.new.version, "gitml-bot")
    assert "undecided to the end of its test" in held.reason


@pytest.mark.nightly
def test_killed_anywhere_a_rerun_ends_the_same(new_canary: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    t = new_canary()

    def dies(*_: Any, **__: Any) -> Any:
        raise OutsideError("killed")

    for name in ("copy_to_ledger", "propose_candidate"):
        with monkeypatch.context() as broken:
            broken.setattr(canaryproposing, name, dies)
            (told,) = t.look(ready=True)
            assert told.problem == "killed"
    (told,) = t.publish()
    assert (told.problem, set(t.pulls())) == ("", {"promote", "raise"})
    before = [p.head.commit for p in t.town.pulls()]
    t.publish()
    assert [p.head.commit for p in t.town.pulls()] == before


@pytest.mark.nightly
def test_nothing_new_is_opened_in_freezes_and_holds_or_beyond_the_quota(new_canary: Build) -> None:
    t = new_canary()
    t.g.rules(freezes=[{"from": "2026-02-20", "until": "2026-03-02", "reason": "Easter"}])
    (told,) = t.look(ready=True)
    assert (told.waits, t.pulls()) == ("frozen until 2026-03-03 00:00 UTC: Easter", {})
    (told,) = t.look(phase="failed")
    assert set(t.pulls()) == {"take-back"}, "going back is always possible"


@pytest.mark.nightly
def test_what_people_closed_is_not_opened_again(new_canary: Build) -> None:
    t = new_canary(propose_per_week=2)
    t.look()
    number = t.pulls()["promote"].number
    t.town.close(number)
    (told,) = t.look()
    assert (told.waits, t.pulls()) == (f"#{number} proposed that, and was closed", {})


@pytest.mark.nightly
def test_so_many_a_week_and_model(new_canary: Build) -> None:
    t = new_canary(propose_per_week=1)
    t.look()
    t.g.one(t.pulls()["promote"].number)
    (told,) = t.look(ready=True)
    assert told.waits == "1 proposals of delay in a week, at most 1 are allowed"
    assert set(t.pulls()) == {"promote"}
    t.look(24 * 7, ready=True)
    assert set(t.pulls()) == {"promote", "raise"}


@pytest.mark.nightly
def test_those_that_no_gate_has_seen_yet_count_for_the_week_too(new_canary: Build) -> None:
    t = new_canary(propose_per_week=1)
    t.look()
    (told,) = t.look(ready=True)
    assert (told.waits.startswith("1 proposals of delay"), set(t.pulls())) == (True, {"promote"})


@pytest.mark.nightly
def test_a_canary_that_an_agent_stopped_is_taken_back_in_the_next_look(new_canary: Build) -> None:
    t = new_canary()
    t.look(ready=True)
    about = {"environment": "production", "head": t.town.branch("main"), "result": "failed"}
    t.report(t.new, about, {"part": "canary", "reason": "5 requests in a row failed that the champion answered"})
    (told,) = t.look(ready=True)
    back = t.pulls()["take-back"]
    assert back.number in told.pulls
    assert "5 requests in a row failed" in back.body
    t.accept(back.number)
    assert (t.state.canary, [held.version for held in t.state.held]) == (None, [t.new.version])
    t.publish()
    assert t.pulls() == {}


@pytest.mark.nightly
def test_a_guard_whose_time_is_over_goes(new_canary: Build) -> None:
    t = new_canary(guard="2h")
    t.look(ready=True)
    t.look(phase="successful", ready=True)
    t.accept(t.pulls()["promote"].number)
    assert [pin.version for pin in t.state.shadow] == [t.old.version]
    t.look()
    assert t.pulls() == {}
    t.look(2)
    t.look()
    t.accept(t.pulls()["relieve"].number)
    assert t.state.shadow == ()


@pytest.mark.nightly
def test_where_there_are_no_drafts_an_ordinary_one_waits_with_its_gate_shut(new_canary: Build) -> None:
    t = new_canary()
    t.town.forge.as_("ada").acts.take_drafts()
    t.look()
    pull = t.pulls()["promote"]
    assert not pull.is_draft
    t.g.approve(pull.number)
    assert t.g.one(pull.number).state.value == "pending"
    t.look(phase="successful")
    assert t.g.one(pull.number).state.value == "success"


@pytest.mark.nightly
def test_those_are_asked_whose_approval_policy_wants_of_this(new_canary: Build) -> None:
    t = new_canary(approvals={"raise": {"risk": 1}})
    t.look(ready=True)
    number = t.pulls()["raise"].number
    with t.town.hub() as hub:
        assert hub.reviews.asked(number).people == ("rita",)
    t.g.approve(number)
    assert t.g.one(number).state.value == "pending", "olga is not of that role"
    t.g.approve(number, "rita")
    assert t.g.one(number).state.value == "success"


@pytest.mark.nightly
def test_the_bot_merges_where_policy_lets_it_and_people_approved(new_canary: Build) -> None:
    t = new_canary(merge=True)
    (told,) = t.look(ready=True)
    raises = t.pulls()["raise"].number
    t.g.one(raises)
    assert t.publish()[0].pulls[raises] != "merged", "nobody approved"
    t.g.approve(raises)
    t.g.one(raises)
    assert t.publish()[0].pulls[raises] == "merged"
    assert t.state.canary is not None
    assert t.state.canary.weight == 50
    assert any("gitml-main.yml waits for somebody to run it" in said for said in t.town.said), "it is not there"
    assert told.problem == ""


def test_what_does_not_fit_main_is_not_signed(new_canary: Build) -> None:
    t = new_canary()
    t.town.now += 3 * HOUR + HOUR / 4
    (one,) = t.evaluate()
    told = dict(one.told)
    for change, words in (
        ({"rules": "f" * 64}, "other rules"),
        ({"champion": {**told["champion"], "artifact": "f" * 64}}, "main does not have"),
        ({"candidate": {**told["candidate"], "version": "20260101T000000Z-00000000"}}, "main does not have"),
        ({"mode": "shadow"}, "another part or weight"),
        ({"step": {**told["step"], "weight": 50}}, "another part or weight"),
        ({"at": told["at"].replace(":00:00", ":07:00")}, "no moment of the schedule"),
        ({"since": "2025-01-01T00:00:00Z"}, "before both were there"),
        ({"at": "2026-03-02T00:00:00Z", "next_look": "2026-03-02T01:00:00Z"}, "of the future"),
    ):
        t.hand_over(canary_details({**told, **change}))
        with pytest.raises(IntegrityError, match=words):
            t.sign()
    t.hand_over(canary_details(told), canary_details({**told, "reason": "again"}))
    done = t.sign()
    assert (len(done.events), len(done.passed_over)) == (1, 1)
    assert t.sign(signing_key(generate()[0])).events == ()


def test_what_was_before_the_rules_is_not_signed_under_them(new_canary: Build) -> None:
    t = new_canary()
    t.town.now += HOUR
    t.rules(error_rate=0.04)
    t.town.now += 3 * HOUR
    (one,) = t.evaluate()
    before = datetime.fromisoformat(one.told["since"]) - HOUR / 2
    t.hand_over(canary_details({**one.told, "since": stamp(before)}))
    with pytest.raises(IntegrityError, match="under these rules"):
        t.sign()


def test_rules_that_are_dated_before_what_lies_under_them_begin_with_that(new_canary: Build) -> None:
    """Else what was seen under the old ones would count for a test under the new ones."""
    t = new_canary()
    t.town.now += 5 * HOUR
    t.rules(error_rate=0.04)
    last = t.town.now
    t.town.now -= 4 * HOUR
    t.rules(error_rate=0.03)
    t.town.now = last + 3 * HOUR
    (one,) = t.evaluate()
    assert datetime.fromisoformat(one.told["since"]) == last


@pytest.mark.nightly
def test_a_champion_that_changed_begins_the_test_anew(new_canary: Build) -> None:
    t = new_canary()
    t.look(phase="successful")
    assert not t.pulls()["promote"].is_draft
    other = t.town.train(3)
    t.g.prove(other, "trained", "evaluated")
    canary = t.state.canary
    t.town.put("production", t.state.model_copy(update={"champion": pin(other), "canary": canary}))
    (told,) = t.look(phase="inconclusive")
    number = t.pulls()["promote"].number
    assert (told.phase, told.pulls) == (Phase.INCONCLUSIVE, {number: "updated"})
    t.g.approve(number)
    assert t.g.one(number).state.value == "pending"


def test_a_person_takes_it_back_by_one_approval(new_canary: Build) -> None:
    t = new_canary()
    order = StopOrder("delay", "production", "complaints from the desk")
    with t.town.place("rita") as place:
        done, again = stop(place, order), stop(place, order)
    assert (done.how, again.how, again.pull.number) == ("opened", "unchanged", done.pull.number)
    t.accept(done.pull.number)
    (held,) = t.state.held
    assert (t.state.canary, held.version, held.by, held.reason) == (None, t.new.version, "rita", order.reason)
    with t.town.place("rita") as place, pytest.raises(RefError, match="runs nowhere as canary or shadow"):
        stop(place, order)
    with t.town.place("rita") as place:
        back = resume(place, RollbackOrder("delay", "production", "it was something else", to=t.new.digest[:8]))
        with pytest.raises(RefError, match="is not held"):
            resume(place, RollbackOrder("delay", "production", "x", to="00000000"))
    assert t.town.state("production", back.pull.head.commit).held == ()
