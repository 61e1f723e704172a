"""A new champion in another repository becomes a pull request here, and only where it is signed there and here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from forges.homes import job_token
from gitml.cijobs.lookposting import publish
from gitml.cijobs.retrainbacktest import backtested
from gitml.cijobs.retraining import open_by_hand
from gitml.cijobs.upstreamtelling import ToldUpstreams
from gitml.derivation.claim import Claim
from gitml.evidence.keys import generate, signing_key
from gitml.forges.base import State
from gitml.forges.job import ForgeJob
from gitml.promotion.gate import GateOrder, gate
from gitml.reports.escape import GAP
from gitml.verdict import Phase, Verdict
from promotion.gating import keys
from promotion.looking import sign_look
from promotion.promoting import push_as
from promotion.upstreaming import made
from retraining.retrain_town import DAY, RetrainTown, build_on
from retraining.two_repositories import DELAY, NEW, OLD, TwoRepositories, beside, beside_on
from sandbox.forge_kit import Kit, git

pytestmark = pytest.mark.slow


@pytest.fixture
def two(retrain_town: Callable[..., RetrainTown], tmp_path: Path) -> TwoRepositories:
    return beside(retrain_town(), tmp_path / "up")


def test_what_runs_there_is_signed_here_and_the_gate_derives_the_commit_from_that_alone(two: TwoRepositories) -> None:
    two.serving(NEW)
    done = two.run()
    assert (done.how, done.problem) == ("opened", "")
    outcome = two.town.g.one(done.pull)
    assert outcome.state is State.SUCCESS, outcome.line
    claim, told, _ = two.claimed()
    (seen,) = claim.causes
    assert (told[seen].binding.version, told[seen].details["runs"]) == (DELAY.version, NEW.version)
    two.serving(OLD)
    assert two.run().how == "closed"


@pytest.mark.nightly
def test_it_is_signed_once_with_the_key_and_names_what_counts_at_its_moment(two: TwoRepositories) -> None:
    town = two.town
    assert two.plan().why == "there is no cause"
    two.serving(NEW)
    assert two.run(key=False).problem == f"nothing signs that {two.url}:demand has another champion"
    assert town.pulls() == []
    assert (two.run().how, two.run().how, len(town.g.events("observed"))) == ("opened", "unchanged", 1)
    claim, told, _ = two.claimed()
    (seen,) = claim.causes
    ahead = replace(told[seen], details={**told[seen].details, "since": "2999-01-01T00:00:00Z"})

    def at(days: int) -> Claim:
        return replace(claim, moment=f"{town.town.now + days * DAY:%Y-%m-%dT%H:%M:%SZ}")

    with two.judging() as why_not:
        assert why_not(claim, told) == ""
        assert "nothing that it names shows the cause" in why_not(replace(claim, causes=()), told)
        assert "is not believed" in why_not(claim, {})
        for said, known in ((claim, ahead), (at(3), told[seen]), (at(-1), told[seen])):
            assert "says nothing of that moment" in why_not(said, {seen: known})
        other = replace(told[seen], details={**told[seen].details, "need": "other"})
        assert "says nothing of what delay needs" in why_not(claim, {seen: other})


@pytest.mark.nightly
def test_a_repository_that_cannot_be_read_opens_nothing_and_closes_nothing(two: TwoRepositories) -> None:
    there = two.up.town.forge.remote
    away = there.with_name("away.git")
    two.serving(NEW)
    there.rename(away)
    done = two.run()
    assert (done.how, done.problem) == ("", "")
    assert done.plan.why.startswith(f"upstream: not known: {two.url}:demand in production: ")
    away.rename(there)
    assert two.run().how == "opened"
    there.rename(away)
    two.town.town.now += 3 * DAY
    done = two.run()
    assert (done.how, done.plan.do) == ("unchanged", "keep")
    assert "is open for upstream, and whether it still applies is not known: " in done.plan.why
    # What was signed days ago opens nothing either, once people have closed this one and the network is still gone.
    two.town.town.close(done.pull)
    assert two.run().plan.do == "nothing"
    with two.place() as place:
        found = backtested(place, place.clock() - 5 * DAY, place.clock())
    assert [(one.cause, one.how) for one in found.opened] == [("upstream", "open")]


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("lie", "words"),
    [
        ("nothing signed", "no signed evidence says that it came there"),
        ("signed here", "no signed evidence says that it came there"),
        ("keys that its policy does not name", "no signed evidence says that it came there"),
        ("dated ahead", "which is yet to come"),
        ("dated beyond all calendars", "to a time that no calendar has"),
        ("other bytes", "runs there in other bytes than"),
        ("agents deny it", "no agent has said yet that it serves"),
        ("no policy", "policy.yaml"),
        ("ledger rewritten", "its ledger cannot be read: the branch gitml-ledger was rewritten"),
    ],
)
def test_what_a_repository_says_of_itself_must_hold_together(two: TwoRepositories, lie: str, words: str) -> None:
    up = two.up
    assert two.plan().why == "there is no cause"
    if lie in ("nothing signed", "signed here"):
        two.serving(NEW, signed="")
        up.prove(NEW, "promoted", environment="staging")
        if lie == "signed here":
            two.town.g.prove(NEW, "promoted", environment="production")
    elif lie == "dated ahead":
        two.serving(NEW, signed="", ahead=DAY)
        up.town.now = two.town.town.now
        up.prove(NEW, "promoted", environment="production")
    elif lie == "dated beyond all calendars":
        two.serving(NEW)
        git(up.town.main, "commit", "-q", "--amend", "--no-edit", env={"GIT_COMMITTER_DATE": "@253402300800 +0000"})
        push_as(up.town, "main", "ada")
    elif lie == "other bytes":
        two.serving(made("demand", 1, files={"demand.skops": {"sha256": "ab" * 32, "size": 9}}), known=OLD)
    else:
        if lie == "agents deny it":
            up.prove(OLD, "deployed", environment="production")
        if lie == "ledger rewritten":
            up.town.home.move("ada", "gitml-ledger", None)
        two.serving(NEW)
        if lie == "keys that its policy does not name":
            up.rules(keys=keys(generate()[1]))
        if lie == "no policy":
            up.town.push({"policy.yaml": "roles: {}\n"})
    done = two.run()
    assert (done.how, done.problem) == ("", "")
    assert words in done.plan.why
    assert two.town.g.events("observed") == []


@pytest.mark.nightly
def test_a_person_asks_without_the_key_and_is_its_author(two: TwoRepositories) -> None:
    two.serving(NEW)
    with two.town.town.place("ada") as place:
        done = open_by_hand(place, "delay", "upstream", "the new demand is in")
        assert (done.how, done.problem) == ("opened", "")
        (pull,) = two.town.pulls()
        assert place.git.text("show", "-s", "--format=%an", pull.head.commit).strip() == "ada"
    assert two.town.g.events("observed") == []


@pytest.mark.nightly
def test_an_alarm_there_is_named_on_the_retraining_until_it_ends(two: TwoRepositories) -> None:
    secret, public = generate()
    monitor = {"public": public, "owner": "CI", "purposes": ["look"], "from": "2026-01-01"}
    two.up.rules(keys={**two.up.policy["keys"], "monitor": monitor})
    two.serving(NEW)
    assert two.run().how == "opened"
    (pull,) = two.town.pulls()

    def look_and_tell(hours: int, drift: str) -> tuple[ToldUpstreams, ...]:
        sign_look(two.up, signing_key(secret), NEW, "production", timedelta(hours=hours), drift=drift)
        with two.place() as place:
            return publish(place, ForgeJob(is_ci=True, run=100 - hours, attempt=1), {"PATH": ""}).upstreams

    assert [told.comments for told in look_and_tell(40, "successful")] == [{}]
    assert [told.comments for told in look_and_tell(30, "failed")] == [{pull.number: "posted"}]
    (comment,) = [body for body in two.town.town.comments(pull.number) if "is built on" in body]
    assert "alarms in `production` since the window that ended 2026-02-28 06:00 UTC" in comment
    assert [told.comments for told in look_and_tell(10, "successful")] == [{pull.number: "updated"}]


@pytest.mark.nightly
def test_two_repositories_of_a_forge_with_a_token_that_may_read_and_one_that_may_not(kit: Kit, tmp_path: Path) -> None:
    (tmp_path / "down").mkdir()
    town = build_on(kit, tmp_path / "down")
    two = beside_on(kit, town, tmp_path / "up")
    two.needs(token="DEMAND_TOKEN")
    ways = {"approvals": {"operations": 1}, "gates": {"upstream": "required"}}
    town.g.rules(environments={"staging": ways, "production": ways})
    town.g.prove(DELAY, "trained", "evaluated")
    number = town.town.promote(DELAY, "staging").pull.number

    def judged() -> Verdict:
        with two.place() as place:
            (outcome,) = gate(place, GateOrder((number,), official=True, key=town.g.key))
        assert outcome.judged is not None
        assert outcome.judged.decision is not None
        return outcome.judged.decision.verdicts["upstream"]

    assert "the secret DEMAND_TOKEN is not set here" in two.plan().why
    two.token = job_token(kit, town.town.repo)
    assert f"{two.url}:demand cannot be read" in two.plan().why
    assert judged().phase is Phase.INCONCLUSIVE
    two.token = job_token(kit, two.up.town.repo, contents="read")
    two.now()
    assert two.plan().why == "there is no cause"
    assert "nothing is deployed there" in judged().reason, "in staging, where this one goes"
    two.needs(token="DEMAND_TOKEN", **{"in": "production"})
    assert judged().phase is Phase.SUCCESSFUL
    two.serving(NEW)
    two.now()
    done = two.run()
    assert (done.how, done.problem) == ("opened", "")
    (pull,) = town.pulls()
    outcome = town.g.one(pull.number)
    assert outcome.state is State.SUCCESS, outcome.line
    assert judged().phase is Phase.FAILED
    assert NEW.version in pull.body.replace(GAP, "")
    assert two.token not in str((pull.body, town.town.said, two.plan()))
    two.serving(OLD)
    two.now()
    assert two.run().how == "closed"
