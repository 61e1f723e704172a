"""From an alarm to a pull request with a case, on a forge in memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gitml.cijobs.push import BOT
from gitml.derivation import proposal, retrain
from gitml.derivation.claim import Claim
from gitml.forges.base import NewPull, State
from gitml.git.edit import swap
from promotion.promoting import GITML
from retraining.retrain_town import RetrainTown

Make = Callable[..., RetrainTown]


def test_an_alarm_that_lasts_becomes_a_pull_request_with_a_case(retrain_town: Make) -> None:
    town = retrain_town()
    town.look(drift="failed")
    first = town.run()
    assert (first.how, first.plan.do) == ("", "nothing")
    assert "2 of 3 looks must fail" in first.plan.why
    town.look(drift="failed")
    done = town.run()
    assert (done.how, done.problem, done.waits) == ("opened", "", "")
    (pull,) = town.pulls()
    assert pull.head.branch == "gitml/retrain/delay/drift"
    assert town.file("params.yaml", pull.head.branch) == (
        'window:\n  first_day: "2025-12-02"  # the oldest day\n  last_day: "2026-03-02"\nrate: 0.5\n'
    )
    for said in (
        "`fare` 0.2, between 0.15 and 0.25",
        "since 2026-03-01",
        "Look at 2026-03-02",
        "2 GPU hours",
        "gitml:not-now 14d",
    ):
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


def test_a_stale_main_is_trained_first(retrain_town: Make) -> None:
    """One retraining is open at a time, and that of a stale main is one of them."""
    town = retrain_town()
    with town.town.place() as place:
        main = place.newest(whole=True)
        claim = Claim(retrain.NAME, main.commit)
        head = proposal.commit_of(place.git, claim, (), "Train what main has", BOT)
        assert swap(place.root, place.remote, "gitml/retrain-flights", None, head)
        place.forge.pulls.open(NewPull("Retrain delay", "gitml/retrain-flights", "main"))
    done = town.alarm()
    assert (done.how, done.plan.why) == ("unchanged", "#1 is open for stale")
    town.town.close(1)
    assert town.run().how == "opened"


@pytest.mark.nightly
def test_when_main_gets_another_pipeline_its_branch_begins_anew_within_the_quota(retrain_town: Make) -> None:
    town = retrain_town()
    town.rules(runs=2)
    town.alarm()
    (first,) = town.pulls()
    town.town.push({"README.md": "of no concern\n"})
    assert town.run().how == "unchanged"
    town.town.push({"dvc.yaml": "stages: {}\n"})
    town.look(drift="failed")
    assert town.run().how == "updated"
    (again,) = town.pulls()
    assert (again.number, again.head.commit != first.head.commit) == (first.number, True)
    assert town.file("dvc.yaml", again.head.branch) == "stages: {}\n"
    assert "2026-03-03" in town.file("params.yaml", again.head.branch)
    outcome = town.g.one(again.number)
    assert outcome.state is State.SUCCESS, outcome.line
    town.town.push({"dvc.yaml": "stages: {x: {cmd: 'true'}}\n"})
    assert town.run().how == "unchanged"
    assert town.pulls()[0].head == again.head


def test_a_cause_that_gitml_yaml_names_no_more_is_closed(retrain_town: Make) -> None:
    town = retrain_town()
    town.alarm()
    town.spec(causes=["harm"])
    assert town.run().how == "closed"
    assert town.pulls() == []


def test_a_model_that_is_not_retrained_any_more_leaves_nothing_open(retrain_town: Make) -> None:
    town = retrain_town()
    town.alarm()
    (pull,) = town.pulls()
    town.town.push({"gitml.yaml": GITML})
    assert town.run().how == "closed"
    assert town.pulls() == []
    assert "does not retrain it any more" in town.town.comments(pull.number)[0]
