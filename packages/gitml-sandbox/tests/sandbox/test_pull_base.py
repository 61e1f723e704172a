"""Pull requests that are pointed at another base."""

from __future__ import annotations

from sandbox.forge_kit import Kit
from sandbox.rest_kit import seeded
from sandbox.test_merge_rules import STRICT, reason


def test_an_approval_is_not_taken_along_to_another_base(kit: Kit) -> None:
    """A small change to a branch that nobody protects is approved, then pointed at main with all that branch holds."""
    _, ada, olga, rita = seeded(kit)
    ada.branch("side")
    ada.write("evil.txt", "evil\n", "side")
    ada.branch("small", "side")
    ada.write("small.txt", "small\n", "small")
    number = ada.post("pulls", title="Small", head="small", base="side")["number"]
    ada.protect(required_pull_request_reviews={**STRICT, "require_last_push_approval": True})
    olga.review(number)
    assert "no new commits" in ada.patch(f"pulls/{number}", expect=422, base="small")["errors"][0]["message"]
    ada.patch(f"pulls/{number}", base="main")
    said = reason(ada, number)
    assert "At least 1 approving review" in said
    assert "last pusher" in said
    (review,) = ada.get(f"pulls/{number}/reviews")
    assert review["state"] == "DISMISSED"
    rita.review(number)
    other = ada.post("pulls", title="Same", head="small", base="side")["number"]
    said = ada.patch(f"pulls/{other}", expect=422, base="main")["errors"][0]["message"]
    assert "already exists" in said
    ada.merge(number)


def test_an_approval_stays_when_the_new_base_makes_no_difference(kit: Kit) -> None:
    _, ada, olga, _ = seeded(kit)
    ada.protect(required_pull_request_reviews=STRICT)
    ada.branch("twin")
    pull = ada.pull()
    olga.review(pull["number"])
    ada.patch(f"pulls/{pull['number']}", base="twin")
    ada.patch(f"pulls/{pull['number']}", base="main")
    ada.merge(pull["number"])
