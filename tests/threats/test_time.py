"""What was right a moment ago: older commits, later pushes, roles that are gone, two at once, a forge that is down."""

from __future__ import annotations

import pytest

from forges.chaos_kit import chaos_before
from gitml.errors import FailedError, GitmlError, InconclusiveError
from gitml.forges.base import State
from gitml.promotion.gate import GateOrder, gate
from gitml.promotion.merge import MergeOrder as Merging
from gitml.promotion.merge import merge
from gitml.spec import render_deployment
from gitml.spec.deployment import Deployment
from promotion.gating import RUN
from promotion.promoting import pin
from sandbox.forge_kit import git
from threats.kit import STAGING, Scene

pytestmark = pytest.mark.slow


def grown(scene: Scene, branch: str, login: str = "ada") -> None:
    """One more commit on the branch."""
    main = scene.town.main
    git(main, "fetch", "-q", "origin", branch)
    git(main, "checkout", "-q", "--force", "-B", "attack", "FETCH_HEAD")
    (main / STAGING).write_text(scene.pinned(f"{branch}, and more"))
    git(main, "commit", "-qam", "more")
    scene.pushed(branch, login)


@pytest.mark.nightly
def test_an_approval_is_of_one_commit(scene: Scene) -> None:
    """Approved, then pushed; and an approval that is handed in for the older commit after the push.

    The forge does not dismiss them here: somebody took that rule away for a moment.
    """
    before, after = scene.branch("before"), scene.branch("after")
    looked_at = scene.g.head(after)
    scene.unguarded()
    scene.g.approve(before)
    for branch in ("before", "after"):
        grown(scene, branch)
    scene.g.approve(after, commit_id=looked_at)
    scene.guard()
    scene.shut(dict.fromkeys((before, after), ("approved [0-9a-f]{8}, the head is [0-9a-f]{8}",)))


@pytest.mark.nightly
def test_a_push_between_the_green_gate_and_the_merge(scene: Scene) -> None:
    number, tip = scene.branch("late"), scene.tip
    scene.g.approve(number)
    assert scene.g.one(number).state is State.SUCCESS
    with chaos_before(scene.town.kit.url) as chaos, scene.town.place("olga", chaos.url) as place:
        chaos.before["PUT .*/merge"] = lambda: grown(scene, "late", "rita")
        with pytest.raises(FailedError, match="nothing was merged"):
            merge(place, Merging(number), sleep=lambda _: None)
    assert scene.tip == tip
    scene.shut({number: ("1 more of operations", "the review was dismissed")})


@pytest.mark.parametrize("lost", ["role", "review"])
@pytest.mark.nightly
def test_what_opened_the_gate_is_taken_away_after_it(scene: Scene, lost: str) -> None:
    """Before the gate has looked again: no green of before helps."""
    number = scene.opened()
    scene.g.approve(number)
    assert scene.g.one(number).state is State.SUCCESS
    scene.unguarded()
    if lost == "role":
        scene.g.rules(roles={"operations": {"people": ["rita"]}, "risk": {"people": ["olga"]}})
        scene.guard()
        with pytest.raises(InconclusiveError, match=r"policy.yaml has changed on the default branch"):
            scene.merged(number)
    else:
        scene.guard()
        (review,) = scene.town.ada.get(f"pulls/{number}/reviews")
        scene.town.ada.put(f"pulls/{number}/reviews/{review['id']}/dismissals", message="no")
        scene.stays(number, scene.tip)
    scene.unguarded()
    scene.forced(number, scene.tip)


@pytest.mark.nightly
def test_of_two_promotions_at_once_one_gets_through(scene: Scene) -> None:
    """Each is green for itself, and their lines do not collide: together they are what nobody judged."""
    scene.unguarded()
    other = scene.train(3)
    scene.guard()
    state = Deployment(champion=pin(scene.first), shadow=(pin(other),))
    champion = scene.branch("champion", {STAGING: scene.pinned()})
    shadow = scene.branch("shadow", {STAGING: render_deployment(state)})
    for number in (champion, shadow):
        scene.g.approve(number)
    assert [o.state for o in scene.g.judge(champion, shadow)] == [State.SUCCESS, State.SUCCESS]
    scene.open(champion)
    with pytest.raises(GitmlError):
        scene.merged(shadow)
    accepted, tip = scene.accepted(), scene.tip
    assert scene.g.one(shadow).state is not State.SUCCESS
    with pytest.raises(GitmlError):
        scene.merged(shadow)
    scene.unguarded()
    if scene.click(shadow) == 200:
        scene.record()
        assert scene.accepted().items() <= accepted.items()
    else:
        assert scene.tip == tip


DOWN = ["/reviews", "/commits", "/activity", "/pulls/", "POST .*/statuses", ""]


@pytest.mark.nightly
def test_a_forge_that_is_down_opens_nothing(scene: Scene) -> None:
    """Whatever of it answers 502 until patience ends, nothing is green; afterwards all goes on."""
    shut, tip = scene.opened(), scene.tip
    for match in DOWN:
        with chaos_before(scene.town.kit.url) as chaos, scene.town.place(scene.g.token, chaos.url) as place:
            chaos.plan("502", match, times=10_000)
            order = GateOrder((shut,), official=True, key=scene.g.key, run=RUN)
            try:
                states = [o.state for o in gate(place, order)]
            except GitmlError:
                states = []
            assert State.SUCCESS not in states
            with pytest.raises(GitmlError):
                merge(place, Merging(shut), sleep=lambda _: None)
        assert scene.tip == tip
        assert scene.g.status(scene.g.head(shut))[0] != "success"
        assert scene.g.results("gate").count("passed") == 1, "that of the honest promotion before"
    scene.g.approve(shut)
    scene.open(shut)
