"""Saying no: by a label or a command, signed, and for exactly one cause."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from forges.homes import JOBS
from gitml.cijobs.declining import DeclineOrder, decline
from gitml.cijobs.retraining import Retrained, retrain
from gitml.errors import FailedError, UsageError
from gitml.evidence.keys import generate, signing_key
from retraining.retrain_town import DAY, RetrainTown

Make = Callable[..., RetrainTown]


def run(town: RetrainTown) -> Retrained:
    with town.town.place(f"job:{JOBS}") as place:
        return retrain(place, town.g.key)[0]


def label(town: RetrainTown, number: int, login: str, text: str = "gitml:not-now 14d") -> None:
    with town.town.hub(login) as hub:
        hub.pulls.label(number, [text])


def test_a_label_of_somebody_with_a_role_silences_exactly_that_cause(retrain_town: Make) -> None:
    town = retrain_town()
    town.alarm()
    (pull,) = town.pulls()
    label(town, pull.number, "olga")
    done = run(town)
    assert (done.how, done.pull) == ("closed", pull.number)
    assert "olga said no to drift" in town.town.comments(pull.number)[0]
    (signed,) = town.g.events("declined")
    assert signed.statement is not None
    assert (signed.statement.binding.by, signed.details["cause"]) == ("olga", "drift")
    assert run(town).how == ""
    assert len(town.g.events("declined")) == 1
    town.look(8, drift="failed", harm="failed")
    town.look(drift="failed", harm="failed")
    done = run(town)
    assert (done.how, done.plan.cause and done.plan.cause.kind) == ("opened", "harm")


@pytest.mark.slow
@pytest.mark.nightly
def test_when_the_time_is_over_the_cause_counts_again(retrain_town: Make) -> None:
    town = retrain_town()
    town.alarm()
    (pull,) = town.pulls()
    label(town, pull.number, "olga", "gitml:not-now 10d")
    assert run(town).how == "closed"
    town.look(8.5, drift="failed")
    town.look(drift="failed")
    assert run(town).how == ""
    town.look(drift="failed")
    assert run(town).how == "opened"


@pytest.mark.parametrize(("login", "text"), [("ada", "gitml:not-now 14d"), ("olga", "gitml:not-now soon")])
def test_a_label_without_a_role_or_a_time_does_not_count(retrain_town: Make, login: str, text: str) -> None:
    town = retrain_town()
    town.rules(decline=["operations"])
    town.alarm()
    (pull,) = town.pulls()
    label(town, pull.number, login, text)
    assert run(town).how == "unchanged"
    assert town.g.events("declined") == []
    assert any("does not count" in said or "says no time" in said for said in town.town.said)


def test_a_command_is_signed_with_one_s_own_key(retrain_town: Make) -> None:
    town = retrain_town()
    secret, public = generate()
    entry = {"public": public, "owner": "olga", "purposes": ["declined"], "from": "2026-01-01"}
    town.g.rules(keys={**town.g.policy["keys"], "olga": entry})
    order = DeclineOrder("delay", "drift", "the runway is closed", timedelta(days=30), signing_key(secret))
    with town.town.place("olga") as place:
        assert decline(place, order).until == town.town.now + 30 * DAY
    assert town.alarm().how == ""
    assert "olga said no to drift: the runway is closed (until 2026-03-31" in town.plan().why
    with town.town.place("olga") as place:
        with pytest.raises(UsageError, match="does not know this key"):
            decline(place, DeclineOrder("delay", "drift", "x", DAY, signing_key(generate()[0])))
        with pytest.raises(UsageError, match="does not say how other"):
            decline(place, DeclineOrder("other", "drift", "x", DAY, signing_key(secret)))
    town.rules(decline=["risk"])
    with town.town.place("olga") as place, pytest.raises(FailedError, match="holds none of the roles risk"):
        decline(place, order)
