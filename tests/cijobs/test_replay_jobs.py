"""A version that a promotion proposes is replayed without a key, held against main, signed, and told on its request."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cijobs.canary_town import RUN, CanaryTown, build, no_env
from conftest import git
from evidence.canary_kit import evaluation
from evidence.look_kit import stamp
from forges.homes import JOBS
from gitml.cijobs.handover import folder_of
from gitml.cijobs.looksigning import SignedLooks, SignOrder
from gitml.cijobs.replaydue import ProposedVersion
from gitml.cijobs.replaylooking import Replayed, due_replays, replay_due
from gitml.cijobs.replayposting import ToldReplay, publish_replays
from gitml.cijobs.replaysigning import sign_replays
from gitml.control.ledger import Here
from gitml.errors import IntegrityError, UsageError
from gitml.forges.job import ForgeJob
from gitml.registry.record import Record
from gitml.verdict import Phase
from promotion.gating import Gated
from promotion.promoting import MemoryTown

pytestmark = pytest.mark.slow


class ReplayTown:
    """A town whose production has a champion, and whose rules ask for replays of two weeks; ``says``: what the next
    replay is made of."""

    def __init__(self, town: CanaryTown) -> None:
        self.t, self.says = town, dict[str, Any]()
        self.t.rules(replay="14d")

    def propose(self, seed: int = 7) -> tuple[Record, int]:
        version = self.t.town.train(seed)
        self.t.g.prove(version, "trained", "evaluated")
        return version, self.t.town.promote(version, "production").pull.number

    def judge(self, proposed: ProposedVersion, at: datetime) -> Mapping[str, Any]:
        one = proposed.one
        arms = {
            name: {"version": version, "artifact": artifact}
            for name, (version, artifact) in (("candidate", one.pair.candidate), ("champion", one.pair.champion))
        }
        given = {
            "phase": "inconclusive", "mode": "replay", "rules": one.digest, "since": stamp(proposed.since),
            "step": {"weight": 0, "next": None, "ready": False}, **arms, **self.says,
        }  # fmt: skip
        return evaluation(
            model=one.model, environment=one.environment, until=stamp(at), at=stamp(at),
            next_look=stamp(at + one.rules.every), epochs=[], series=[], **given,
        )  # fmt: skip

    @property
    def here(self) -> Here:
        root = self.t.fresh()
        git(root, "fetch", "-q", "--prune", "origin")
        return Here(root, {"GITML_FORGE": "memory", "GITML_MEMORY": str(self.t.town.forge.remote)})

    def due(self) -> list[str]:
        here = self.here
        return [one.one.pin.version for one, _ in due_replays(here.root, here, self.t.town.now)[1]]

    def replay(self) -> tuple[Replayed, ...]:
        here = self.here
        return replay_due(here.root, here, self.t.town.now, (), RUN, self.judge)

    def sign(self) -> SignedLooks:
        with self.t.town.place(f"job:{JOBS}") as place:
            return sign_replays(place, SignOrder(self.t.key, RUN, self.t.town.branch("main")))

    def publish(self) -> tuple[ToldReplay, ...]:
        with self.t.town.place(f"job:{JOBS}") as place:
            return publish_replays(place, ForgeJob(is_ci=True, run=1, attempt=1), {"PATH": ""})

    def look(self, hours: float = 2, **says: Any) -> tuple[ToldReplay, ...]:
        self.t.town.now += timedelta(hours=hours)
        self.says = says
        self.replay()
        self.sign()
        return self.publish()


@pytest.fixture
def town(gated_template: Gated[MemoryTown], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReplayTown:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    no_env(monkeypatch)
    return ReplayTown(build(gated_template, tmp_path))


def test_its_verdict_stands_on_the_request_and_opens_no_gate(town: ReplayTown) -> None:
    assert town.due() == [], "nobody proposes the canary that is there, and no other version is newer"
    version, number = town.propose()
    (told,) = town.look(phase="successful")
    assert (told.version, told.phase, told.comments) == (version.version, Phase.SUCCESSFUL, {number: "posted"})
    (comment,) = town.t.town.comments(number)
    assert "a replay of logged requests: it opens no gate by itself" in comment
    assert town.due() == [], "once a day"
    assert town.sign().due == 0
    (again,) = town.publish()
    assert again.comments == {number: "unchanged"}
    town.t.town.now += timedelta(days=1)
    assert town.due() == [version.version]


def test_one_that_was_worse_is_not_replayed_again_and_shuts_the_gate(town: ReplayTown) -> None:
    _, number = town.propose()
    (told,) = town.look(phase="failed")
    assert told.phase is Phase.FAILED
    town.t.town.now += timedelta(days=2)
    assert town.due() == []
    town.t.g.approve(number)
    outcome = town.t.g.one(number)
    assert outcome.state.value == "failure"


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ({"mode": "split"}, "is no replay of a version"),
        ({"rules": "f" * 64}, "by other rules"),
        ({"since": "2020-01-01T00:00:00Z"}, "of another time"),
        ({"candidate": {"version": "20260228T070000Z-00000001", "artifact": "d" * 64}}, "is no replay of a version"),
    ],
)
@pytest.mark.nightly
def test_what_does_not_fit_main_is_not_signed(town: ReplayTown, says: dict[str, Any], words: str) -> None:
    town.propose()
    town.t.town.now += timedelta(hours=2)
    town.says = says
    town.replay()
    with pytest.raises(IntegrityError, match=words):
        town.sign()


@pytest.mark.nightly
def test_each_job_speaks_for_itself_and_one_that_cannot_stays_due(town: ReplayTown) -> None:
    version, _ = town.propose()
    town.t.town.now += timedelta(hours=2)

    def refuses(proposed: ProposedVersion, at: datetime) -> Mapping[str, Any]:
        raise UsageError("the model is gone")

    here = town.here
    (done,) = replay_due(here.root, here, town.t.town.now, (), RUN, refuses)
    assert (done.later, town.sign().due) == ("the model is gone", 0)
    assert replay_due(here.root, here, town.t.town.now, ("other",), RUN, town.judge) == ()
    town.replay()
    folder = folder_of(here.root)
    (folder / "gitml-replay-delay").mkdir()
    (folder / "replay.json").rename(folder / "gitml-replay-delay" / "replay.json")
    assert len(town.sign().events) == 1
    assert town.due() == []
    assert version.version
