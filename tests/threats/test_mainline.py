"""A pull request that is no promotion steers nothing: records, odd names, and changes that take themselves back."""

from __future__ import annotations

import pytest

from gitml.forges.base import State
from sandbox.forge_kit import git
from threats.kit import PRODUCTION, STAGING, Scene, said

pytestmark = pytest.mark.slow


@pytest.mark.nightly
def test_what_is_no_promotion_and_no_version_is_refused(scene: Scene) -> None:
    """They were green and merged: agents read edited records, and one odd name froze what they had verified."""
    path = f"models/delay/versions/{scene.version.version}.json"
    swapped = scene.version.model_copy(update={"roles": {}}).to_json()
    files: dict[str, tuple[dict[str, str | None], str]] = {
        "record": ({path: swapped}, "edits the record .* never edited.*git checkout"),
        "gone": ({path: None}, "deletes the record"),
        "odd": ({"models/délai/production.yaml": scene.pinned()}, "looks like a deployment file"),
    }
    expected = {}
    for name, (changed, words) in files.items():
        number = scene.branch(name, changed)
        scene.g.approve(number)
        expected[number] = (words,)
    scene.shut(expected)


@pytest.mark.nightly
def test_a_promotion_that_takes_itself_back_steers_no_agent(scene: Scene) -> None:
    """A→B and B→A in one pull request, rebased: nobody judged either commit, and a new agent served nothing."""
    main, before = scene.town.main, scene.accepted()
    git(main, "fetch", "-q", "origin", "main")
    git(main, "checkout", "-q", "--force", "-B", "attack", "origin/main")
    for text in (scene.pinned(), (main / STAGING).read_text()):
        (main / STAGING).write_text(text)
        git(main, "commit", "-qam", "to and fro")
    scene.pushed("to-and-fro", "ada")
    number = int(scene.town.ada.post("pulls", title="to and fro", head="to-and-fro", base="main")["number"])
    outcome = scene.g.one(number)
    assert outcome.state is State.FAILURE
    assert f"change {STAGING} and change it back" in said(outcome)
    scene.unguarded()
    order = {"merge_method": "rebase"}
    assert scene.town.ada.call("PUT", f"pulls/{number}/merge", json=order).status_code == 200
    scene.record()
    assert scene.accepted() == before
    assert STAGING in before
    assert PRODUCTION not in before
