"""A repository with a candidate beside a champion, two real models, and the traffic of both."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from gitml.registry import Record, write_record
from gitml.registry.lineage import external_digest
from gitml.registry.record import File, Metric, name_of
from gitml.spec import render_deployment
from gitml.spec.deployment import Canary, Deployment, Pin, Shadow
from gitml.traffic.exchange import Arm, Exchange
from gitml.traffic.labels import Label, LabelStore
from gitml.traffic.predictionlog import LogLimits, LogOrigin, PredictionLog
from rollout.split_world import DAY, MONDAY, moments
from serving_models import SIGNATURE, columns, fitted, saved

GITML = """\
application: flights
models:
  delay:
    origin: external
    artifact: delay.skops
    metrics: metrics.json
    better: {accuracy: higher}
kpis:
  rebooked: {event: rebooked, value: any, better: lower, within: 1d}
traffic: {at: TRAFFIC}
"""
POLICY = """\
roles: {operations: {people: [olga]}}
environments:
  production:
    approvals: {operations: 1}
    canary: {metric: {margin: 0.03}, labels: {within: 2d}}
"""


@dataclass(frozen=True)
class CandidateTown:
    root: Path
    old: Record
    new: Record

    @property
    def traffic(self) -> Path:
        return self.root / "log"

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def pin(self, record: Record) -> dict[str, str]:
        return {"version": record.version, "digest": record.files[record.artifact].sha256}

    def deploy(self, **parts: Any) -> None:
        state = Deployment(champion=Pin(**self.pin(self.old)), **parts)
        self.write({"models/delay/production.yaml": render_deployment(state)})

    def split(self, weight: float = 50) -> None:
        self.deploy(canary=Canary(**self.pin(self.new), weight=weight))

    def shadow(self) -> None:
        self.deploy(shadow=(Shadow(**self.pin(self.new)),))

    def commit(self, at: datetime, message: str = "change") -> None:
        stamp = f"{at:%Y-%m-%dT%H:%M:%SZ}"
        env = {
            "PATH": os.environ["PATH"], "HOME": str(self.root), "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull, "GIT_AUTHOR_DATE": stamp, "GIT_COMMITTER_DATE": stamp,
        }  # fmt: skip
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        for words in (["add", "-A", "--", ".", ":!log"], [*who, "commit", "-qm", message]):
            subprocess.run(["git", *words], cwd=self.root, env=env, check=True, capture_output=True)

    def ask(self, count: int = 1_500, days: float = 5, *, features: bool = True) -> None:
        """Requests that the champion answered, with their labels six hours later, most of which it has right."""
        table = columns(count).replace({"carrier": {"ZZ": "UA"}})
        when = moments(count, days)
        p = fitted("boosting").predict_proba(table)[:, 1]
        rng = np.random.default_rng(4)
        late = (rng.random(count) < np.clip(p, 0.05, 0.95)).astype(float)
        arm = Arm("delay", "production", "champion", self.old.version, 100.0, "e0")
        now = MONDAY + 10 * DAY
        with patch("gitml.clock.time.time", now.timestamp):
            log = PredictionLog(self.traffic, limits=LogLimits(window=0.01), origin=LogOrigin("web", "production"))
            for n, moment in enumerate(when):
                row = {name: table[name].to_numpy()[n : n + 1] for name in table} if features else {}
                output, at = {"p_late": p[n : n + 1]}, moment.timestamp()
                log.put(Exchange(f"r{n}", "", f"u{n}", arm, row, output, 0.01, at, at))
            log.close()
        store = LabelStore(self.traffic)
        for day in range(int(days) + 2):
            end = MONDAY + (day + 1) * DAY
            some = [Label(f"r{n}", late[n]) for n, at in enumerate(when) if end - DAY <= at + timedelta(hours=6) < end]
            with patch("gitml.clock.time.time", end.timestamp):
                store.add("delay", some, "desk")
        with patch("gitml.clock.time.time", now.timestamp):
            store.close()


def build(root: Path) -> CandidateTown:
    """The champion alone, committed a week before MONDAY."""
    root.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "init", "-qb", "main"], cwd=root, check=True)
    (root / "metrics.json").write_text("{}")
    versions = []
    for name, model, created in (
        ("delay.skops", "boosting", "2026-02-01T08:00:00Z"),
        ("other.skops", "onehot", "2026-02-20T08:00:00Z"),
    ):
        saved(fitted(model), root / name)
        versions.append(_record(root, name, created))
    town = CandidateTown(root, *versions)
    town.write({"gitml.yaml": GITML.replace("TRAFFIC", str(town.traffic)), "policy.yaml": POLICY})
    town.deploy()
    town.commit(MONDAY - 7 * DAY)
    return town


def _record(root: Path, artifact: str, created: str) -> Record:
    raw = (root / artifact).read_bytes()
    sha256 = hashlib.sha256(raw).hexdigest()
    digest = external_digest("delay", sha256, "here")
    record = Record(
        model="delay", version=name_of(digest, created), digest=digest, created=created, origin="external",
        source="here", artifact=artifact, files={artifact: File(sha256=sha256, size=len(raw))},
        signature={**SIGNATURE, "data_until": "2026-01-31"},
        metrics={"accuracy": Metric(value=0.8, low=0.78, high=0.82)},
    )  # fmt: skip
    write_record(root, record)
    return record
