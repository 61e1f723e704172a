"""A town whose champion is watched and retrained, on a clock that is turned; its looks are made by hand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from conftest import git
from forges.homes import JOBS, job_token
from gitml.cijobs.retraining import Retrained, planned, retrain
from gitml.control.signing import Signer, bound
from gitml.evidence.keys import SigningKey, generate, signing_key
from gitml.evidence.looks import KIND, RESULTS, ToldLook, look_id
from gitml.evidence.statement import Statement
from gitml.forges.base import PullRequest
from gitml.git import ledger
from gitml.registry.record import Record, name_of
from gitml.retraining.plan import RetrainPlan
from gitml.spec import Deployment
from gitml.verdict import Phase
from promotion.gating import Gated, gated
from promotion.promoting import GITML, NOW, MemoryTown, pin, record
from reports.look_kit import column, look, stamp, verdict
from sandbox.forge_kit import Kit

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
CONFIGURATION = "c" * 64
PARAMS = "window:\n  first_day: '2025-01-01'  # the oldest day\n  last_day: '2026-01-31'\nrate: 0.5\n"
SPEC = {
    "causes": ["harm", "drift"],
    "set": {"window.last_day": "yesterday", "window.first_day": "yesterday - 90d"},
    "cost": {"hours": 0.5, "gpu_hours": 2.0},
}
WORKFLOW = ".github/workflows/gitml-train.yml"
TRAIN = "on: {workflow_dispatch: {}}\njobs: {t: {runs-on: x, steps: [{run: 'true'}]}}\n"
RULES = {"looks": {"failed": 2, "of": 3}}


@dataclass
class RetrainTown:
    """``champion`` runs in production. ``looker`` is the key of looks, ``job`` whose token the job has."""

    g: Gated[Any]
    looker: SigningKey
    champion: Record
    job: str = f"job:{JOBS}"

    @property
    def town(self) -> Any:
        return self.g.town

    def spec(self, **spec: Any) -> None:
        """What gitml.yaml says of retraining from now on."""
        told = {"retrain": {"delay": {**SPEC, **spec}}}
        self.town.push({"gitml.yaml": f"{GITML}{yaml.safe_dump(told, sort_keys=False)}"})

    def rules(self, **rules: Any) -> None:
        self.g.rules(retraining={**RULES, **rules})

    def look(self, days: float = 1, *, version: Record | None = None, **phases: str) -> str:
        """So many days later a look is signed at the day that is over; the name of its event."""
        self.town.now += days * DAY
        return self.sign(self.town.now.replace(hour=0, minute=0, second=0), version or self.champion, **phases)

    def sign(self, until: datetime, version: Record, environment: str = "production", **phases: str) -> str:
        told = look(
            model=version.model, environment=environment, version=version.version, since=stamp(until - DAY),
            until=stamp(until), at=stamp(until), next_look=stamp(until + DAY),
            drift=[column("fare", 0.2, 0.15, 0.25)] if phases.get("drift") == "failed" else [],
        )  # fmt: skip
        told = {key: value for key, value in told.items() if key not in ("id", "spent")}
        told["verdicts"] |= {part: verdict(phase, f"{part} is {phase}") for part, phase in phases.items()}
        every = [v["phase"] for v in told["verdicts"].values()]
        told["phase"] = next((p for p in ("failed", "inconclusive") if p in every), "successful")
        details = {
            "format": 1, "id": look_id(ToldLook.model_validate(told), CONFIGURATION), "configuration": CONFIGURATION,
            "inputs": {"traffic": "", "settings": "d" * 64}, "spent": {"year": until.year, "looks": 1, "share": 0.01},
            "look": told, "sketch": None, "disagrees": [],
        }  # fmt: skip
        about = {"model": version.model, "environment": environment, "version": version.version,
                 "artifact": version.files[version.artifact].sha256}  # fmt: skip
        with self.g.ground() as (place, known):
            made = bound(place, KIND, "", **about, result=RESULTS[Phase(told["phase"])])
            signer = Signer(place, known.policy, self.looker)
            (name,) = signer.sign([Statement(made, details)], branch=ledger.LOOKS, message="Looks\n")
        return name

    def plan(self, at: datetime | None = None) -> RetrainPlan:
        with self.town.place(self.job) as place:
            return next(one for one in planned(place, at) if one.model == "delay")

    def run(self) -> Retrained:
        with self.town.place(self.job) as place:
            return next(one for one in retrain(place) if one.model == "delay")

    def newer(self, seed: int) -> Record:
        """A version that is trained now, on main."""
        made, created = record(seed), f"{self.town.now:%Y-%m-%dT%H:%M:%SZ}"
        told = {**made.model_dump(), "created": created, "version": name_of(made.digest, created)}
        newer = Record.model_validate(told)
        self.town.push({f"models/delay/versions/{newer.version}.json": newer.to_json()})
        return newer

    def alarm(self, kind: str = "drift") -> Retrained:
        """Two looks that fail, and the job after each."""
        self.look(1, **{kind: "failed"})  # type: ignore[arg-type]
        self.run()
        self.look(1, **{kind: "failed"})  # type: ignore[arg-type]
        return self.run()

    def pulls(self) -> list[PullRequest]:
        return [p for p in self.town.pulls() if p.head.branch.startswith("gitml/retrain")]

    def file(self, path: str, branch: str) -> str:
        with self.town.hub() as hub:
            return (hub.commits.file(path, branch) or b"").decode()


def build(template: Gated[MemoryTown], folder: Path, **spec: Any) -> RetrainTown:
    made = MemoryTown(forge=template.town.forge, folder=folder, here=folder / "here", now=NOW)
    made.forge = template.town.forge.copy(folder / "forge", now=lambda: made.now)
    git(folder, "clone", "-q", str(made.forge.remote), "here")
    made.home.let(JOBS, "write")
    with made.hub() as hub:
        hub.guards.let_jobs_open(yes=True)
    return _began(Gated(made, template.secret, template.token, dict(template.policy)), f"job:{JOBS}", **spec)


def build_on(kit: Kit, folder: Path, **spec: Any) -> RetrainTown:
    """The same in a running sandbox, whose commits are of now."""
    g = gated(kit, folder)
    g.town.now = datetime.now(UTC)
    with g.town.hub() as hub:
        hub.guards.let_jobs_open(yes=True)
    return _began(g, job_token(kit, g.town.repo, actions="write"), **spec)


def _began(g: Gated[Any], job: str, **spec: Any) -> RetrainTown:
    made = g.town
    secret, public = generate()
    monitor = {"public": public, "owner": "CI", "purposes": ["look"], "from": "2026-01-01"}
    g.rules(keys={**g.policy["keys"], "monitor": monitor}, retraining=RULES)
    champion = made.train(1)
    found = RetrainTown(g, signing_key(secret), champion, job)
    made.push({"params.yaml": PARAMS, WORKFLOW: TRAIN}, "params")
    found.spec(**spec)
    made.put("production", Deployment(champion=pin(champion)))
    return found
