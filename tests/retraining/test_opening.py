"""From an alarm to a pull request with a case, on a forge in memory."""

from __future__ import annotations

from collections.abc import Callable

from gitml.forges.base import State
from retraining.retrain_town import RetrainTown

Make = Callable[..., RetrainTown]


def test_an_alarm_that_lasts_becomes_a_pull_request_with_a_case(retrain_town: Make) -> None:
    town = retrain_town()
    town.look(drift="failed")
    first = town.run()
    assert (first.how, first.plan.do) == ("", "nothing")
    assert "2 of 3 looks must fail" in first.plan.why
    name = town.look(drift="failed")
    done = town.run()
    assert (done.how, done.problem, done.waits) == ("opened", "", "")
    (pull,) = town.pulls()
    assert pull.head.branch == "gitml/retrain/delay/drift"
    assert town.file("params.yaml", pull.head.branch) == (
        'window:\n  first_day: "2025-12-02"  # the oldest day\n  last_day: "2026-03-02"\nrate: 0.5\n'
    )
    for said in ("`fare` 0.2, between 0.15 and 0.25", "since 2026-03-01", name, "2 GPU hours", "gitml:not-now 14d"):
        assert said in pull.body
    assert town.run().how == "unchanged"


def test_the_gate_derives_its_commit_again_from_the_looks(retrain_town: Make) -> None:
    town = retrain_town()
    town.alarm()
    (pull,) = town.pulls()
    outcome = town.g.one(pull.number)
    assert outcome.state is State.SUCCESS, outcome.line
    (derived,) = town.g.events("derived")
    assert derived.details["subject"] == "delay drift"


def test_its_text_follows_the_alarm_and_it_goes_with_it(retrain_town: Make) -> None:
    town = retrain_town()
    town.alarm()
    (pull,) = town.pulls()
    town.look(drift="failed")
    assert town.run().how == "updated"
    (again,) = town.pulls()
    assert again.head == pull.head
    assert "3 of the last 3 looks" in again.body
    for _ in range(2):
        town.look()
        assert town.run().how == "updated"
    town.look()
    assert town.run().how == "closed"
    assert town.pulls() == []
    assert "the cause drift is gone" in town.town.comments(pull.number)[0]
    assert town.town.branch(pull.head.branch) == ""
    assert town.run().how == ""


def test_plan_says_the_same_and_does_nothing(retrain_town: Make) -> None:
    town = retrain_town()
    town.look(drift="failed")
    town.look(drift="failed")
    before = town.town.branch("gitml-ledger")
    found = town.plan()
    assert (found.do, found.cause and found.cause.kind) == ("open", "drift")
    assert town.plan() == found
    assert (town.pulls(), town.town.branch("gitml-ledger")) == ([], before)


def test_a_broken_contract_forbids_it_and_says_so(retrain_town: Make) -> None:
    town = retrain_town()
    town.look(drift="failed")
    town.look(drift="failed", quality="failed")
    done = town.run()
    assert done.how == ""
    assert "the data break their contract in production" in done.plan.why


def test_a_new_version_is_a_cool_down(retrain_town: Make) -> None:
    town = retrain_town()
    town.newer(2)
    done = town.alarm()
    (drift,) = done.plan.causes
    assert [brake.name for brake in drift.brakes] == ["cool-down"]
    assert "until 2026-03-08" in done.plan.why
