"""The gate derives a retraining again: what does not follow from main and believed looks is somebody's work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import yaml

from gitml.control.looks import heard_looks
from gitml.control.signing import rules_of
from gitml.derivation import proposal
from gitml.derivation.claim import Claim, claim_of
from gitml.evidence.statement import Statement
from gitml.git.edit import Who, commit_tree
from retraining.retrain_town import DAY, RetrainTown

Make = Callable[..., RetrainTown]


def claimed(town: RetrainTown) -> tuple[Claim, dict[str, Statement], str]:
    """What the open one claims, the looks that are believed, and main."""
    (pull,) = town.pulls()
    with town.town.place() as place:
        main = place.newest(whole=True)
        place.git.text("fetch", "-q", "origin", pull.head.branch)
        claim = claim_of(place.git.text("show", "-s", "--format=%B", pull.head.commit))
        looks = heard_looks(place, rules_of(place, main.policy())).counting
    assert claim is not None
    return claim, {one.said.name: one.said.statement for one in looks if one.said.statement}, main.commit


def why_not(town: RetrainTown, claim: Claim, looks: dict[str, Statement], main: str, tree: str = "") -> str:
    with town.town.place() as place:
        made = tree or place.git.repository.tree_of(town.pulls()[0].head.commit) or ""
        commit = commit_tree(place.git, made, [claim.base], "x", Who("gitml-bot", "gitml-bot@noreply.invalid"))
        return proposal.why_not(place.git, commit, claim, looks, main)


def test_it_follows_from_its_looks_and_moment_and_from_no_others(retrain_town: Make) -> None:
    town = retrain_town()
    quiet = town.look()
    town.alarm()
    claim, looks, main = claimed(town)
    assert why_not(town, claim, looks, main) == ""
    later = f"{town.town.now + 30 * DAY:%Y-%m-%dT%H:%M:%SZ}"
    other_day = f"{town.town.now + DAY:%Y-%m-%dT%H:%M:%SZ}"
    for said, why in (
        (replace(claim, causes=claim.causes[:1]), "nothing that it names shows"),
        (replace(claim, causes=()), "nothing that it names shows"),
        (replace(claim, causes=(*claim.causes, quiet)), "nothing that it names shows"),
        (replace(claim, causes=(claim.causes[0],) * 2), "nothing that it names shows"),
        (replace(claim, moment=later), "nothing that it names shows"),
        (replace(claim, moment=other_day), "gives other files"),
        (replace(claim, moment=""), "names no moment"),
        (replace(claim, subject="delay harm"), "nothing that it names shows"),
        (replace(claim, subject="delay schedule"), "not trained again because of schedule"),
        (replace(claim, subject="delay by-hand", causes=()), "not trained again because of by-hand"),
        (replace(claim, subject="other drift"), "other is not trained again"),
        (replace(claim, subject=""), "gives other files"),
    ):
        assert why in why_not(town, said, looks, main), said
    assert "is not believed" in why_not(town, claim, {}, main)
    with town.town.place() as place:
        evil = place.git.repository.tree_of(main) or ""
    assert "gives other files" in why_not(town, claim, looks, main, evil)


@pytest.mark.slow
def test_looks_that_lie_too_far_apart_are_no_alarm(retrain_town: Make) -> None:
    town = retrain_town()
    old = town.look(drift="failed")
    town.look(8)
    town.alarm()
    claim, looks, main = claimed(town)
    assert "too far apart" in why_not(town, replace(claim, causes=(old, claim.causes[-1])), looks, main)


def test_a_schedule_follows_from_main_alone(retrain_town: Make) -> None:
    town = retrain_town(causes=["schedule"], every="60d")
    assert town.plan().why == "there is no cause"
    town.town.now += 60 * DAY
    assert town.run().how == "opened"
    (pull,) = town.pulls()
    outcome = town.g.one(pull.number)
    assert outcome.state.value == "success", outcome.line
    claim, looks, main = claimed(town)
    early = replace(claim, moment="2026-03-01T12:00:00Z")
    assert "nothing that it names shows" in why_not(town, early, looks, main)


def test_data_that_a_version_brought_are_not_new(retrain_town: Make) -> None:
    town = retrain_town(causes=["new_data"], data=["data/flights.dvc"], grown_by=0.5)

    def data(size: int) -> None:
        dvc = {"outs": [{"path": "flights", "size": size, "md5": f"{size:032x}", "hash": "md5"}]}
        town.town.push({"data/flights.dvc": yaml.safe_dump(dvc)})

    data(100)
    town.newer(2)
    town.town.now += 8 * DAY
    assert town.plan().why == "there is no cause"
    data(120)
    assert "the data must have grown by 50%" in town.plan().why
    data(160)
    assert town.run().how == "opened"
    (pull,) = town.pulls()
    assert "100 to 160 bytes" in pull.body
    assert town.g.one(pull.number).state.value == "success"
    town.town.now += timedelta(hours=1)
    town.newer(3)
    assert town.run().how == "closed"


def test_a_look_of_nobody_is_no_cause(retrain_town: Make) -> None:
    town = retrain_town()
    town.alarm()
    claim, looks, main = claimed(town)
    forged = {name: replace(one, details={}) for name, one in looks.items()}
    assert "which is no look" in why_not(town, claim, forged, main)
