"""From live traffic to another champion, and to one that is taken back: the real judgement, jobs and pull requests."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cijobs.canary_town import HOUR, CanaryTown, build, no_env
from gitml.cijobs.canarydue import WatchedCandidate
from gitml.cijobs.canaryjudge import judging
from gitml.cijobs.canaryproposing import ToldCandidate
from gitml.control.mainline import Mainline
from gitml.git.commands import Git
from gitml.inference.candidate import TrialPlace
from gitml.serving.router import epoch_of, route
from gitml.spec import Deployment
from promotion.gating import Gated
from promotion.promoting import MemoryTown, pin
from rollout.split_world import Served, SplitWorld, answers, moments

pytestmark = [pytest.mark.slow, pytest.mark.nightly]
FIELD = {"name": "p", "type": "float64"}
SIGNATURE = {"inputs": [{**FIELD, "name": "x"}], "outputs": [FIELD]}
RULES = {
    "metric": {"name": "accuracy", "margin": 0.03},
    "labels": {"within": "1d"},
    "modes": ["split"],
}


@dataclass
class LiveTown(CanaryTown):
    """``world`` holds the traffic, which follows what main says; ``right``: how often each version is right."""

    world: SplitWorld | None = None
    right: Mapping[str, float] | None = None
    seed: int = 0

    def judge(self, watched: WatchedCandidate, at: datetime) -> Mapping[str, Any]:
        assert self.world is not None
        main = Mainline(Git(self.town.here), Git(self.town.here).resolve("HEAD") or "")
        return judging(main, TrialPlace(self.town.here, str(self.world.folder)))(watched, at)

    def serve(self, days: float, count: int) -> None:
        """Requests from now on, answered by what main says; two hours after the last of them it is now."""
        assert self.world is not None
        assert self.right is not None
        state, first = self.state, self.town.now
        epoch = epoch_of(state, model="delay", environment="production")
        rng = np.random.default_rng(self.seed)
        self.seed += 1
        units = [f"u{self.seed}-{n}" for n in range(count)]
        when, late = np.array(moments(count, days, first), dtype=object), (rng.random(count) < 0.4).astype(float)
        mine = np.array([route(state, u, model="delay", environment="production") == "canary" for u in units])
        weight = float(state.canary.weight) if state.canary else 0.0
        parts = [("champion", state.champion.version, ~mine, 100 - weight)]
        parts += [("canary", state.canary.version, mine, weight)] if state.canary else []
        parts += [("shadow", one.version, np.ones(count, bool), 100.0) for one in state.shadow]
        self.town.now = first + timedelta(days=days) + 2 * HOUR
        self.world.now = self.town.now - HOUR
        served = []
        for arm, version, rows, share in parts:
            right = rng.random(count) < self.right[version]
            p, ids = answers(right, late), [f"r-{units[n]}" for n in np.flatnonzero(rows)]
            told = late[rows] if arm != "shadow" else np.full(rows.sum(), np.nan)
            names = [units[n] for n in np.flatnonzero(rows)]
            served.append(Served(arm, when[rows].tolist(), p[rows], told, names, version, share, epoch, ids=ids))
        self.world.serve(*served, label_delay=HOUR)

    def days(self, days: float, count: int = 3000) -> ToldCandidate:
        """So many days of traffic, then the three jobs."""
        self.serve(days, count)
        self.evaluate()
        self.sign()
        (told,) = self.publish()
        assert told.problem == ""
        return told


@pytest.fixture
def live(gated_template: Gated[MemoryTown], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., LiveTown]:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    no_env(monkeypatch)

    def made(old: float, new: float, state: str = "shadow", **rules: Any) -> LiveTown:
        town = build(gated_template, tmp_path, state, SIGNATURE, **{**RULES, **rules})
        right = {town.old.version: old, town.new.version: new}
        return LiveTown(town.g, town.key, town.old, town.new, world=SplitWorld(tmp_path / "log"), right=right)

    return made


def test_a_better_one_goes_from_shadow_by_steps_to_champion(live: Callable[..., LiveTown]) -> None:
    t = live(0.7, 0.72, metric={"name": "accuracy", "margin": 0.01})
    weights = []
    for _ in range(8):
        told = t.days(3, 6000)
        opened = t.pulls()
        if "raise" in opened:
            t.accept(opened["raise"].number)
            weights.append(t.state.canary.weight if t.state.canary else 0)
        elif not opened["promote"].is_draft:
            t.accept(opened["promote"].number)
            break
    assert weights == [10, 50], told
    assert (t.state.champion, t.state.canary, t.state.shadow) == (pin(t.new), None, ())
    assert t.g.results("canary")[-1] == "passed"


def test_a_worse_one_is_taken_back(live: Callable[..., LiveTown]) -> None:
    t = live(0.8, 0.6, "canary", modes=["shadow", "split"])
    for _ in range(4):
        told = t.days(3)
        if "take-back" in t.pulls():
            break
    t.accept(t.pulls()["take-back"].number)
    assert (t.state.champion, t.state.canary) == (pin(t.old), None), told
    assert [h.version for h in t.state.held] == [t.new.version]
    assert "it failed beside" in t.state.held[0].reason


def test_an_identical_one_under_a_goal_stays_undecided_and_expires(live: Callable[..., LiveTown]) -> None:
    t = live(0.7, 0.7, "canary", metric={"name": "accuracy", "goal": "better"}, maximum="5d")
    phases = [t.days(3).phase for _ in range(3)]
    assert {phase.value for phase in phases if phase} == {"inconclusive"}
    assert t.evaluate() == ()
    assert t.pulls()["promote"].is_draft


def test_a_new_champion_that_turns_out_to_be_worse_makes_way_for_the_old_one(live: Callable[..., LiveTown]) -> None:
    t = live(0.8, 0.65, guard="30d")
    t.g.prove(t.old, "promoted", environment="production")
    t.town.put("production", Deployment(champion=pin(t.new), shadow=(pin(t.old),)))
    for _ in range(3):
        told = t.days(3)
        if "rollback" in t.pulls():
            break
    t.accept(t.pulls()["rollback"].number)
    assert (t.state.champion, t.state.shadow) == (pin(t.old), ()), told
    assert t.state.hold is not None
    assert t.state.hold.by == "gitml-bot"
