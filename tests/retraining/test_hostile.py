"""What a branch, a commit or a label of somebody else claims gains nothing, and keeps nobody else from a retraining."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import yaml

from gitml.cijobs.retraining import open_by_hand
from gitml.control.signing import Signer, bound
from gitml.derivation.claim import Claim, claim_of
from gitml.derivation.retrain import over_quota
from gitml.evidence.keys import generate, signing_key
from gitml.evidence.statement import Statement
from gitml.git.bot import BOT_EMAIL
from gitml.spec import Deployment
from gitml.spec.deployment import Canary, Hold
from promotion.promoting import pin, push_as
from retraining.retrain_town import DAY, RULES, RetrainTown
from retraining.test_declining import label, run
from retraining.test_deriving import claimed, why_not
from sandbox.forge_kit import git

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


def test_a_commit_that_claims_an_odd_moment_stops_no_job(retrain_town: Make) -> None:
    town = retrain_town()
    town.alarm()
    (pull,) = town.pulls()
    git(town.town.main, "fetch", "-q", "origin", pull.head.branch)
    git(town.town.main, "checkout", "-q", "--detach", pull.head.commit)
    said = git(town.town.main, "show", "-s", "--format=%B")
    claim = claim_of(said)
    assert claim is not None
    for moment in ("2026-03-02", "2026-03-02T12:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z"):
        git(town.town.main, "commit", "-q", "--allow-empty", "-m", said.replace(claim.moment, moment))
        push_as(town.town, pull.head.branch, "ada")
        assert run(town).model == "delay"
        git(town.town.main, "reset", "-q", "--hard", pull.head.commit)


def with_new_data(retrain_town: Make) -> RetrainTown:
    """A town where a retraining is open because data came."""
    town = retrain_town(causes=["new_data"], data=["data/flights.dvc"])
    for size in (100, 160):
        dvc = {"outs": [{"path": "flights", "size": size, "md5": f"{size:032x}", "hash": "md5"}]}
        town.town.push({"data/flights.dvc": yaml.safe_dump(dvc)})
        if size == 100:
            town.newer(2)
            town.town.now += 8 * DAY
    assert town.run().how == "opened"
    return town


def test_new_data_are_none_before_they_came(retrain_town: Make) -> None:
    """Else whoever writes the claim chooses the moment, and with it the window that is trained."""
    town = with_new_data(retrain_town)
    claim, looks, main = claimed(town)
    assert why_not(town, claim, looks, main) == ""
    early = replace(claim, moment="2020-01-01T00:00:00Z")
    assert "nothing that it names shows" in why_not(town, early, looks, main)


@pytest.mark.parametrize(("by", "held"), [("rita", False), ("olga", True)])
def test_a_no_is_that_of_the_key_and_lasts_a_year_at_most(retrain_town: Make, by: str, *, held: bool) -> None:
    town = retrain_town()
    secret, public = generate()
    entry = {"public": public, "owner": "olga", "purposes": ["declined"], "from": "2026-01-01"}
    town.g.rules(keys={**town.g.policy["keys"], "olga": entry})
    until = "9999-12-31T23:59:59+00:00"
    with town.g.ground() as (place, known):
        about = bound(place, "declined", "", model="delay", by=by, head=town.town.branch("main"))
        said = Statement(about, {"cause": "drift", "reason": "x", "until": until, "since": "2026-03-01T00:00:00+00:00"})
        Signer(place, known.policy, signing_key(secret)).sign([said])
    assert town.alarm().how == ("" if held else "opened")
    if held:
        assert "(until 2027-" in town.plan().why


def test_a_no_counts_by_the_roles_of_when_it_was_said(retrain_town: Make) -> None:
    """Who gets the role later said nothing; who loses it later said it, and a key alone is no right."""
    town = retrain_town()
    (olga, olgas), (ada, adas) = generate(), generate()
    keys = {
        login: {"public": public, "owner": login, "purposes": ["declined"], "from": "2026-01-01"}
        for login, public in (("olga", olgas), ("ada", adas))
    }
    town.g.rules(keys={**town.g.policy["keys"], **keys}, retraining={**RULES, "decline": ["operations"]})
    with town.g.ground() as (place, known):
        for login, secret, kind in (("olga", olga, "harm"), ("ada", ada, "drift")):
            about = bound(place, "declined", "", model="delay", by=login, head=town.town.branch("main"))
            said = Statement(about, {"cause": kind, "reason": "x", "until": "2026-12-31T00:00:00+00:00"})
            Signer(place, known.policy, signing_key(secret)).sign([said])
    town.town.now += DAY
    town.g.rules(roles={"operations": {"people": ["ada"]}, "risk": {"people": ["rita"]}})
    town.look(1, drift="failed", harm="failed")
    town.look(1, drift="failed", harm="failed")
    found = town.plan()
    assert {one.cause.kind: [b.name for b in one.brakes] for one in found.causes} == {"harm": ["declined"], "drift": []}


@pytest.mark.parametrize(
    ("brake", "words"),
    [
        ("freeze", "production is frozen: the holidays"),
        ("contract", "the data break their contract"),
        ("hold", "production is held by olga: an audit"),
        ("candidate", "is tried beside the champion of production, and is undecided"),
        ("cool-down", "delay was trained on"),
    ],
)
def test_the_gate_tells_of_a_retraining_that_was_opened_although_it_was_forbidden(
    retrain_town: Make, brake: str, words: str
) -> None:
    town = retrain_town()
    town.alarm()
    claim, looks, main = claimed(town)
    assert why_not(town, claim, looks, main) == ""
    if brake == "contract":
        newest = claim.causes[-1]
        details = copy.deepcopy(dict(looks[newest].details))
        details["look"]["verdicts"]["quality"] = {"phase": "failed", "reason": "temp is away", "measurements": {}}
        looks = {**looks, newest: replace(looks[newest], details=details)}
    elif brake == "cool-down":
        town.newer(2)
        claim = replace(claim, base=claimed(town)[2])
    elif brake in ("hold", "candidate"):
        state = Deployment(champion=pin(town.champion), hold=Hold(by="olga", reason="an audit"))
        if brake == "candidate":
            other = pin(town.newer(2))
            state = Deployment(champion=pin(town.champion), canary=Canary(**other.model_dump(), weight=10))
        town.town.put("production", state)
        claim = replace(claim, base=claimed(town)[2])
        assert next(one.name for one in town.plan().brakes) == ("canary" if brake == "candidate" else brake)
    else:
        freeze = {"reason": "the holidays", "from": "2026-01-01", "until": "2026-12-31"}
        town.g.rules(freezes=[freeze])
        main = claimed(town)[2]
        claim = replace(claim, base=main)
    said = why_not(town, claim, looks, main if brake in ("freeze", "contract") else claim.base)
    assert "was asked for although nobody may" in said
    assert words in said


def test_the_gate_counts_what_the_bot_asked_for_before(retrain_town: Make) -> None:
    """Also what people closed; the same one again is no other, and another model's is not its."""
    town = retrain_town()
    town.alarm()
    claim, _, _ = claimed(town)
    moments = ("2026-01-01T00:00:00Z", "2026-02-25T00:00:00Z", "2026-02-26T00:00:00Z", claim.moment)
    earlier = [replace(claim, moment=moment) for moment in moments]
    others = [replace(claim, moment=f"2026-02-2{n}T00:00:00Z", subject="other drift") for n in range(9)]
    others.append(Claim(claim.kind, claim.base))
    later = replace(claim, moment=f"{town.town.now + DAY:%Y-%m-%dT%H:%M:%SZ}")
    with town.town.place() as place:
        for rules, words in (
            ({"gpu_hours": 6}, ""),
            ({"runs": 2}, "2 retrainings in 30 days, at most 2 are allowed"),
            ({"gpu_hours": 5}, "6 GPU hours in 30 days with this one, at most 5 are allowed"),
        ):
            town.rules(**rules)
            place.git.text("fetch", "-q", "origin")
            base = replace(claim, base=place.git.text("rev-parse", "origin/main").strip())
            said = over_quota(place.git, base, [*earlier, *others])
            assert (words in said) if words else said == ""
            assert "8 GPU" in over_quota(place.git, base, [*earlier, later]) or "gpu_hours" not in rules, (
                "claimed early"
            )


def test_who_opens_one_in_the_cool_down_is_its_author(retrain_town: Make) -> None:
    town = retrain_town()
    town.look(drift="failed")
    town.look(drift="failed")
    town.newer(2)
    assert [one.name for one in town.plan().causes[0].brakes] == ["cool-down"]
    with town.town.place("ada") as place:
        assert open_by_hand(place, "delay", "drift", "the fares of May").how == "opened"
        (pull,) = town.pulls()
        assert place.git.text("show", "-s", "--format=%an", pull.head.commit).strip() != "gitml-bot"


def test_the_gate_judges_a_claim_of_an_impossible_moment(retrain_town: Make) -> None:
    """One branch stops no gate: what it claims is evaluated, and fails in words."""
    town = with_new_data(retrain_town)
    (pull,) = town.pulls()
    clone = town.town.main
    git(clone, "fetch", "-q", "origin", pull.head.branch)
    git(clone, "checkout", "-q", "--detach", pull.head.commit)
    said = git(clone, "show", "-s", "--format=%B")
    claim = claim_of(said)
    assert claim is not None
    bot = {f"GIT_{role}_EMAIL": BOT_EMAIL for role in ("AUTHOR", "COMMITTER")}
    said = said.replace(claim.moment, "0001-01-01T00:00:00+14:00")
    git(clone, "commit", "-q", "--amend", "--allow-empty", "-m", said, env=bot)
    push_as(town.town, pull.head.branch, "ada")
    outcome = town.g.one(pull.number)
    assert outcome.state.value == "failure", outcome.line
    assert "nothing that it names shows the cause new_data" in str(outcome)
