"""A town with a candidate beside a champion: its jobs, on a clock that is turned, with evaluations made by hand."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from conftest import git
from evidence.canary_kit import evaluation
from evidence.look_kit import stamp
from forges.homes import JOBS
from gitml.cijobs.canarydue import WatchedCandidate
from gitml.cijobs.canarylooking import JudgedNow, judge_due
from gitml.cijobs.canaryproposing import ToldCandidate
from gitml.cijobs.canarysigning import sign_evaluations
from gitml.cijobs.handover import folder_of
from gitml.cijobs.lookfile import LookFile, write_looks
from gitml.cijobs.lookposting import publish
from gitml.cijobs.looksigning import SignedLooks, SignOrder
from gitml.control.ledger import Here
from gitml.control.mainline import Mainline
from gitml.control.signing import Signer, bound
from gitml.evidence.keys import SigningKey, generate, signing_key
from gitml.evidence.statement import Statement
from gitml.forges.base import PullRequest
from gitml.forges.job import ForgeJob
from gitml.git.commands import Git
from gitml.registry.record import Record
from gitml.spec import Deployment
from promotion.gating import Gated
from promotion.promoting import GITML, NOW, MemoryTown, pin

RUN = "https://forge.example/runs/7"
HOUR = timedelta(hours=1)
PEOPLE = {"approvals": {"operations": 1}}


@dataclass
class CanaryTown:
    """``says``: what the next evaluation is made of."""

    g: Gated[MemoryTown]
    key: SigningKey
    old: Record
    new: Record
    says: dict[str, Any] = field(default_factory=dict)
    runs: int = 0

    @property
    def town(self) -> MemoryTown:
        return self.g.town

    @property
    def state(self) -> Deployment:
        return self.town.state("production")

    def rules(self, **canary: Any) -> None:
        environments = {"production": {**PEOPLE, "canary": canary}}
        self.g.rules(environments=environments)

    def judge(self, watched: WatchedCandidate, at: datetime) -> Mapping[str, Any]:
        one = watched.one
        arms = {
            name: {"version": version, "artifact": artifact}
            for name, (version, artifact) in (("candidate", one.pair.candidate), ("champion", one.pair.champion))
        }
        mode = "split" if one.part == "canary" else "shadow"
        given = {"phase": "inconclusive", **self.says}
        ready = given.pop("ready", False)
        step = {
            "weight": one.weight,
            "next": (one.next_weight or "champion") if mode == "split" else None,
            "ready": ready,
        }
        return evaluation(
            model=one.model, environment=one.environment, **arms, rules=one.digest, mode=mode, step=step,
            since=stamp(watched.since), until=stamp(at), at=stamp(at), next_look=stamp(at + one.rules.every),
            epochs=[], series=[], **given,
        )  # fmt: skip

    def fresh(self) -> Path:
        here = self.town.here
        git(here, "fetch", "-q", "origin")
        git(here, "reset", "-q", "--hard", "origin/main")
        return here

    def evaluate(self) -> tuple[JudgedNow, ...]:
        here = self.fresh()
        known = Here(here, {"GITML_FORGE": "memory", "GITML_MEMORY": str(self.town.forge.remote)})
        main = Mainline(Git(here), Git(here).resolve("HEAD") or "")
        done = judge_due(known, main, self.judge, self.town.now)
        self.hand_over(*(dict(one.details) for one in done if one.details))
        return done

    def hand_over(self, *found: dict[str, Any]) -> None:
        commit = self.town.branch("main")
        write_looks(folder_of(self.town.here), LookFile(commit=commit, run=RUN, evaluations=[*found]))

    def sign(self, key: SigningKey | None = None) -> SignedLooks:
        with self.town.place(f"job:{JOBS}") as place:
            return sign_evaluations(place, SignOrder(key or self.key, RUN, self.town.branch("main")))

    def report(self, version: Record, about: Mapping[str, Any], details: Mapping[str, Any]) -> None:
        """What an agent says of a version, on the ledger."""
        named = {"model": version.model, "version": version.version, "artifact": version.files["model.skops"].sha256}
        with self.g.ground() as (place, known):
            made = Statement(bound(place, "deployed", RUN, **named, **about), dict(details))
            Signer(place, known.policy, self.g.key).sign([made])

    def publish(self) -> tuple[ToldCandidate, ...]:
        self.runs += 1
        with self.town.place(f"job:{JOBS}") as place:
            return publish(place, ForgeJob(is_ci=True, run=self.runs, attempt=1), {"PATH": ""}).candidates

    def look(self, hours: float = 1, **says: Any) -> tuple[ToldCandidate, ...]:
        """All three jobs, so much later."""
        self.town.now += timedelta(hours=hours)
        self.says = says
        self.evaluate()
        self.sign()
        return self.publish()

    def pulls(self) -> dict[str, PullRequest]:
        """What is open, by the words of its branch."""
        return {p.head.branch.removeprefix("gitml/").partition("/")[0]: p for p in self.town.pulls()}

    def accept(self, number: int) -> None:
        """Somebody approves, the gate is asked, and it is merged as soon as it is open."""
        self.g.approve(number)
        outcome = self.g.one(number)
        assert outcome.state.value == "success", outcome.line
        self.town.now += timedelta(minutes=1)
        self.town.merge(number)


def copied(template: CanaryTown, folder: Path) -> CanaryTown:
    """A town that begins as this one does."""
    made = _at(template.town, folder)
    return replace(template, g=replace(template.g, town=made), says={})


def _at(there: MemoryTown, folder: Path) -> MemoryTown:
    made = MemoryTown(forge=there.forge, folder=folder, here=folder / "here", now=NOW)
    made.forge = there.forge.copy(folder / "forge", now=lambda: made.now)
    git(folder, "clone", "-q", str(made.forge.remote), "here")
    return made


def build(
    gated: Gated[MemoryTown],
    folder: Path,
    state: str = "canary",
    signature: Mapping[str, Any] | None = None,
    **canary: Any,
) -> CanaryTown:
    """Two versions, the second beside the first in production, maybe with a signature."""
    made = _at(gated.town, folder)
    made.home.let(JOBS, "write")
    with made.hub() as hub:
        hub.guards.let_jobs_open(yes=True)
    secret, public = generate()
    g = Gated(made, gated.secret, gated.token, dict(gated.policy))
    keys = {
        **g.policy["keys"],
        "looks": {"public": public, "owner": "CI", "purposes": ["canary"], "from": "2026-01-01"},
    }
    g.rules(environments={"production": {**PEOPLE, "canary": canary}}, keys=keys)
    more = _signed(made, signature) if signature else {}
    old, new = (made.train(seed, **({**more, "files": _files(seed, more)} if more else {})) for seed in (1, 2))
    for version in (old, new):
        g.prove(version, "trained", "evaluated")
    found = CanaryTown(g, signing_key(secret), old, new)
    weight = {"canary": {**pin(new).model_dump(), "weight": 10}} if state == "canary" else {"shadow": (pin(new),)}
    made.put("production", Deployment(champion=pin(old), **weight))
    return found


def _signed(made: MemoryTown, signature: Mapping[str, Any]) -> dict[str, Any]:
    """Main has the signature's file; what records say of it."""
    text = GITML.replace("    metrics:", "    signature: signature.json\n    metrics:")
    made.push({"gitml.yaml": text, "signature.json": json.dumps(signature)})
    return {"signature": signature, "roles": {"signature": "signature.json", "metrics": "metrics.json"}}


def _files(seed: int, more: Mapping[str, Any]) -> dict[str, Any]:
    raw = json.dumps(more["signature"]).encode()
    return {
        "model.skops": {"sha256": f"{seed:064x}", "size": 1_500_000},
        "signature.json": {"sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw)},
        "metrics.json": {"sha256": "f" * 64, "size": 12},
    }


def no_env(monkeypatch: Any) -> None:
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "GITML_"))]:
        monkeypatch.delenv(name)
