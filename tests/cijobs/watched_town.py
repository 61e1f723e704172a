"""A town whose champion is watched: its traffic, its pull requests, and the three jobs of a look, at any time."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from conftest import packed
from evidence.evidence_kit import key_pair
from forges.homes import JOBS
from gitml.cijobs.lookfile import LookFile, write_looks
from gitml.cijobs.looking import LookedAt, evaluate
from gitml.cijobs.lookposting import ToldMonitor, publish
from gitml.cijobs.looksigning import SignedLooks, SignOrder, sign
from gitml.control.ledger import Here
from gitml.control.looks import read_looks
from gitml.control.signing import rules_of
from gitml.evidence.keys import SigningKey
from gitml.evidence.looks import Looks, looks_of
from gitml.forges.base import OnPull
from gitml.forges.job import ForgeJob
from gitml.git import ledger
from gitml.inference.monitor import MonitorCall
from monitoring.watched_world import DAY, MONDAY, WEEK, WatchedWorld, build, changed, weeks
from promotion.promoting import POLICY, MemoryTown, new_town
from sandbox.forge_kit import git

RUN = "https://forge.example/runs/7"
APP = ("gitml.yaml", "m.onnx", "signature.json", "reference.json")


@dataclass
class WatchedTown:
    """``pull`` brought the champion to production on MONDAY. ``key`` signs looks alone."""

    town: MemoryTown
    world: WatchedWorld
    key: SigningKey
    pull: int
    runs: int = 0

    def at(self, moment: datetime) -> None:
        self.town.now = moment

    def serve(self, **more: Any) -> None:
        self.world.serve(more.pop("live"), **more)

    def fresh(self) -> Path:
        """What a job checks out: main, with its history and all branches."""
        here = self.town.here
        git(here, "fetch", "-q", "origin")
        git(here, "reset", "-q", "--hard", "origin/main")
        return here

    def evaluate(self, at: datetime | None = None) -> tuple[LookedAt, ...]:
        here = self.fresh()
        settings = self.town.settings("ada")
        known = Here(here, {"GITML_FORGE": "memory", "GITML_MEMORY": str(self.town.forge.remote)})
        assert known.settings.repository == settings.repository
        return evaluate(here, known, MonitorCall(str(self.world.traffic), at=at or self.town.now), RUN).looks

    def sign(self, key: SigningKey | None = None, *, run: str = RUN, commit: str = "") -> SignedLooks:
        with self.town.place(f"job:{JOBS}") as place:
            return sign(place, SignOrder(key or self.key, run, commit or self.town.branch("main")))

    def publish(self) -> tuple[ToldMonitor, ...]:
        self.runs += 1
        with self.town.place(f"job:{JOBS}") as place:
            return publish(place, ForgeJob(is_ci=True, run=self.runs, attempt=1), {"PATH": ""}).monitors

    def run(self, moment: datetime) -> tuple[ToldMonitor, ...]:
        """All three jobs."""
        self.at(moment)
        self.evaluate()
        self.sign()
        return self.publish()

    def looks(self) -> Looks:
        with self.town.place() as place:
            head = ledger.fetch(place.root, place.remote, ledger.LOOKS)
            rules = rules_of(place, place.newest().policy())
            return looks_of(one for one in read_looks(place.root, head, rules) if one) if head else Looks()

    def handed(self) -> Path:
        return self.town.here / ".gitml-ci" / "looks.json"

    def hand_over(self, found: LookFile) -> None:
        write_looks(self.handed().parent, found)

    def comments(self, pull: int | None = None) -> list[str]:
        with self.town.hub() as hub:
            return [comment.body for comment in hub.comments.list(OnPull(pull or self.pull))]

    def alarms(self) -> list[str]:
        return [body for body in self.comments() if "gitml:report:flights/alarm/" in body]

    def told(self) -> str:
        """What the job that tells left behind."""
        return git(self.town.forge.remote, "log", "-1", "--format=%B", "refs/heads/gitml-looked")


def build_town(folder: Path) -> WatchedTown:
    """Six weeks of traffic, of which the last three have another fare; each was there on its Sunday."""
    world = build(folder / "app")
    live = changed(weeks(6), 21, fare=lambda some: some["fare"] + 0.4)
    for week in range(6):
        world.serve({d: r for d, r in live.items() if d // 7 == week}, now=MONDAY + (week + 1) * WEEK - DAY)
    town = new_town(folder / "town-template")
    key, public = key_pair()
    policy = {
        **POLICY,
        "environments": {"staging": {}, "production": {}},
        "keys": {"looks": {"public": public, "owner": "CI", "purposes": ["look"], "from": "2025-01-01"}},
    }
    (folder / "town").mkdir()
    made = MemoryTown(forge=town.forge, folder=folder / "town", here=folder / "town/here", now=MONDAY)
    forge = town.forge.copy(folder / "town/forge", now=lambda: made.now)
    made.forge = forge
    files = {name: (world.root / name).read_text() for name in APP}
    record = f"models/delay/versions/{world.version}.json"
    files |= {record: (world.root / record).read_text(), "policy.yaml": yaml.safe_dump(policy, sort_keys=False)}
    made.push({**files, "model.skops": ""}, "a model")
    pin = {"models/delay/production.yaml": (world.root / "models/delay/production.yaml").read_text()}
    number = made.pull_of(pin, "gitml/promote/delay/production/first", "ada")
    made.merge(number)
    packed(folder / "town")
    git(folder / "town", "clone", "-q", str(forge.remote), "here")
    return WatchedTown(made, world, key, number)


def copied_town(template: WatchedTown, folder: Path) -> WatchedTown:
    made = MemoryTown(forge=template.town.forge, folder=folder / "town", here=folder / "town/here", now=MONDAY)
    (folder / "town").mkdir()
    made.forge = template.town.forge.copy(folder / "town/forge", now=lambda: made.now)
    git(folder / "town", "clone", "-q", str(made.forge.remote), "here")
    shutil.copytree(template.world.traffic, folder / "app" / "traffic")
    return WatchedTown(made, WatchedWorld(folder / "app", template.world.version), template.key, template.pull)
