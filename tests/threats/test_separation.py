"""Nobody approves what they made themselves (DESIGN decision 6), however they hide that they made it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gitml.forges.governed import Account
from threats.kit import PRODUCTION, STAGING, Scene, said

pytestmark = pytest.mark.slow

# Who approves; how they stand behind the change; what the gate says of them.
MADE_IT: dict[str, tuple[str, dict[str, Any], str]] = {
    "author": ("rita", {"author": "rita"}, "is author, committer or co-author of the commit"),
    "committer": ("rita", {"committer": "rita"}, "is author, committer or co-author of the commit"),
    "co-author": (
        "rita",
        {"trailer": "co-authored-by: Somebody <rita@users.noreply.github.com>"},
        "is author, committer or co-author of the commit",
    ),
    "pusher": ("rita", {"pusher": "rita"}, "is who pushed to its branch"),
    "lineage": (
        "ada",
        {"author": "olga", "pusher": "olga", "opener": "olga"},
        "is author, committer or co-author of the lineage commit",
    ),
    "stranger": ("rita", {"author": "ghost@example.net"}, "ghost@example.net, whom no account claims"),
    "bot": ("gitml-bot[bot]", {}, "a bot approves nothing"),
    "nameless": ("rita", {"opener": "gitml-bot[bot]"}, "who made the bot open the pull request is not known"),
}


@pytest.mark.nightly
def test_an_honest_pull_request_gets_through(scene: Scene) -> None:
    number = scene.opened()
    scene.g.approve(number)
    scene.open(number)


@pytest.mark.nightly
def test_who_stands_behind_a_change_does_not_approve_it(scene: Scene) -> None:
    expected: dict[int, tuple[str, ...]] = {}
    for name, (login, how, words) in MADE_IT.items():
        number = scene.branch(name, **how)
        scene.g.approve(number, login)
        expected[number] = (words,)
    bots = scene.opened("gitml-bot[bot]", asked_by=(Account("rita", scene.town.kit.user("rita").id),))
    scene.g.approve(bots, "rita")
    expected[bots] = ("is who made the bot open the pull request",)
    own = scene.branch("own", opener="rita")
    scene.town.as_("rita").review(own, expect=422)
    expected[own] = ("1 more of operations",)
    scene.shut(expected)


@pytest.mark.nightly
def test_one_person_is_one_person(scene: Scene) -> None:
    """In two roles, in two spellings, with two reviews."""
    scene.unguarded()
    roles = {"operations": {"people": ["OLGA", "Rita", "ada"]}, "risk": {"people": ["RITA", "nobody-here"]}}
    places = {**scene.g.policy["environments"], "production": {"approvals": {"operations": 1, "risk": 1}}}
    places["staging"] = {**places["staging"], "approvals": {"operations": 2}}
    scene.g.rules(roles=roles, environments=places)
    scene.guard()
    twice = scene.branch("twice")
    both = scene.branch("both", {PRODUCTION: scene.pinned("both", scene.first)})
    for number, login in ((twice, "olga"), (twice, "olga"), (both, "rita"), (both, "rita")):
        scene.g.approve(number, login)
    tip = scene.tip
    one, two = scene.g.judge(twice, both)
    assert '"still to approve: 1 more of operations"' in said(one)
    assert re.search('"still to approve: 1 more of (operations|risk)"', said(two))
    scene.stays(twice, tip)
    scene.stays(both, tip)
    scene.unguarded()
    scene.forced(twice, tip)
    scene.forced(both, tip)


@pytest.mark.nightly
def test_a_login_in_other_letters_is_the_same_account(scene: Scene) -> None:
    """Rita wrote it, and the policy spells her otherwise."""
    scene.unguarded()
    scene.g.rules(roles={"operations": {"people": ["RITA"]}, "risk": {"people": ["ada"]}})
    scene.guard()
    number = scene.branch("letters", {STAGING: scene.pinned("letters")}, author="rita")
    scene.g.approve(number, "rita")
    scene.shut({number: ("is author, committer or co-author of the commit",)})
