"""After a merge: promotions that are due are opened, those that are overtaken closed."""

from collections.abc import Callable

import pytest

from gitml.cijobs.propose import Turn, propose, starter
from gitml.control.change import requested_by
from gitml.derivation import proposal
from gitml.derivation.claim import Claim, claim_of
from gitml.evidence.keys import generate
from gitml.forges.base import NewPull
from gitml.forges.governed import Account
from gitml.spec import Deployment
from gitml.spec.deployment import Canary, Hold, Shadow
from promotion.promoting import POLICY, MemoryTown, Town, pin, push_as, record
from promotion.test_rollback import tell
from sandbox.forge_kit import commit, git

Build = Callable[[], MemoryTown]
BOT = "gitml-bot[bot]"


@pytest.fixture
def build(new_town_here: Build) -> Build:
    def made() -> MemoryTown:
        t = new_town_here()
        t.home.let(BOT, "write")
        return t

    return made


def proposed(t: Town, by: str = "") -> dict[str, Turn]:
    with t.place(BOT) as place:
        return {turn.environment: turn for turn in propose(place, t.home.person(by) if by else None)}


def test_a_new_version_is_proposed_once_for_the_first_environment(build: Build) -> None:
    t = build()
    t.train(1)
    two = t.train(2)
    first = proposed(t, "rita")
    assert set(first) == {"staging"}
    done = first["staging"].proposed
    assert done is not None
    assert (done.version, done.how, done.asked.done.people) == (two.version, "opened", ("olga",))
    pull = t.pull(done.pull.number)
    assert pull.author == BOT
    (made,) = t.commits(done.pull.number)
    assert made.claims[0].name == "gitml-bot"
    assert requested_by(made.message) == (), "it follows from main, whoever merged or started what"
    claim = claim_of(made.message)
    assert claim == Claim("promotion", t.tip, moment=claim.moment if claim else "", subject="delay staging")
    again = proposed(t)["staging"].proposed
    assert again is not None
    assert again.how == "unchanged"
    t.close(done.pull.number)
    assert proposed(t)["staging"].said == f"#{done.pull.number} proposed {two.digest[:8]}, and was closed"
    assert t.pulls() == []


def test_a_newer_version_closes_the_older_promotion(build: Build) -> None:
    t = build()
    t.train(1)
    first = proposed(t)["staging"].proposed
    assert first is not None
    two = t.train(2)
    turn = proposed(t)["staging"]
    assert turn.proposed is not None
    assert (turn.proposed.version, turn.closed) == (two.version, (first.pull.number,))


def test_what_main_has_overtaken_is_closed(build: Build) -> None:
    t = build()
    one, two = t.train(1), t.train(2)
    old = t.promote(one, anyway=True)
    commit = t.put("staging", Deployment(champion=pin(two)))
    assert proposed(t)["staging"].closed == (old.pull.number,)
    (comment,) = t.comments(old.pull.number)
    assert comment == f"Overtaken: {two.version}, which is newer, answers there, by {commit}."


def test_where_none_becomes_champion_untried_it_comes_as_a_candidate_and_waits_for_the_one_before(build: Build) -> None:
    t = build()
    one = t.train(1)
    t.put("staging", Deployment(champion=pin(one)))
    asked = {**POLICY["environments"]["staging"], "gates": {"canary": True}}
    t.policy(environments={"staging": {**asked, "canary": {"steps": [5, 50]}}})
    two = t.train(2)
    done = proposed(t)["staging"].proposed
    assert done is not None
    wanted = Deployment(champion=pin(one), canary=Canary(**pin(two).model_dump(), weight=5))
    assert (done.pull.title, t.state("staging", done.pull.head.commit)) == (
        f"Promote delay@{two.digest[:8]} to staging as canary", wanted,
    )  # fmt: skip
    (made,), claim = t.commits(done.pull.number), claim_of(t.commits(done.pull.number)[0].message)
    assert claim is not None
    with t.place(BOT) as place:
        assert proposal.why_not(place.git, made.commit, claim, {}, t.tip) == "", "the gate derives the same"
    t.put("staging", wanted)
    three = t.train(3)
    assert proposed(t)["staging"].said == f"{two.version} is tried beside the champion of staging, and is undecided"
    t.put("staging", Deployment(champion=pin(one)))
    t.policy(environments={"staging": {**asked, "canary": {"modes": ["shadow"]}}})
    done = proposed(t)["staging"].proposed
    assert done is not None
    beside = Deployment(champion=pin(one), shadow=(Shadow(**pin(three).model_dump()),))
    assert t.state("staging", done.pull.head.commit) == beside, "what risks nothing comes first, where it may decide"


def test_holds_freezes_and_replaced_versions_keep_it_back(build: Build) -> None:
    t = build()
    one, two = t.train(1), t.train(2)
    t.put("staging", Deployment(champion=pin(one), hold=Hold(by="olga", reason="looking")))
    assert proposed(t)["staging"].said == "held by olga: looking"
    t.put("staging", Deployment(champion=pin(one)))
    t.policy(freezes=[{"from": "2026-02-20", "until": "2026-03-10", "reason": "Easter"}])
    assert "frozen until" in proposed(t)["staging"].said
    t.policy()
    t.put("staging", Deployment(champion=pin(two)))
    t.put("staging", Deployment(champion=pin(one)))
    assert "ran there before, and was replaced" in proposed(t)["staging"].said
    assert t.pulls() == []


def test_what_main_could_not_use_is_not_proposed(build: Build) -> None:
    t = build()
    one = t.train(1)
    private, public = generate()
    t.policy(keys={"ci": {"public": public, "owner": "CI", "purposes": ["evaluated"], "from": "2020-01-01"}})
    about = {"model": "delay", "version": one.version, "artifact": one.files[one.artifact].sha256}
    tell(t, private, "evaluated", {**about, "result": "failed"}, {"reason": "opset 99 is not known"})
    said = proposed(t)["staging"].said
    assert said == f"{one.digest[:8]} could not be used by main's own job: opset 99 is not known"
    assert not t.pulls()


def test_the_next_environment_when_policy_says_so(build: Build) -> None:
    t = build()
    one = t.train(1)
    t.put("staging", Deployment(champion=pin(one)))
    assert "production" not in proposed(t)
    wants = {"environments": {**POLICY["environments"], "production": {"propose": True}}}
    private, public = generate()
    key = {"public": public, "owner": "agent", "purposes": ["deployed"], "from": "2020-01-01"}
    t.policy(**wants, keys={"agent": key})
    other = {"model": "price", "environment": "staging", "version": one.version, "artifact": "0" * 64}
    tell(t, private, "deployed", other)
    assert "no agent has said yet" in proposed(t)["production"].said
    tell(t, private, "deployed", {**other, "model": "delay", "artifact": one.files[one.artifact].sha256})
    done = proposed(t)["production"].proposed
    assert done is not None
    assert (done.environment, done.version) == ("production", one.version)
    (made,) = t.commits(done.pull.number)
    claim = claim_of(made.message)
    assert claim is not None
    assert [cause.split("-")[1] for cause in claim.causes] == ["deployed"]


def test_without_a_statement_to_follow_from_it_names_who_brought_the_environment_before(build: Build) -> None:
    t = build()
    one = t.train(1)
    t.policy(environments={**POLICY["environments"], "production": {"propose": True}})
    t.put("staging", Deployment(champion=pin(one)))
    done = proposed(t, "rita")["production"].proposed
    assert done is not None
    (made,) = t.commits(done.pull.number)
    assert claim_of(made.message) is None
    assert requested_by(made.message) == (t.home.person("ada"), t.home.person("rita"))
    assert "Asked for by `ada`, `rita`" in t.pull(done.pull.number).body


def test_who_merged_the_training_may_approve_and_who_made_it_may_not(build: Build) -> None:
    t = build()
    git(t.main, "checkout", "-q", "-b", "feature")
    made = record(77)
    commit(t.main, f"models/delay/versions/{made.version}.json", made.to_json())
    push_as(t, "feature", "ada")
    git(t.main, "checkout", "-q", "main")
    with t.hub() as hub:
        number = hub.pulls.open(NewPull("x", "feature", "main")).number
    t.merge(number, "olga", "squash")
    done = proposed(t)["staging"].proposed
    assert done is not None
    (head,) = t.commits(done.pull.number)
    assert requested_by(head.message) == ()
    body = t.pull(done.pull.number).body
    assert f"#{number}" in body
    assert "made by | `ada`" in body
    assert done.asked.done.people == ("olga",)


def test_who_started_it_by_hand() -> None:
    env = {"GITHUB_ACTOR": "ada", "GITHUB_ACTOR_ID": "5", "GITHUB_EVENT_NAME": "workflow_dispatch"}
    assert starter(env) == Account("ada", 5)
    assert starter({**env, "GITHUB_EVENT_NAME": "push"}) is None
    assert starter({**env, "GITHUB_EVENT_NAME": "push", "GITHUB_TRIGGERING_ACTOR": "eve"}) == Account("eve", 0)
    assert starter({**env, "GITHUB_ACTOR": BOT}) is None
    assert starter({}) is None
    assert requested_by("x\n\nGitml-Requested-By: eve\n") == (Account("eve", 0),)
