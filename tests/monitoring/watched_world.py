"""An application whose model serves, as files: a record with its signature and reference, and weeks of traffic."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

from gitml.monitoring.detectors.rowsample import sample_bytes, sample_of
from gitml.monitoring.reference import Part, write
from gitml.registry.lineage import external_digest
from gitml.registry.record import File, Metric, Record, name_of
from gitml.spec import render_deployment
from gitml.spec.deployment import Deployment, Pin
from gitml.traffic.exchange import Arm, Exchange
from gitml.traffic.labels import Label, LabelStore
from gitml.traffic.predictionlog import LogLimits, LogOrigin, PredictionLog

MONDAY = datetime(2025, 9, 1, tzinfo=UTC)
WEEK, DAY = timedelta(weeks=1), timedelta(days=1)
AT = MONDAY + 6 * WEEK
WORDS = ("a", "b", "c")
ROLES = {
    "reference": "reference.json",
    "reference_rows": "rows.parquet",
    "outliers": "outliers.safetensors",
    "evaluated": "evaluated.parquet",
    "slices": "slices.json",
}
SIGNATURE = {
    "inputs": [
        {"name": "fare", "type": "float64"},
        {"name": "weather", "type": "float64", "nullable": True},
        {"name": "word", "type": "string", "categories": [*WORDS]},
    ],
    "outputs": [{"name": "p", "type": "float64"}],
}
GITML = """\
application: flights
models:
  delay:
    artifact: m.onnx
    metrics: m.json
    signature: signature.json
    reference: reference.json
    reference_rows: rows.parquet
    better: {auc: higher}
traffic: {at: TRAFFIC}
monitors:
  models:
    delay:
      window: 1w
"""


def rows(days: int, per_day: int, seed: int = 0) -> pd.DataFrame:
    """``fare`` and ``word`` are each row's own, ``weather`` is shared by a day; ``late`` follows ``p``."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), per_day)
    n = len(day)
    p = rng.random(n)
    return pd.DataFrame(
        {
            "fare": rng.normal(size=n),
            "weather": rng.normal(size=days)[day] + 0.3 * rng.normal(size=n),
            "word": rng.choice(WORDS, n),
            "p": p,
            "late": (rng.random(n) < p).astype(float),
            "when": [MONDAY - timedelta(days=int(days - d)) for d in day],
        }
    )


@dataclass(frozen=True)
class WatchedWorld:
    root: Path
    version: str

    @property
    def traffic(self) -> Path:
        return self.root / "traffic"

    def serve(
        self,
        live: Mapping[int, pd.DataFrame],
        *,
        version: str = "",
        labels: bool = False,
        now: datetime = AT - DAY,
        name: str = "d",
        environment: str = "production",
        **more: Any,
    ) -> None:
        """``live``: day from MONDAY on → the rows that were asked and answered on it, one request a day."""
        arm = Arm("delay", environment, "champion", version or self.version, 100.0, "e1")
        with patch("gitml.clock.time.time", now.timestamp):  # the clock of today does not go back
            self._serve(live, arm, name, labels=labels, **more)

    def _serve(self, live: Mapping[int, pd.DataFrame], arm: Arm, name: str, *, labels: bool, **more: Any) -> None:
        limits, origin = LogLimits(window=0.01), LogOrigin("web", arm.environment)
        log, store = PredictionLog(self.traffic, limits=limits, origin=origin), LabelStore(self.traffic)
        for day, some in live.items():
            when = (MONDAY + timedelta(days=day, hours=12)).timestamp()
            features = {column: some[column].to_numpy() for column in ("fare", "weather", "word") if column in some}
            output = {"p": some["p"].to_numpy()}
            exchange = Exchange(f"{name}{day}", "", "u", arm, features, output, 0.1, when, when)
            log.put(exchange._replace(**more))
            if labels:
                store.add("delay", [Label(f"{name}{day}", v, i) for i, v in enumerate(some["late"].tolist())], "test")
        log.close()
        store.close()


def build(root: Path, *, reference: bool = True, monitors: str = "") -> WatchedWorld:
    """12 weeks of 1,400 training rows; `monitors` replaces the lines under `models: delay:`."""
    root.mkdir(parents=True, exist_ok=True)
    made = rows(84, 200)
    if reference:
        features = Part(made, ("fare", "weather", "word"), "when")
        write(root / "reference.json", features, Part(made, ("p",), "when"))
        (root / "rows.parquet").write_bytes(sample_bytes(sample_of(features, 4_000)))
    (root / "m.onnx").write_bytes(b"model")
    (root / "signature.json").write_text(json.dumps(SIGNATURE))
    (root / "gitml.yaml").write_text(GITML.replace("TRAFFIC", str(root / "traffic")) + monitors)
    return WatchedWorld(root, deploy(root, "m.onnx", SIGNATURE))


def deploy(root: Path, artifact: str, signature: Mapping[str, Any], created: str = "2025-08-31T00:00:00Z") -> str:
    """A record of what lies in ``root``, and the file that pins it in production. The version's name."""
    roles = {role: name for role, name in ROLES.items() if (root / name).exists()}
    files = {name: _file(root / name) for name in (artifact, *roles.values())}
    digest = external_digest("delay", files[artifact].sha256, "https://example.org/m")
    record = Record(
        model="delay", version=name_of(digest, created), digest=digest, created=created, origin="external",
        source="https://example.org/m", artifact=artifact, files=files, signature=signature,
        metrics={"auc": Metric(value=0.83, low=0.82, high=0.84)},
        roles=roles,
    )  # fmt: skip
    pin = Pin(version=record.version, digest=files[artifact].sha256)
    for name, content in {
        f"models/delay/versions/{record.version}.json": record.to_json(),
        "models/delay/production.yaml": render_deployment(Deployment(champion=pin)),
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return record.version


def _file(path: Path) -> File:
    raw = path.read_bytes()
    return File(sha256=hashlib.sha256(raw).hexdigest(), size=len(raw))


def weeks(count: int, seed: int = 1) -> dict[int, pd.DataFrame]:
    """Weeks of the same kind of rows as those of the training: 700 on each Monday and Thursday."""
    every = rows(2 * count, 700, seed)
    days = [7 * week + day for week in range(count) for day in (0, 3)]
    return {day: every.iloc[place * 700 : (place + 1) * 700] for place, day in enumerate(days)}


def changed(live: Mapping[int, pd.DataFrame], first: int, **columns: Any) -> dict[int, pd.DataFrame]:
    """With other columns from the day ``first`` on, as ``DataFrame.assign`` takes them."""
    return {day: some.assign(**columns) if day >= first else some for day, some in live.items()}
