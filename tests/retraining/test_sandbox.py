"""Retrainings over HTTP, as GitHub's client asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from forges.homes import job_token
from gitml.cijobs.retraining import retrain
from retraining.retrain_town import RetrainTown, build_on
from sandbox.forge_kit import Kit


@pytest.mark.slow
@pytest.mark.nightly
def test_an_alarm_a_refusal_a_new_alarm_and_a_label(kit: Kit, tmp_path: Path) -> None:
    town: RetrainTown = build_on(kit, tmp_path)
    rights, town.job = town.job, job_token(kit, town.town.repo, contents="read")
    refused = town.alarm()
    assert (refused.how, town.pulls()) == ("", [])
    assert "Permission to" in refused.problem
    town.job = rights
    opened = town.run()
    assert opened.plan.cause is not None
    assert (opened.how, opened.problem, opened.waits) == ("opened", "", "")
    (pull,) = town.pulls()
    assert (pull.author, 'last_day: "' in town.file("params.yaml", pull.head.branch)) == ("github-actions[bot]", True)
    assert all(f"/blob/gitml-ledger/{name}) at" in pull.body for name in opened.plan.cause.looks)
    assert town.run().how == "unchanged"
    assert town.g.one(pull.number).state.value == "success"
    # The forge closes a pull request whose branch is gone, and keeps its commits.
    town.town.home.move("olga", pull.head.branch, None)
    town.look(8, drift="failed")
    town.look(drift="failed")
    assert f"#{pull.number} proposed that, and was closed" in town.run().plan.why
    for _ in range(3):
        town.look()
    town.look(drift="failed")
    town.look(drift="failed")
    again = town.run()
    assert again.how == "opened"
    # The sandbox's own clock is not turned.
    with town.town.hub("olga") as hub:
        hub.pulls.label(again.pull, ["gitml:not-now 30d"])
    with town.town.place(town.job) as place:
        (done,) = retrain(place, town.g.key)
    assert done.how == "closed"
    assert "olga said no to drift" in town.town.comments(again.pull)[-1]
