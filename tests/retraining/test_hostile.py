"""What a branch, a commit or a label of somebody else claims gains nothing, and keeps nobody else from a retraining."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import yaml

from conftest import git
from gitml.control.signing import Signer, bound
from gitml.derivation.claim import claim_of
from gitml.evidence.keys import generate, signing_key
from gitml.evidence.statement import Statement
from promotion.promoting import push_as
from retraining.retrain_town import DAY, RetrainTown
from retraining.test_declining import label, run
from retraining.test_deriving import claimed, why_not

Make = Callable[..., RetrainTown]


def close(town: RetrainTown, number: int, login: str) -> None:
    with town.town.hub(login) as hub:
        hub.merges.close(number)


def test_a_label_without_a_role_takes_no_refusal_back(retrain_town: Make) -> None:
    town = retrain_town()
    town.rules(decline=["operations"])
    town.alarm()
    (pull,) = town.pulls()
    close(town, pull.number, "olga")
    label(town, pull.number, "ada")
    town.look(8, drift="failed")
    town.look(drift="failed")
    assert run(town).how == ""
    assert "was closed" in town.plan().why


def test_a_label_without_a_role_hides_none_that_counts(retrain_town: Make) -> None:
    town = retrain_town()
    town.rules(decline=["operations"])
    town.alarm()
    (pull,) = town.pulls()
    label(town, pull.number, "olga")
    label(town, pull.number, "ada", "gitml:not-now 1d")
    assert run(town).how == "closed"
    (signed,) = town.g.events("declined")
    assert signed.statement is not None
    assert signed.statement.binding.by == "olga"


@pytest.mark.parametrize(
    "moment", ["2026-03-02", "2026-03-02T12:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z"]
)
def test_a_commit_that_claims_an_odd_moment_stops_no_job(retrain_town: Make, moment: str) -> None:
    town = retrain_town()
    town.alarm()
    (pull,) = town.pulls()
    git(town.town.main, "fetch", "-q", "origin", pull.head.branch)
    git(town.town.main, "checkout", "-q", "--detach", pull.head.commit)
    said = git(town.town.main, "show", "-s", "--format=%B")
    claim = claim_of(said)
    assert claim is not None
    git(town.town.main, "commit", "-q", "--allow-empty", "-m", said.replace(claim.moment, moment))
    push_as(town.town, pull.head.branch, "ada")
    assert run(town).model == "delay"
    assert town.plan().model == "delay"


def test_new_data_are_none_before_they_came(retrain_town: Make) -> None:
    """Else whoever writes the claim chooses the moment, and with it the window that is trained."""
    town = retrain_town(causes=["new_data"], data=["data/flights.dvc"])

    def data(size: int) -> None:
        dvc = {"outs": [{"path": "flights", "size": size, "md5": f"{size:032x}", "hash": "md5"}]}
        town.town.push({"data/flights.dvc": yaml.safe_dump(dvc)})

    data(100)
    town.newer(2)
    town.town.now += 8 * DAY
    data(160)
    assert town.run().how == "opened"
    claim, looks, main = claimed(town)
    assert why_not(town, claim, looks, main) == ""
    early = replace(claim, moment="2020-01-01T00:00:00Z")
    assert "nothing that it names shows" in why_not(town, early, looks, main)


@pytest.mark.parametrize(("by", "held"), [("olga", False), ("ada", True)])
def test_a_no_is_that_of_the_key_and_lasts_a_year_at_most(retrain_town: Make, by: str, *, held: bool) -> None:
    town = retrain_town()
    secret, public = generate()
    entry = {"public": public, "owner": "ada", "purposes": ["declined"], "from": "2026-01-01"}
    town.g.rules(keys={**town.g.policy["keys"], "ada": entry})
    until = "9999-12-31T23:59:59+00:00"
    with town.g.ground() as (place, known):
        about = bound(place, "declined", "", model="delay", by=by, head=town.town.branch("main"))
        said = Statement(about, {"cause": "drift", "reason": "x", "until": until, "since": "2026-03-01T00:00:00+00:00"})
        Signer(place, known.policy, signing_key(secret)).sign([said])
    assert town.alarm().how == ("" if held else "opened")
    if held:
        assert "(until 2027-" in town.plan().why
