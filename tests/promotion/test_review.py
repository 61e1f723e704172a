"""`gitml review`: who may say that a model goes on, and what that opens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from gitml.cijobs.reviewposting import next_review, reviewed_models, tell_reviews
from gitml.cijobs.telling import Teller
from gitml.control.signing import heard
from gitml.errors import FailedError, UsageError
from gitml.evidence.keys import generate, signing_key
from gitml.forges.job import ForgeJob
from gitml.gate.judge import judge
from gitml.governance.approvals import decisions_of
from gitml.promotion.audit import AuditCall, audit
from gitml.promotion.review import ReviewOrder, SignedReview, review
from gitml.spec import Deployment, render_deployment
from gitml.verdict import Phase
from promotion.gating import Gated
from promotion.promoting import MemoryTown, pin


def test_a_review_renews_what_approvals_began(new_gated_here: Callable[..., Gated[MemoryTown]]) -> None:
    g = new_gated_here()
    pairs = {login: generate() for login in ("ada", "rita", "eve")}
    own = {
        login: {"public": public, "owner": login, "purposes": ["reviewed"], "from": "2026-01-01"}
        for login, (_, public) in pairs.items()
    }
    environments = {**g.policy["environments"]}
    environments["staging"] = {**environments["staging"], "gates": {"review_age": True}}
    g.rules(
        keys={**g.policy["keys"], **own},
        environments=environments,
        reviews={"high": "30d", "roles": ["risk", "data-science"]},
        roles={**g.policy["roles"], "data-science": {"people": ["ada"]}},
    )
    first = g.town.train(1)
    g.prove(first, "trained", by="ada")
    state = render_deployment(Deployment(champion=pin(first)))
    brought = g.town.pull_of({"models/delay/staging.yaml": state}, "side", "ada")
    g.town.merge(brought)
    second, number = g.ready(2)

    def said(login: str, result: str = "passed", key: str = "") -> SignedReview:
        order = ReviewOrder("delay@staging", result, "looked at it", signing_key(key or pairs[login][0]))  # type: ignore[arg-type]
        with g.town.place(login) as place:
            return review(place, order)

    def gate() -> tuple[Phase, str]:
        with g.ground() as (place, known):
            decision = judge(place, known, g.town.pull(number)).decision
            assert decision is not None
            found = decision.verdicts["review_age"]
            return found.phase, found.reason

    def findings(after: timedelta) -> list[str]:
        with g.place() as place:
            place.newest(whole=True)
            env = {"GITML_FORGE": "memory", "GITHUB_REPOSITORY": place.settings.repository}
            found = audit(place.root, env, AuditCall(fetch=True), now=g.town.now + after)
        return [one.kind.value for one in found.findings if "review" in one.kind.value]

    def monitor(after: timedelta) -> list[tuple[bool, dict[int, str]]]:
        with g.place() as place:
            now = g.town.now + after
            main = place.newest(whole=True)
            teller = Teller(replace(place, clock=lambda: now), main, ForgeJob(is_ci=True, run=1, attempt=1), {})
            models = list(reviewed_models(main, heard(place, main.policy()).believed))
            assert next_review(models, now) > now
            return [(one.is_due, dict(one.comments)) for one in tell_reviews(teller, models)]

    assert monitor(timedelta()) == [(True, {brought: "posted"})]
    assert gate() == (Phase.INCONCLUSIVE, "no review of delay is signed, and it runs")
    assert findings(timedelta()) == ["never-reviewed"]
    with pytest.raises(FailedError, match=r"ada may not pass .* ada is"):
        said("ada")
    with pytest.raises(FailedError, match="eve holds none of these roles"):
        said("eve")
    with pytest.raises(UsageError, match="does not know this key"):
        said("rita", key=generate()[0])
    assert g.events("reviewed") == [], "what cannot count is not signed"

    done = said("rita")
    assert (done.version, done.by) == (first.version, "rita")
    assert gate()[0] is Phase.SUCCESSFUL
    assert findings(timedelta(days=29)) == []
    assert monitor(timedelta(days=29)) == [(False, {brought: "updated"})], "the comment says who reviewed it"
    assert monitor(timedelta(days=32)) == [(True, {brought: "posted"})], "a new comment: an edit notifies nobody"
    assert findings(timedelta(days=32)) == ["review-overdue"]
    said("ada", "failed")
    assert monitor(timedelta(days=1)) == [(True, {brought: "posted"})]
    assert gate()[0] is Phase.FAILED, "who made it may say that it is bad"
    assert findings(timedelta()) == ["review-overdue"]
    told = [(one.about, one.result, one.people) for one in decisions_of(g.events(), first)]
    assert told == [("reviewed", "passed", ("rita",)), ("reviewed", "failed", ("ada",))]
    assert decisions_of(g.events(), second) == ()


def test_what_the_maker_signed_all_the_same_does_not_count() -> None:
    from gitml.gates.review_age import last_review
    from policy.kit import NOW, proof

    trained = proof("trained", by="Ada")
    mine = proof("reviewed", by="ada", time=NOW)
    assert last_review([trained, mine], "delay") is None
    assert last_review([trained, proof("reviewed", by="rita", time=NOW)], "delay") is not None
    assert last_review([trained, replace(mine, why_not="no key")], "delay") is None
    for approved, counts in (
        ({"approvers": ["rita"], "move": "promotion"}, True),
        ({"approvers": ["rita"], "move": "rollback"}, False),
        ({"approvers": [], "move": "promotion"}, False),
    ):
        assert (last_review([proof("approved", details=approved)], "delay") is not None) is counts
