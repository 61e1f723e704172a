"""A watched application, and looks at it that a key signs on a server's branch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from conftest import git
from evidence.evidence_kit import REPOSITORY, key_pair, stamp
from gitml.evidence import dsse
from gitml.evidence.keys import SigningKey
from gitml.evidence.looks import KIND, RESULTS, LookDetails, Looks, look_of, looks_of, most_spent, spent_after
from gitml.evidence.reader import EvidenceRules
from gitml.evidence.statement import Binding, Statement, to_payload
from gitml.git import ledger
from gitml.inference.earlier import Earlier
from gitml.inference.lookdetails import look_details, recount
from gitml.inference.monitor import MonitorCall, MonitorRound, judged, monitor_round
from gitml.inference.monitored import Monitored
from gitml.inference.watches import Watch
from gitml.spec.policy import Policy
from gitml.verdict import Phase
from monitoring.watched_world import AT, WatchedWorld

ENDS = datetime(2027, 1, 1, tzinfo=AT.tzinfo)


@dataclass
class LookBranch:
    """``clone`` fetches from ``server``; ``policy`` names the key ``monitor`` for looks alone."""

    folder: Path
    key: SigningKey
    policy: Policy
    when: datetime = AT
    told: list[LookDetails] = field(default_factory=list)

    @property
    def server(self) -> ledger.Remote:
        return ledger.Remote(f"file://{self.folder}/server.git")

    @property
    def clone(self) -> Path:
        return self.folder / "clone"

    @property
    def rules(self) -> EvidenceRules:
        return EvidenceRules(self.policy, REPOSITORY, ENDS)

    def sign(self, details: Mapping[str, Any], *, when: datetime | None = None, key: SigningKey | None = None) -> str:
        """Append it as a look; the event's name. Each is signed a minute later."""
        self.when = when or self.when + timedelta(minutes=1)
        look = details["look"]
        about = Binding.model_validate(
            {
                "kind": KIND, "repository": REPOSITORY, "time": stamp(self.when), "model": look["model"],
                "environment": look["environment"], "version": look["version"], "artifact": "a" * 64,
                "result": RESULTS[Phase(look["phase"])],
            }
        )  # fmt: skip
        envelope = dsse.sign(to_payload(Statement(about, details)), key or self.key)
        name = ledger.event_name(about.time, about.kind, envelope)
        ledger.append(self.server, {name: envelope}, branch=ledger.LOOKS)
        return name

    def read(self, since: datetime | None = None) -> Looks:
        from gitml.control.looks import read_looks

        head = ledger.fetch(self.clone, self.server, ledger.LOOKS)
        return looks_of(one for one in read_looks(self.clone, head or "", self.rules, since) if one)


def look_branch(folder: Path) -> LookBranch:
    key, public = key_pair()
    git(folder, "init", "-q", "--bare", "-b", "main", "server.git")
    git(folder / "server.git", "config", "uploadpack.allowFilter", "true")
    git(folder, "init", "-q", "-b", "main", "clone")
    keys = {"monitor": {"public": public, "owner": "CI", "purposes": ["look"], "from": "2025-01-01"}}
    return LookBranch(folder, key, Policy.model_validate({"environments": {"production": {}}, "keys": keys}))


@dataclass
class Watcher:
    """Looks at windows of a world one after the other, as the job does."""

    world: WatchedWorld
    looks: list[LookDetails] = field(default_factory=list)

    def round(self, at: datetime) -> tuple[MonitorRound, Watch]:
        job = monitor_round(self.world.root, MonitorCall(str(self.world.traffic), at=at))
        return job, job.watches[0]

    def look(self, at: datetime) -> tuple[Monitored, dict[str, Any]]:
        """At the newest window that was over ``at`` then."""
        job, watch = self.round(at)
        since, until = watch.spec.last_window(at)
        spent = spent_after(most_spent(self.looks, until.year), until, watch.spec.looks_a_year)
        sketches = {(d.look.since, d.look.until): d.sketch for d in self.looks if d.sketch}
        found = judged(watch, job, (since, until), Earlier(sketches, spent))
        details = look_details(watch, job, found, spent)
        self.looks.append(LookDetails.model_validate(details))
        return found, details


__all__ = ["LookBranch", "Watcher", "look_branch", "look_of", "recount"]
