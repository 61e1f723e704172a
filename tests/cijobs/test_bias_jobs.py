"""Whom a model selected, window after window: counted where there is no key, signed where no person is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from evidence.evidence_kit import key_pair
from forges.homes import JOBS
from gitml.cijobs.biaslooking import CountedNow
from gitml.cijobs.biasposting import last_onset
from gitml.cijobs.biassigning import sign_biases
from gitml.cijobs.lookfile import NAME
from gitml.cijobs.looking import evaluate
from gitml.cijobs.lookposting import LooksTold, publish
from gitml.cijobs.looksigning import SignedLooks, SignOrder
from gitml.control.ledger import Here
from gitml.control.looks import heard_biases
from gitml.control.signing import rules_of
from gitml.errors import IntegrityError, SpecError
from gitml.evidence.biases import SignedBias
from gitml.evidence.keys import SigningKey
from gitml.forges.job import ForgeJob
from gitml.inference.monitor import MonitorCall
from gitml.promotion.audit import AuditCall, audit
from gitml.spec import Deployment, render_deployment
from gitml.verdict import Phase
from governance.test_bias import ARM, serve, table
from monitoring.watched_world import DAY, MONDAY
from promotion.promoting import GITML, POLICY, MemoryTown, new_town, pin
from sandbox.forge_kit import git

RUN = "https://forge.example/runs/7"
SPEC = """\
monitors: {models: {delay: {watch: []}}}
bias:
  delay:
    groups: {table: $HR_GROUPS, unit: person, sex: sex, race: origin}
    output: p
    source: Applications.
    selected_from: 0.5
    monitor: {environment: production, window: 1w}
"""
PEOPLE = 60


class Town:
    def __init__(self, town: MemoryTown, key: SigningKey, folder: Path, pull: int) -> None:
        self.town, self.key, self.folder, self.pull, self.runs = town, key, folder, pull, 0

    def publish(self) -> LooksTold:
        self.runs += 1
        with self.town.place(f"job:{JOBS}") as place:
            return publish(place, ForgeJob(is_ci=True, run=self.runs, attempt=1), {"PATH": ""})

    def evaluate(self, days: float) -> tuple[CountedNow, ...]:
        here = self.town.here
        self.town.now = MONDAY + days * DAY
        git(here, "fetch", "-q", "origin", "+refs/heads/*:refs/remotes/origin/*")
        git(here, "reset", "-q", "--hard", "origin/main")
        call = MonitorCall(str(self.folder / "traffic"), at=self.town.now)
        return evaluate(here, self.known, call, RUN, lambda one, at: {}).biases

    @property
    def known(self) -> Here:
        return Here(self.town.here, {"GITML_FORGE": "memory", "GITML_MEMORY": str(self.town.forge.remote)})

    def sign(self) -> SignedLooks:
        with self.town.place(f"job:{JOBS}") as place:
            return sign_biases(place, SignOrder(self.key, RUN, self.town.branch("main")))

    def edit(self, change: Callable[[dict[str, Any]], None]) -> None:
        path = self.town.here / ".gitml-ci" / NAME
        told = json.loads(path.read_text())
        change(told["biases"][0])
        path.write_text(json.dumps(told))


@pytest.fixture
def counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Town:
    """In the first week half of all women and men are selected, in the second one woman in twenty."""
    town, looks = new_town(tmp_path), key_pair()
    keys = {"looks": {"public": looks[1], "owner": "CI", "purposes": ["look"], "from": "2025-01-01"}}
    town.now = MONDAY
    town.push({"policy.yaml": yaml.safe_dump({**POLICY, "keys": keys}), "gitml.yaml": GITML + SPEC}, "Count")
    state = render_deployment(Deployment(champion=pin(town.train(1))))
    pull = town.pull_of({"models/delay/production.yaml": state}, "side", "ada")
    town.merge(pull)
    people = {f"u{n}": ("F" if n < PEOPLE else "M", "A") for n in range(2 * PEOPLE)}
    monkeypatch.setenv("HR_GROUPS", table(tmp_path, people)["HR_GROUPS"])
    arm = ARM._replace(model="delay")
    serve(tmp_path / "traffic", 1, {f"u{n}": 0.9 if n % 2 else 0.1 for n in range(2 * PEOPLE)}, arm)
    later = {f"u{n}": 0.9 if n % (20 if n < PEOPLE else 2) == 1 else 0.1 for n in range(2 * PEOPLE)}
    serve(tmp_path / "traffic", 8, later, arm)
    return Town(town, looks[0], tmp_path, pull)


def test_a_ratio_that_moves_beyond_its_interval_is_signed_and_in_the_log(counted: Town) -> None:
    (first,) = counted.evaluate(7.5)
    assert first.verdict is not None
    assert (first.later, first.verdict.phase) == ("", Phase.INCONCLUSIVE)
    assert "u1" not in json.dumps(first.details), "nothing of a person is signed"
    assert len(counted.sign().events) == 1
    assert counted.sign().passed_over, "nothing is signed twice"
    assert [one.comments for one in counted.publish().biases] == [{}]
    assert counted.evaluate(8) == (), "until the next window is over"
    (second,) = counted.evaluate(14.5)
    assert second.verdict is not None
    assert second.verdict.phase is Phase.FAILED
    assert "F from 1.00 to 0.10" in second.verdict.reason

    for change, why in (
        (lambda one: one.update(phase="successful", reason="fine"), "another verdict than its counts give"),
        (lambda one: one["count"]["tables"][0]["categories"][0].update(ratio_low=0.9, ratio_high=1.2), "verdict"),
        (lambda one: one.update(version="20260101T000000Z-3f2a90bc"), "main does not count"),
    ):
        counted.evaluate(14.5)
        counted.edit(change)
        with pytest.raises((IntegrityError, SpecError), match=why):
            counted.sign()
    counted.evaluate(14.5)
    assert len(counted.sign().events) == 1
    assert [dict(one.comments) for one in counted.publish().biases] == [{counted.pull: "posted"}]
    assert [dict(one.comments) for one in counted.publish().biases] == [{counted.pull: "updated"}]
    (said,) = [one for one in counted.town.comments(counted.pull) if "Impact ratios" in one]
    assert "F from 1.00 to 0.10" in said
    assert "no law makes .8 a pass mark" in said
    with counted.town.place() as place:
        signed = heard_biases(place, rules_of(place, place.newest().policy()))
    assert [one.details.phase for one in signed] == [Phase.INCONCLUSIVE, Phase.FAILED]
    found = audit(
        counted.town.here, counted.known.env, AuditCall(fetch=True), now=counted.town.now + timedelta(hours=1)
    )
    assert not [one for one in found.findings if "bias" in one.subject]
    assert [one.kind for one in found.looks] == ["bias", "bias"], "an export takes the counts along"


def test_what_cannot_be_counted_stays_due(counted: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HR_GROUPS")
    (found,) = counted.evaluate(7.5)
    assert "HR_GROUPS does not say where the table" in found.later
    assert counted.sign() == replace(counted.sign(), events=())
    assert len(counted.evaluate(7.6)) == 1


def test_an_alarm_is_of_the_newest_time_that_ratios_moved() -> None:
    def counts(phases: str) -> list[SignedBias]:
        phase = {"f": Phase.FAILED, "s": Phase.SUCCESSFUL, "i": Phase.INCONCLUSIVE}
        return [SimpleNamespace(details=SimpleNamespace(phase=phase[c], place=n)) for n, c in enumerate(phases)]  # type: ignore[misc]

    def found(phases: str) -> list[int | None]:
        return [one.details.place if one else None for one in last_onset(counts(phases)) or ()]  # type: ignore[attr-defined]

    assert [found(p) for p in ("", "is", "if", "ifif", "ifs", "ifsif", "ifsffss")] == [
        [], [], [1, 1, None], [1, 3, None], [1, 1, 2], [4, 4, None], [3, 4, 5],
    ]  # fmt: skip
