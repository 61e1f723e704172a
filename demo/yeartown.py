"""The year's repository on a forge in this process: people, keys, and what jobs and people do there.

The functions are those that the rendered workflows call. Only the runner is left out, and what a person would type.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from box import GITML, environment, need
from ruamel.yaml import YAML

from gitml import clock
from gitml.cijobs.canarysigning import sign_evaluations
from gitml.cijobs.looking import LookRound, evaluate
from gitml.cijobs.lookposting import publish
from gitml.cijobs.looksigning import SignOrder, sign
from gitml.cijobs.record import RecordOrder, record
from gitml.cijobs.retraining import Retrained, retrain
from gitml.cijobs.verify import VerifyOrder, civerify
from gitml.control.ledger import Here
from gitml.control.place import Place
from gitml.evidence.keys import SigningKey, generate, signing_key
from gitml.forges.base import NewPull
from gitml.forges.job import ForgeJob
from gitml.forges.memory import MemoryForge
from gitml.forges.table import connect
from gitml.inference.monitor import MonitorCall
from gitml.promotion.candidate import OpenProposal, open_proposals
from gitml.promotion.gate import GateOrder, GateOutcome, gate
from gitml.promotion.promote import PromoteOrder, promote
from gitml.promotion.rollback import RollbackOrder, rollback
from gitml.refs import Reference
from gitml.spec import Deployment
from gitml.spec.deployment import parse_deployment
from gitml.training.reproduce import ReproduceCall
from gitml.verdict import Phase

MODEL, PLACE_NAME = "delay", "production"
REPOSITORY, JOBS = "ada/flight-delay", "github-actions[bot]"
RUN = "https://forge.example/runs/1"
SIGNS = ("reproduced", "gate", "approved", "promoted", "rolled-back", "trained", "evaluated")
# What makes a training due, and what it then sets.
RETRAIN = {
    "causes": ["harm", "drift"],
    "set": {"window.last_day": "yesterday", "window.first_day": "yesterday - 90d"},
    "cost": {"hours": 0.1},
}
RULES = {"looks": {"failed": 2, "of": 3}, "cool_down": "28d", "runs": 2}
# What a passenger who was not warned costs, and one who was warned in vain; each version has its own threshold.
COST = {"metric": "cost_per_flight", "false_negative": 60.0, "false_positive": 20.0}
HOLDOUT = {
    "rows": "artifacts/delay/scored.parquet",
    "label": "late",
    "time": "scheduled",
    "threshold": "threshold",
    "cost": COST,
}
# Not `signature: compatible`: which destinations a window of 90 days saw changes with the season, and an unknown one
# counts as missing. Not `champion` either: 21 held-out days cannot tell the margin, and live flights can.
GATES = {"format": ["skops"], "reproduced": True, "size": "50MB", "canary": True}
# A flight is a unit: whichever version answers it, nobody sees both. The margin, in dollars, is that of the policy of
# the reference application.
FIRST_WEIGHT, TRIED = 20.0, "8w"
CANARY = {
    "metric": {"name": COST["metric"], "margin": 0.2},
    "clusters": "day",  # flights of a day share its storms
    "minimum": {"units": 500, "time": "6d"},
    "maximum": TRIED,
    "labels": {"within": "1d"},
    "steps": [FIRST_WEIGHT, 50.0],
    "every": "1h",  # a look on Monday at two sees what the log has had since one
    "approvals": {"raise": {"operations": 1}, "take-back": {"operations": 1}},
}


@dataclass
class Town:
    """``folder`` holds the forge, ada's clone ``app`` and the traffic. ``looks`` signs looks, ``key`` the rest."""

    folder: Path
    forge: MemoryForge
    key: SigningKey
    looks: SigningKey
    runs: int = field(default=0)

    @property
    def app(self) -> Path:
        return self.folder / "flight-delay"

    @property
    def traffic(self) -> Path:
        return self.folder / "traffic"

    def git(self, *words: str) -> str:
        return run(["git", *words], self.app, clock.dates())

    def gitml(self, *words: str) -> str:
        return run([*GITML, *words], self.app, {"GITML_CLOCK": os.environ["GITML_CLOCK"]})

    @contextmanager
    def place(self, login: str = JOBS) -> Iterator[Place]:
        chosen = self.forge.settings(login, is_job=login == JOBS)
        with connect(chosen) as forge:
            yield Place(self.app, forge, chosen)

    def fresh(self) -> None:
        """The clone is at main, as a job checks it out."""
        self.git("fetch", "-q", "origin")
        self.git("checkout", "-q", "-f", "-B", "main", "origin/main")

    def push(self, branch: str, message: str) -> None:
        """What lies in the clone, committed by ada."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        self.git("push", "-q", "origin", f"HEAD:refs/heads/{branch}")
        self.forge.notice("ada")

    @property
    def here(self) -> Here:
        return Here(self.app, {"GITML_FORGE": "memory", "GITML_MEMORY": str(self.forge.remote)})

    def record(self) -> None:
        """What main's jobs do after a merge: versions are loaded, trained again, and what became of main is signed."""
        self.fresh()
        for again in (True, False):
            call = ReproduceCall(lambda *_: nullcontext(), lambda _: None, lambda _: None, environment="current")
            civerify(self.app, self.here, VerifyOrder((MODEL,), call, again=again, run=RUN))
        hand_over(self.app / ".gitml-ci")
        commit = self.git("rev-parse", "HEAD").strip()
        with self.place() as place:
            for one in record(place, RecordOrder(self.key, RUN, commit)):
                need(one.is_fine, f"{one.due}: {one.error}")

    def watch(self) -> LookRound:
        """The three jobs of a look: what is due is evaluated, signed, and told on the pull requests; what was seen."""
        self.fresh()
        seen = evaluate(self.app, self.here, MonitorCall(str(self.traffic)), RUN)
        order = SignOrder(self.looks, RUN, self.git("rev-parse", "HEAD").strip())
        with self.place() as place:
            sign(place, order)
            sign_evaluations(place, order)
            self.runs += 1
            told = publish(place, ForgeJob(is_ci=True, run=self.runs, attempt=1), {"PATH": ""})
        need(not told.has_problem, f"what was seen could not be told: {told}")
        late = [one.later for one in seen.candidates if one.later]
        need(not late, f"a candidate could not be judged: {late}")
        return seen

    def proposals(self) -> tuple[OpenProposal, ...]:
        """What the bot asks for about candidates, and people may take: drafts are not."""
        with self.place() as place:
            found = open_proposals(place, place.newest(), (MODEL,))
        return tuple(one for one in found if not one.pull.is_draft)

    def retrain(self) -> Retrained:
        """The job that follows a look."""
        with self.place() as place:
            return next(one for one in retrain(place) if one.plan.model == MODEL)

    def train(self, branch: str, why: str) -> str:
        """Ada trains a branch on her machine and pushes what it gives; the version."""
        self.git("fetch", "-q", "origin")
        self.git("checkout", "-q", "-f", "-B", "work", f"origin/{branch}")
        self.gitml("train", MODEL)
        dvc(self, "push", "-q")
        self.push(branch, why)
        return self.newest()

    def deployment(self) -> Deployment:
        """What main says is to answer."""
        self.fresh()
        path = self.app / f"models/{MODEL}/{PLACE_NAME}.yaml"
        return parse_deployment(path.read_bytes(), path.name)

    def newest(self) -> str:
        return max(path.stem for path in (self.app / f"models/{MODEL}/versions").glob("*.json"))

    def promote(self, version: str, *, first: bool = False) -> int:
        """The first one as champion; others beside it."""
        self.fresh()
        order = PromoteOrder(Reference(MODEL, version), PLACE_NAME)
        order = order if first else replace(order, part="canary", weight=FIRST_WEIGHT)
        with self.place("ada") as place:
            return promote(place, order).pull.number

    def roll_back(self, why: str, until: datetime) -> int:
        self.fresh()
        with self.place("ada") as place:
            return rollback(place, RollbackOrder(MODEL, PLACE_NAME, why, until=until)).pull.number

    def open_pull(self, branch: str, title: str) -> int:
        with self.place("ada") as place:
            return place.forge.pulls.open(NewPull(title, branch, "main")).number

    def approve(self, number: int, *logins: str) -> str:
        """They review, the gate judges, and ada merges if it is open; what the gate said."""
        for login in logins:
            self.forge.as_(login).acts.review(number)
        with self.place() as place:
            (found,) = gate(place, GateOrder((number,), official=True, key=self.key, run=RUN))
        need(not found.problem, f"the gate of #{number}: {found.problem}")
        if found.state.value == "success":
            with self.place("ada") as place:
                place.forge.merges.merge(number, found.head)
            self.record()
        return f"{found.state.value}: {found.line}{shut_by(found)}"

    def close(self, number: int, why: str) -> None:
        with self.place("olga") as place:
            place.forge.merges.close(number, why)


def shut_by(found: GateOutcome) -> str:
    """What shuts a gate, and why."""
    decision = found.judged.decision if found.judged else None
    verdicts = decision.verdicts.items() if decision else ()
    return "".join(f"; {name}: {one.reason}" for name, one in verdicts if one.phase is not Phase.SUCCESSFUL)


def new_town(folder: Path, window: dict[str, str]) -> Town:
    """The reference application, whose data are ``data/features``, with an empty past."""
    forge = MemoryForge.create(folder / "forge", REPOSITORY, now=clock.now)
    for login in ("olga", "rita", JOBS):
        forge.account(login, "write")
    ada = forge.as_("ada")
    ada.guards.let_jobs_open(yes=True)
    mail = f"{ada.session.person.id}+ada@users.noreply.localhost"
    key, looks = (generate() for _ in range(2))
    town = Town(folder, forge, signing_key(key[0]), signing_key(looks[0]))
    for words in (("init", "-q", "-b", "main"), ("config", "user.name", "ada"), ("config", "user.email", mail)):
        town.git(*words)
    town.git("remote", "add", "origin", str(forge.remote))
    _settings(town, window, key[1], looks[1])
    dvc(town, "add", "-q", "data/features")
    dvc(town, "remote", "add", "-q", "--default", "year", str(folder / "dvc-remote"))
    town.gitml("ci", "render")
    town.push("main", "The application")
    return town


def _settings(town: Town, window: dict[str, str], ci: str, looks: str) -> None:
    app = town.app
    told = {"traffic": {"at": str(town.traffic)}, "publisher": "gitml", "retrain": {MODEL: RETRAIN}}
    with edited(app / "gitml.yaml") as file:
        del file["models"]["mlp"], file["stages"], file["hardware"]["gpu"]
        file["models"][MODEL]["holdout"] = HOLDOUT
        file.update(told)
    with edited(app / "policy.yaml") as file:
        del file["environments"]["staging"]
        file["environments"][PLACE_NAME]["gates"] = GATES
        file["environments"][PLACE_NAME]["canary"] = CANARY
        file["retraining"] = RULES
        file["keys"] = {
            "ci": {"public": ci, "owner": "CI", "purposes": list(SIGNS), "from": "2026-01-01"},
            "looks": {"public": looks, "owner": "CI", "purposes": ["look", "canary"], "from": "2026-01-01"},
        }
    with edited(app / "params.yaml") as file:
        file["window"].update(window)
        file["evaluate"]["replicates"] = (
            60  # every version is evaluated three times, and judged on the same rows anyway
        )
    with edited(app / "dvc.yaml") as file:
        for stage in ("ingest", "prepare", "mlp-train", "mlp-evaluate"):
            file["stages"].pop(stage, None)


def hand_over(folder: Path) -> None:
    """What jobs left, where the job that signs finds it: an archive has a folder of its own."""
    for path in folder.glob("*-*.json"):
        (folder / f"gitml-{path.stem}").mkdir(exist_ok=True)
        path.replace(folder / f"gitml-{path.stem}" / path.name)


@contextmanager
def edited(path: Path) -> Iterator[dict]:  # type: ignore[type-arg]
    yaml = YAML()
    yaml.width = 200
    document = yaml.load(path)
    yield document
    yaml.dump(document, path)


def dvc(town: Town, *words: str) -> None:
    run(["dvc", *words], town.app)


def example(folder: Path) -> Path:
    """The reference application with its features of 2013, made once and kept between years."""
    source = folder / "source"
    if not (source / "data/features/2013-12.parquet").exists():
        shutil.rmtree(source, ignore_errors=True)
        source.mkdir(parents=True)
        run(["git", "init", "-q", "-b", "main"], source)
        run([*GITML, "init", "--example", "flight-delay"], source)
        for stage in ("ingest", "prepare"):
            run(["python", f"pipelines/{stage}.py"], source)
    return source


def run(words: list[str], folder: Path, env: dict[str, str] | None = None) -> str:
    more = dict(env or {})
    clean = {k: v for k, v in environment().items() if k != "GITML_CLOCK"}
    done = subprocess.run(words, cwd=folder, env={**clean, **more}, capture_output=True, text=True, check=False)
    need(
        not done.returncode,
        f"{' '.join(words[-4:])}: exit code {done.returncode}\n{done.stdout[-800:]}{done.stderr[-2000:]}",
    )
    return done.stdout


def today() -> datetime:
    return clock.now()
