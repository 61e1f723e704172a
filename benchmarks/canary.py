"""What one look at a candidate costs: `python -m benchmarks.canary [ROWS]`.

Requests of 200,000 users, split in two halves over ten days, and their labels, by the real writers. A process of
its own judges them; its CPU time, children and start included, and its memory are printed.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from gitml.models.fields import Field
from gitml.rollout.evaluation import Contender
from gitml.rollout.judge import judge
from gitml.rollout.trial import CandidateTrial, TrialRules, TrialTraffic
from gitml.traffic.exchange import Arm, Exchange
from gitml.traffic.labels import Label, LabelStore
from gitml.traffic.predictionlog import LogLimits, PredictionLog
from gitml.traffic.reader import events, requests

ROWS, USERS, DAYS = 1_000_000, 200_000, 10
FIRST = datetime(2026, 3, 2, tzinfo=UTC)
OLD, NEW = "20260201T080000Z-77777777", "20260301T080000Z-3f2a90bc"


def write(folder: Path, rows: int) -> None:
    rng = np.random.default_rng(0)
    late = (rng.random(rows) < 0.3).astype(float)
    p = np.clip(late * 0.3 + rng.random(rows) * 0.7, 0, 1)
    user = rng.integers(0, USERS, rows)
    canary = (rng.random(USERS)[user] < 0.5).astype(int)
    arms = [Arm("m", "production", name, version, 50.0, "e1") for name, version in (("champion", OLD), ("canary", NEW))]
    log = PredictionLog(folder, limits=LogLimits(rows=2 * rows, bytes=8 << 30))
    for n in range(rows):
        at = FIRST.timestamp() + n * DAYS * 86_400 / rows
        log.put(Exchange(f"r{n}", "", f"u{user[n]}", arms[canary[n]], {}, {"p": p[n : n + 1]}, 0.01, at, at))
    log.close(timeout=600)
    store = LabelStore(folder)
    for start in range(0, rows, 10_000):
        store.add("m", [Label(f"r{n}", late[n]) for n in range(start, min(start + 10_000, rows))], "desk")
    store.close()


def look(folder: str, metric: str) -> None:
    """Labels were told today, and the requests are of another year, so they may take that long."""
    years = timedelta(days=3650)
    rules = TrialRules(metric=metric, margin=0.01, maximum=3 * years, labels_within=years)
    trial = CandidateTrial(
        "m", "production", "split", Contender(NEW, "a" * 64), Contender(OLD, "b" * 64), rules, Field("p", "float64"),
        FIRST, datetime.now(UTC) + years, 50.0, (10.0, 50.0),
    )  # fmt: skip
    traffic = TrialTraffic(
        lambda window, columns: requests(folder, "m", window, columns=columns),
        lambda window: events(folder, window),
        lambda path: iter(()),
        lambda since, until: None,
    )
    began = time.process_time()
    found = judge(trial, traffic)
    used = resource.getrusage(resource.RUSAGE_SELF)
    part = next(part for part in found.parts if part.part == "primary")
    print(
        json.dumps(
            {
                "judging": time.process_time() - began,
                "process": used.ru_utime + used.ru_stime,
                "megabytes": used.ru_maxrss / 1024,
                "units": (part.n.champion or 0) + (part.n.candidate or 0),
                "phase": found.phase.value,
            }
        )
    )


def main() -> None:
    if len(sys.argv) == 4:
        look(sys.argv[2], sys.argv[3])
        return
    rows = int(sys.argv[1]) if len(sys.argv) == 2 and sys.argv[1].isdigit() else ROWS
    with tempfile.TemporaryDirectory() as place:
        write(Path(place), rows)
        for metric in ("accuracy", "auc", "log_loss"):
            words = [sys.executable, "-m", "benchmarks.canary", "look", place, metric]
            runs = [json.loads(subprocess.run(words, check=True, capture_output=True).stdout) for _ in range(3)]
            best = min(runs, key=lambda run: run["judging"])
            print(
                f"{metric:<9} {rows:,} joined rows, {best['units']:,} units: {best['judging']:.2f} CPU s of judging, "
                f"{best['process']:.2f} with the start, {best['megabytes']:.0f} MB; {best['phase']}"
            )


if __name__ == "__main__":
    main()
