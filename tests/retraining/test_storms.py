"""Storms: many alarms, alarms that flap, forges that fail, people who act by hand, jobs that are killed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from conftest import git
from forges.homes import JOBS
from gitml.cijobs.retraining import retrain
from gitml.control.place import Place
from gitml.errors import GitmlError, OutsideError
from gitml.spec import Deployment, render_deployment
from promotion.promoting import GITML, pin
from retraining.retrain_town import HOUR, PARAMS, SPEC, RetrainTown

Make = Callable[..., RetrainTown]


class FailingForge:
    """A forge that does not answer from its ``calls``-th call on."""

    def __init__(self, real: Any, calls: int) -> None:
        self._real, self.left = real, [calls]

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if not callable(found):
            inner = FailingForge(found, 0)
            inner.left = self.left
            return inner

        def called(*args: Any, **more: Any) -> Any:
            self.left[0] -= 1
            if self.left[0] < 0:
                raise OutsideError("the forge does not answer")
            return found(*args, **more)

        return called


@contextmanager
def failing(town: RetrainTown, calls: int, web: str = "") -> Iterator[Place]:
    with town.town.place(f"job:{JOBS}") as place:
        settings = replace(place.settings, web=web or place.settings.web)
        yield replace(place, forge=FailingForge(place.forge, calls), settings=settings)


def run_failing(town: RetrainTown, calls: int, web: str = "") -> bool:
    """Whether something went wrong. ``web``: where its Git is taken to be."""
    with failing(town, calls, web) as place:
        try:
            return any(one.problem or one.waits for one in retrain(place))
        except GitmlError:
            return True


def asked(town: RetrainTown, branch: str = "gitml/retrain/delay/drift") -> int:
    """How many trainings a branch asks for."""
    said = git(town.town.forge.remote, "log", "--format=%B", f"main..{branch}")
    return said.count("Gitml-Derived: retrain")


@pytest.mark.nightly
def test_a_job_that_is_killed_anywhere_is_made_up_for_by_the_next(retrain_town: Make) -> None:
    """A forge that stops to answer at any call, for as long as it likes, then answers again."""
    town = retrain_town()
    town.look(drift="failed")
    town.look(drift="failed")
    failed = [run_failing(town, calls) for calls in (*range(0, 24, 2), 40)]
    assert failed[:4] == [True] * 4
    assert not failed[-1]
    (pull,) = town.pulls()
    assert asked(town) == 1
    assert town.run().how == "unchanged"
    for _ in range(3):
        town.look()
    town.run()
    assert town.pulls() == []
    assert len(town.town.comments(pull.number)) == 1


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.parametrize(("calls", "web"), [(0, ""), (200, "/nowhere")])
def test_a_forge_that_is_away_for_an_hour_costs_an_hour(retrain_town: Make, calls: int, web: str) -> None:
    """Its API, or its Git alone: what was due is done once when it is back."""
    town = retrain_town()
    town.look(drift="failed")
    town.look(drift="failed")
    for state in ("opened", "closed"):
        for _ in range(6):
            town.town.now += HOUR / 6
            assert run_failing(town, calls, web)
        assert (town.run().how, town.run().how) == (state, "unchanged" if state == "opened" else "")
        assert state == "closed" or asked(town) == 1
        for _ in range(3):
            town.look()
    assert len(town.town.comments(1)) == 1


@pytest.mark.slow
@pytest.mark.nightly
def test_closing_that_is_killed_anywhere_is_no_refusal_by_people(retrain_town: Make) -> None:
    town = retrain_town()
    town.alarm()
    (pull,) = town.pulls()
    for _ in range(2):
        town.look()
        town.run()
    town.look()
    for calls in range(25):
        run_failing(town, calls)
    assert town.pulls() == []
    assert len(town.town.comments(pull.number)) == 1
    town.look(8, drift="failed")
    town.look(drift="failed")
    assert town.run().how == "opened"


def test_a_token_without_rights_asks_once_and_says_so(retrain_town: Make) -> None:
    town = retrain_town()
    with town.town.hub() as hub:
        hub.guards.let_jobs_open(yes=False)
    done = town.alarm()
    assert "not permitted to create" in done.problem
    town.look(drift="failed")
    assert town.run().problem
    assert asked(town) == 1
    with town.town.hub() as hub:
        hub.guards.let_jobs_open(yes=True)
    assert town.run().how == "opened"
    assert asked(town) == 1


@pytest.mark.slow
@pytest.mark.nightly
def test_forty_alarms_at_once_open_as_many_as_policy_allows_the_urgent_first(retrain_town: Make) -> None:
    town = retrain_town()
    names = [f"m{number:02}" for number in range(39)]
    text = GITML + "".join(f"  {n}: {{artifact: {n}.skops, metrics: {n}.json}}\n" for n in names)
    spec = dict.fromkeys(("delay", *names), SPEC)
    town.town.push({"gitml.yaml": f"{text}retrain: {spec}\n"})
    town.rules(at_once=3, looks={"failed": 1, "of": 3})
    versions = {name: town.town.train(100 + n, model=name) for n, name in enumerate(names)}
    town.town.push(
        {f"models/{n}/production.yaml": render_deployment(Deployment(champion=pin(v))) for n, v in versions.items()}
    )
    town.look(8, drift="failed")
    for name in names:
        town.look(0, version=versions[name], **{"harm" if name == "m30" else "drift": "failed"})
    for _ in range(2):
        town.run()
    found = sorted(pull.head.branch for pull in town.pulls())
    assert found == [
        "gitml/retrain/delay/drift", "gitml/retrain/m00/drift", "gitml/retrain/m30/harm",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.nightly
def test_an_alarm_that_flaps_does_not_flap_pull_requests(retrain_town: Make) -> None:
    town = retrain_town()
    town.rules(looks={"failed": 2, "of": 3}, comments=2, runs=4)
    opened: list[int] = []
    for day in range(60):
        town.look(drift="failed" if day % 5 in (0, 1) else "successful")
        done = town.run()
        opened += [day] if done.how == "opened" else []
    said = [c for n in range(1, 40) for c in _comments(town, n)]
    assert len(opened) <= 8
    assert all(later - first >= 7 for first, later in itertools.pairwise(opened))
    assert len(said) <= 2 * (60 // 7 + 1)


def _comments(town: RetrainTown, number: int) -> list[str]:
    try:
        return town.town.comments(number)
    except GitmlError:
        return []


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.parametrize("how", ["closed", "branch deleted"])
def test_what_people_end_by_hand_comes_back_with_a_new_alarm_alone(retrain_town: Make, how: str) -> None:
    town = retrain_town()
    town.alarm()
    (pull,) = town.pulls()
    if how == "closed":
        town.town.close(pull.number)
    else:
        town.town.home.move("olga", pull.head.branch, None)
    for days in (1, 9):
        town.look(days, drift="failed")
        assert town.run().how == ""
    assert f"#{pull.number} proposed that, and was closed" in town.plan().why
    for _ in range(2):
        town.look()
    town.look(drift="failed")
    town.look(drift="failed")
    assert town.run().how == "opened"


def test_merged_by_hand_it_waits_for_what_the_new_version_shows(retrain_town: Make) -> None:
    town = retrain_town()
    town.alarm()
    (pull,) = town.pulls()
    town.town.merge(pull.number)
    town.look(drift="failed")
    assert town.run().how == ""
    (drift,) = town.plan().causes
    assert "cool-down" in [brake.name for brake in drift.brakes]


def test_two_applications_of_one_repository_have_branches_of_their_own(retrain_town: Make) -> None:
    town = retrain_town()
    text = town.file("gitml.yaml", "main").replace("application: flights", "application: trains")
    made = town.champion
    deployed = town.file("models/delay/production.yaml", "main")
    town.town.push({
        "trains/gitml.yaml": text, "trains/policy.yaml": town.file("policy.yaml", "main"),
        "trains/params.yaml": PARAMS, "trains/models/delay/production.yaml": deployed,
        f"trains/models/delay/versions/{made.version}.json": made.to_json(),
    })  # fmt: skip
    town.look(drift="failed")
    town.look(drift="failed")
    assert town.run().how == "opened"
    here = town.town.here
    git(here, "pull", "-q")
    with town.town.place(f"job:{JOBS}", root=here / "trains") as place:
        (other,) = retrain(place)
        assert other.how == "opened"
        assert [one.how for one in retrain(place)] == ["unchanged"]
    assert sorted(p.head.branch for p in town.pulls()) == [
        "gitml/retrain/delay/drift", "gitml/retrain/trains+delay/drift",
    ]  # fmt: skip
    assert town.file("trains/params.yaml", "gitml/retrain/trains+delay/drift") != PARAMS
    assert town.file("params.yaml", "gitml/retrain/trains+delay/drift") == PARAMS


@pytest.mark.slow
@pytest.mark.nightly
def test_three_without_gain_are_said_once_and_end_it_until_a_version_is_promoted(retrain_town: Make) -> None:
    town = retrain_town()
    town.rules(runs=9, cool_down="1h")
    numbers = []
    for _ in range(3):
        assert town.alarm().how == "opened"
        (pull,) = town.pulls()
        numbers.append(pull.number)
        town.town.close(pull.number)
        for _ in range(3):
            town.look()
    done = town.alarm()
    assert done.how == ""
    assert "retraining does not help: 3 in a row" in done.plan.why
    with town.town.hub() as hub:
        (issue,) = hub.issues.labelled("gitml:no-gain")
        assert issue.title == "Retraining does not help delay"
        assert all(f"#{number}" in issue.body for number in numbers)
        town.run()
        assert hub.issues.labelled("gitml:no-gain") == (issue,)
    better = town.town.train(2)
    town.town.put("production", Deployment(champion=pin(better)))
    town.champion = better
    assert town.alarm().how == "opened"
