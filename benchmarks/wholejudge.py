"""Whole tests, from rows of the traffic to the verdict: integrity, sample ratio, guardrails and metric together.

Slower than the statistics alone by a factor of a thousand, so there are fewer runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from gitml.models.fields import Field
from gitml.rollout.evaluation import Contender
from gitml.rollout.judge import judge
from gitml.rollout.trial import CandidateTrial, TrialRules, TrialTraffic
from gitml.traffic.reader import Window
from gitml.verdict import Phase

Random = np.random.Generator
BEGAN, HOUR = datetime(2026, 3, 2, tzinfo=UTC), timedelta(hours=1)
OLD, NEW = "20260201T080000Z-77777777", "20260301T080000Z-3f2a90bc"
_MOMENT = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class SimulatedTest:
    """``right``: how often champion and candidate are right. ``rows`` an hour; ``errors`` of both arms."""

    right: tuple[float, float]
    rows: int = 200
    errors: float = 0.005

    def batch(self, rng: Random, hours: int) -> pa.RecordBatch:
        """All rows, by arrival, split in two halves by unit, a third of them of units that return."""
        count = self.rows * hours
        mine = rng.random(count) < 0.5
        late = rng.random(count) < 0.4
        right = rng.random(count) < np.where(mine, self.right[1], self.right[0])
        ok = rng.random(count) >= self.errors
        begun = round(BEGAN.timestamp() * 1e6)
        arrived = begun + np.sort(rng.integers(0, hours * 3_600_000_000, count))
        units = np.where(rng.random(count) < 1 / 3, rng.integers(0, count, count) // 4, np.arange(count) + count)
        names = [f"{'n' if m else 'o'}{u}" for m, u in zip(mine.tolist(), units.tolist(), strict=True)]
        none = pa.nulls(count, pa.string())
        told = pa.array(np.where(ok, arrived + 1_800_000_000, 0), pa.int64(), mask=~ok).cast(_MOMENT)
        columns = {
            "request_id": pa.array([f"r{n}" for n in range(count)]),
            "caller": none,
            "row": pa.array(np.zeros(count, np.int32)),
            "unit": pa.array(names),
            "environment": _words(count, "production"),
            "arm": pa.array(np.where(mine, "canary", "champion")),
            "version": pa.array(np.where(mine, NEW, OLD)),
            "weight": pa.array(np.full(count, 50.0)),
            "epoch": _words(count, "e1"),
            "outcome": pa.array(np.where(ok, "ok", "failed")),
            "latency_ms": pa.array(rng.gamma(4, 5, count).astype(np.float32)),
            "arrived": pa.array(arrived, pa.int64()).cast(_MOMENT),
            "output_p": pa.array(np.where(right == late, 0.9, 0.1), mask=~ok),
            "label": pa.array(late.astype(np.float64), mask=~ok),
            "label_text": none,
            "label_source": _words(count, "desk"),
            "label_arrived": told,
        }
        return pa.record_batch(columns)

    def phases(self, rng: Random, rules: TrialRules, looks: int) -> set[Phase]:
        """What the looks of one test said, one an hour."""
        every = self.batch(rng, looks)
        arrived = every["arrived"].cast(pa.int64()).to_numpy()
        found = set()
        for look in range(1, looks + 1):
            at = BEGAN + look * HOUR
            some = every.slice(0, int(np.searchsorted(arrived, round(at.timestamp() * 1e6))))
            found.add(judge(_trial(rules, at), _traffic(some)).phase)
            if Phase.FAILED in found:
                break
        return found


def _words(count: int, word: str) -> Any:
    return pa.array([word] * count)


def _trial(rules: TrialRules, at: datetime) -> CandidateTrial:
    return CandidateTrial(
        "m", "production", "split", Contender(NEW, "a" * 64), Contender(OLD, "b" * 64), rules, Field("p", "float64"),
        BEGAN, at, 50.0, (10.0, 50.0),
    )  # fmt: skip


def _traffic(batch: pa.RecordBatch) -> TrialTraffic:
    def rows(window: Window, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        yield batch

    return TrialTraffic(rows, lambda window: iter(()), lambda path: iter(()), lambda since, until: None)


def wrong(rng: Random, runs: int, looks: int) -> Iterator[tuple[str, float]]:
    """Worlds in which a verdict is wrong, and how often it came at any look."""
    few = {"labels_within": HOUR, "metric": "accuracy"}
    for name, right, margin, verdict in (
        ("accuracy .90 and .88, margin .02: promoted", (0.90, 0.88), 0.02, Phase.SUCCESSFUL),
        ("accuracy .90 and .90, to be better: promoted", (0.90, 0.90), None, Phase.SUCCESSFUL),
        ("accuracy .90 and .90, margin .02: failed", (0.90, 0.90), 0.02, Phase.FAILED),
    ):
        rules = TrialRules(margin=margin, **few)  # type: ignore[arg-type]
        bad = sum(verdict in SimulatedTest(right).phases(rng, rules, looks) for _ in range(runs))
        yield name, bad / runs
