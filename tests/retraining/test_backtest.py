"""A policy replayed over what is past opens and closes what the job really did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import pytest

from forges.homes import JOBS
from gitml.cijobs.retrainbacktest import backtested
from gitml.retraining.backtest import BackTest
from gitml.spec import Deployment
from promotion.promoting import pin
from retraining.retrain_town import RetrainTown

Make = Callable[..., RetrainTown]
Done = list[tuple[datetime, str]]


def played(town: RetrainTown, days: Sequence[str], promoted: int = -1) -> Done:
    """A look a day and the job after it: q, d and h fail, a dot is well. ``promoted``: what is open is merged that day,
    and its version becomes champion."""
    done: Done = []
    for number, said in enumerate(days):
        phases = {"q": {"quality": "failed"}, "d": {"drift": "failed"}, "h": {"harm": "failed", "drift": "failed"}}
        town.look(**phases.get(said, {}))
        if number == promoted:
            (pull,) = town.pulls()
            town.town.merge(pull.number)
            newer = town.newer(2)
            town.town.put("production", Deployment(champion=pin(newer)))
            town.champion = newer
        found = town.run()
        if found.how in ("opened", "closed"):
            kind = found.plan.cause.kind if found.plan.cause else ""
            done.append((town.town.now, f"{found.how} {kind}".strip()))
    return done


def replayed(town: RetrainTown, since: datetime) -> BackTest:
    with town.town.place(f"job:{JOBS}") as place:
        return backtested(place, since, town.town.now)


def events(found: BackTest) -> Done:
    opened = [(one.opened, f"opened {one.cause}") for one in found.opened]
    return sorted([*opened, *((one.ended, "closed") for one in found.opened if one.ended and one.how == "closed")])


@pytest.mark.slow
@pytest.mark.parametrize(
    "days", ["dd...h", *(pytest.param(days, marks=pytest.mark.nightly) for days in ("dd...d.dd.h", "qdqdd....dddd"))]
)
def test_it_opens_and_closes_what_the_job_did(retrain_town: Make, days: str) -> None:
    town = retrain_town()
    town.rules(cool_down="3d", runs=3)
    since = town.town.now
    done = played(town, days)
    found = replayed(town, since)
    assert [at for at, how in done if how.startswith("opened")]
    assert events(found) == done
    assert found == replayed(town, since)
    assert found.gpu_hours == 2.0 * len(found.opened)


@pytest.mark.slow
@pytest.mark.nightly
def test_over_two_months_with_a_promotion_a_refusal_and_quotas(retrain_town: Make) -> None:
    town = retrain_town()
    town.rules(cool_down="5d", runs=2)
    since = town.town.now
    done = played(town, "ddd.d..dd..hhhh.d" + "." * 8 + "ddd...hh...q.hh....dd..", promoted=2)
    assert len(done) >= 4
    found = replayed(town, since)
    assert events(found) == done
    assert found.opened[0].how == "merged"


def test_harm_that_brakes_kept_from_being_answered_is_named(retrain_town: Make) -> None:
    town = retrain_town()
    town.rules(open=["drift"], looks={"failed": 1, "of": 1})
    since = town.town.now
    town.look(harm="failed")
    town.look(harm="failed")
    (missed,) = replayed(town, since).missed
    assert (missed.brake, missed.moments) == ("person", 2)
    assert "gitml retrain open delay --cause harm" in missed.reason
