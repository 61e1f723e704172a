"""Facts that are looked up after a merge, names that prove nothing, and a key that somebody else has as well."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gitml.cijobs.record import RecordOrder, record
from gitml.evidence.keys import generate
from gitml.forges.base import State
from gitml.git.bot import BOT_EMAIL
from gitml.promotion.rollback import RollbackOrder, resume, rollback
from promotion.gating import RUN
from sandbox.forge_kit import git
from threats.kit import STAGING, Scene, identity, said

pytestmark = pytest.mark.slow


def moved(scene: Scene, branch: str, login: str, text: str) -> None:
    """Somebody pushes a commit of theirs to a branch, whatever was there."""
    main = scene.town.main
    git(main, "checkout", "-q", "--force", "-B", "attack", "origin/main")
    (main / "notes.md").write_text(text)
    git(main, "add", "-A")
    git(main, "commit", "-q", "-m", text, env={**identity(login, "AUTHOR"), **identity(login, "COMMITTER")})
    git(main, "push", "-q", "--force", scene.town.kit.remote(scene.town.repo, login), f"HEAD:refs/heads/{branch}")
    git(main, "checkout", "-q", "--force", "-B", "main", "origin/main")


@pytest.mark.nightly
def test_a_branch_made_anew_after_the_merge_spoils_nothing(scene: Scene) -> None:
    """It used to make `approved` inconclusive, signed for good: any writer could stop any promotion."""
    number = scene.branch("mine", {STAGING: scene.pinned()})
    scene.g.approve(number)
    assert scene.g.one(number).state is State.SUCCESS
    done = scene.merged(number)
    moved(scene, "mine", "rita", "the same name again")
    scene.record()
    assert scene.g.results("approved")[-1] == "passed"
    assert scene.accepted()[STAGING] == done.commit


@pytest.mark.nightly
def test_a_review_that_is_dismissed_after_the_merge_was_there_at_the_merge(scene: Scene) -> None:
    """Any writer may dismiss: it used to take another pull request before agents followed."""
    number = scene.branch("mine", {STAGING: scene.pinned()})
    scene.g.approve(number)
    assert scene.g.one(number).state is State.SUCCESS
    done = scene.merged(number)
    (review,) = scene.town.ada.get(f"pulls/{number}/reviews")
    scene.clock.now += timedelta(minutes=1)
    scene.town.ada.put(f"pulls/{number}/reviews/{review['id']}/dismissals", message="no")
    scene.record()
    assert scene.g.results("approved")[-1] == "passed"
    assert scene.accepted()[STAGING] == done.commit


@pytest.mark.nightly
def test_who_pushed_before_the_last_one_does_not_approve(scene: Scene) -> None:
    """Olga writes it under Ada's name and pushes; Ada takes main in; Olga approves what is her own."""
    number = scene.branch("hers", {STAGING: scene.pinned()}, pusher="olga")
    scene.unguarded()
    scene.town.push({"notes.md": "main moves\n"})
    main = scene.town.main
    git(main, "fetch", "-q", "origin")
    git(main, "checkout", "-q", "--force", "-B", "attack", "origin/hers")
    who = {**identity("ada", "AUTHOR"), **identity("ada", "COMMITTER")}
    git(main, "merge", "-q", "-m", "Merge main", "origin/main", env=who)
    scene.pushed("hers", "ada")
    scene.g.approve(number)
    outcome = scene.g.one(number)
    assert outcome.state is State.PENDING, said(outcome)
    assert "who pushed to its branch" in said(outcome)
    scene.g.approve(number, "rita")
    assert scene.g.one(number).state is State.SUCCESS


@pytest.mark.nightly
def test_the_bot_s_address_on_somebody_s_work_is_refused_at_once(scene: Scene) -> None:
    files = {"train.py": "import evil\n", "dvc.lock": "schema: '2.0'\n"}
    for trailer, why in (
        ("", "does not say what it follows from"),
        (f"Gitml-Derived: retrain\nGitml-Base: {scene.tip}", "gives other files"),
    ):
        name = f"forged-{len(why)}"
        number = scene.branch(name, dict(files), author=BOT_EMAIL, committer=BOT_EMAIL, trailer=trailer)
        outcome = scene.g.one(number)
        assert outcome.state is State.FAILURE, said(outcome)
        assert why in said(outcome)
        assert any("take the commit out of the branch" in text for text in scene.g.comments(number))


@pytest.mark.nightly
def test_after_a_stolen_key_what_runs_is_approved_again(scene: Scene) -> None:
    """The steps of docs/how-to/stolen-key.md: the key goes, a new one comes, a hold and its end are approved."""
    scene.unguarded()
    before = scene.accepted()[STAGING]
    secret, public = generate("ci2")
    about = {**scene.g.policy["keys"]["ci"], "public": public}
    scene.g.rules(keys={"ci2": about})
    scene.g.secret = secret
    assert STAGING not in scene.accepted()  # nothing that the old key signed counts, for nobody
    assert {b.cause.value for b in scene.g.events("approved")} == {"unknown-key"}
    with scene.town.place("ada") as place:
        held = rollback(place, RollbackOrder("delay", "staging", "a key was stolen", to=scene.first.version))
    scene.g.approve(held.pull.number)
    assert scene.g.one(held.pull.number).state is State.SUCCESS
    assert scene.merged(held.pull.number).commit != before
    recorded(scene)
    held_at = scene.accepted()[STAGING]
    with scene.town.place("ada") as place:
        free = resume(place, RollbackOrder("delay", "staging", "approved again"))
    scene.g.approve(free.pull.number)
    assert scene.g.one(free.pull.number).state is State.SUCCESS
    done = scene.merged(free.pull.number)
    recorded(scene)
    assert scene.accepted()[STAGING] == done.commit != held_at
    assert scene.town.state("staging").champion.version == scene.first.version


def recorded(scene: Scene) -> None:
    with scene.g.place() as place:
        record(place, RecordOrder(scene.g.key, RUN))
