"""A town whose model is built on one of another repository, which has a main, a ledger, people and keys of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from conftest import git
from gitml.cijobs.retraining import Retrained, planned, retrain
from gitml.control.place import Place
from gitml.control.signing import heard
from gitml.derivation import proposal
from gitml.derivation.claim import Claim, claim_of
from gitml.evidence.statement import Statement
from gitml.git.edit import Who, commit_tree
from gitml.registry.record import Record
from gitml.retraining.plan import RetrainPlan
from gitml.spec import Deployment, render_deployment
from promotion.gating import Gated, gated, new_gated
from promotion.promoting import GITML, MemoryTown, new_town, pin
from promotion.upstreaming import made, reading
from retraining.retrain_town import SPEC, RetrainTown
from sandbox.forge_kit import Kit

OLD, NEW = made("demand", 1), made("demand", 2)
DELAY = made("delay", 3, reading(OLD, "imported/demand.skops"), created="2026-02-20T00:00:00Z")


@dataclass
class TwoRepositories:
    """``town`` is downstream and its model reads ``OLD``, imported from ``up``, which lies at ``url``. ``token`` is the
    value of the secret that may read it."""

    town: RetrainTown
    up: Gated[Any]
    url: str
    token: str = ""

    def needs(self, **more: str) -> None:
        """What the town's gitml.yaml says from now on, and that its model runs in production."""
        need = {"demand": {"repository": self.url, **more}}
        told = yaml.safe_dump({"retrain": {"delay": {**SPEC, "causes": ["upstream"]}}})
        self.town.town.push({
            "gitml.yaml": f"{GITML}    needs: {need}\n{told}",
            f"models/delay/versions/{DELAY.version}.json": DELAY.to_json(),
            "models/delay/production.yaml": render_deployment(Deployment(champion=pin(DELAY))),
        })  # fmt: skip

    def serving(
        self,
        record: Record,
        *,
        signed: str = "promoted",
        ahead: timedelta = timedelta(),
        known: Record | None = None,
    ) -> None:
        """What the other repository has in production from now on. ``ahead``: of the true time, in what it says;
        ``known``: the record that it shows."""
        self.up.town.now = self.town.town.now + ahead
        self.up.town.push({
            f"models/demand/versions/{record.version}.json": (known or record).to_json(),
            "models/demand/production.yaml": render_deployment(Deployment(champion=pin(record))),
        })  # fmt: skip
        if signed:
            self.up.prove(record, signed, environment="production")

    def now(self) -> None:
        """A sandbox's commits are of the true time."""
        self.town.town.now = datetime.now(UTC)

    @contextmanager
    def place(self) -> Iterator[Place]:
        with self.town.town.place(self.town.job) as place:
            yield replace(place, secret=lambda _: self.token)

    def plan(self) -> RetrainPlan:
        with self.place() as place:
            return planned(place)[0]

    def run(self, *, key: bool = True) -> Retrained:
        with self.place() as place:
            return retrain(place, self.town.g.key if key else None)[0]

    def claimed(self) -> tuple[Claim, dict[str, Statement], str]:
        """What the open retraining claims, what the ledger says, and main."""
        (pull,) = self.town.pulls()
        with self.place() as place:
            main = place.newest(whole=True)
            place.git.text("fetch", "-q", "origin", pull.head.branch)
            claim = claim_of(place.git.text("show", "-s", "--format=%B", pull.head.commit))
            told = {b.name: b.statement for b in heard(place, main.policy()).believed if b and b.statement}
        assert claim is not None
        return claim, told, main.commit

    @contextmanager
    def judging(self) -> Iterator[Callable[[Claim, dict[str, Statement]], str]]:
        """What the gate says of a commit with the open one's files that claims something."""
        with self.place() as place:
            git, main = place.git, place.newest(whole=True).commit
            tree = git.repository.tree_of(self.town.pulls()[0].head.commit) or ""
            commit = commit_tree(git, tree, [main], "x", Who("gitml-bot", "gitml-bot@noreply.invalid"))
            yield lambda claim, told: proposal.why_not(git, commit, claim, told, main)


def beside(town: RetrainTown, folder: Path) -> TwoRepositories:
    """Both in memory."""
    folder.mkdir()
    base = new_town(folder / "base")
    there = MemoryTown(forge=base.forge, folder=folder, here=folder / "here", now=town.town.now)
    there.forge = base.forge.copy(folder / "forge", now=lambda: there.now)
    git(folder, "clone", "-q", str(there.forge.remote), "here")
    found = TwoRepositories(town, new_gated(there), f"file://{there.forge.remote}")
    _begun(found)
    found.needs()
    return found


def beside_on(kit: Kit, town: RetrainTown, folder: Path) -> TwoRepositories:
    """Both in a running sandbox; the other one is private."""
    folder.mkdir()
    up = gated(kit, folder, private=True)
    found = TwoRepositories(town, up, f"{kit.url}/{up.town.repo.full_name}")
    _begun(found)
    return found


def _begun(found: TwoRepositories) -> None:
    found.up.town.push({"gitml.yaml": GITML.replace("  delay:", "  demand:").replace("model.skops", "demand.skops")})
    found.serving(OLD)
