"""Traffic of a candidate beside a champion, written by the real writers: outcomes, answers and labels as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from gitml.traffic.events import BusinessEvent, EventStore
from gitml.traffic.exchange import Arm, Exchange
from gitml.traffic.labels import Label, LabelStore
from gitml.traffic.predictionlog import LogLimits, LogOrigin, PredictionLog

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
OLD, NEW = "20260201T080000Z-77777777", "20260301T080000Z-3f2a90bc"


@dataclass(frozen=True)
class Served:
    """``when``: moments; ``p``: answers; ``late``: what really happened, NaN for no label. ``bad``: rows that failed."""

    arm: str
    when: Sequence[datetime]
    p: Any
    late: Any
    unit: Sequence[str] | None = None
    version: str = ""
    weight: float | None = None
    epoch: str = "e1"
    outcome: Sequence[str] | None = None
    ids: Sequence[str] = ()
    latency: Any = 0.01
    environment: str = "production"
    prefix: str = ""

    @property
    def names(self) -> Sequence[str]:
        return self.ids or [f"{self.prefix or self.arm}{self.epoch}-{n}" for n in range(len(self.when))]


@dataclass
class SplitWorld:
    folder: Path
    model: str = "delay"
    host: str = "web"
    now: datetime = field(default_factory=lambda: MONDAY + 60 * DAY)

    def serve(self, *parts: Served, label_delay: timedelta = timedelta(hours=6), source: str = "warehouse") -> None:
        """Rows of all parts, and their labels, each ``label_delay`` after its request."""
        with patch("gitml.clock.time.time", self.now.timestamp):
            log = PredictionLog(
                self.folder,
                limits=LogLimits(window=0.01, rows=2_000_000, bytes=4 << 30),
                origin=LogOrigin(self.host, parts[0].environment),
            )
            for part in parts:
                for exchange in self._exchanges(part):
                    log.put(exchange)
            log.close(timeout=300)
        for part in parts:
            self.tell(part, label_delay, source)

    def _exchanges(self, part: Served) -> Iterator[Exchange]:
        roles = {"champion": OLD, "canary": NEW, "shadow": NEW, "asked": NEW}
        version = part.version or roles[part.arm]
        arm = Arm(self.model, part.environment, part.arm, version, part.weight, part.epoch)
        latency = np.broadcast_to(np.asarray(part.latency, float), (len(part.when),)).tolist()
        p = np.asarray(part.p)
        for n, (name, when) in enumerate(zip(part.names, part.when, strict=True)):
            outcome = part.outcome[n] if part.outcome else "ok"
            told = {"p": p[n : n + 1]} if outcome == "ok" else {}
            unit, moment = part.unit[n] if part.unit else None, when.timestamp()
            answered = moment if outcome == "ok" else None
            yield Exchange(
                name, "", unit, arm, {}, told, latency[n], moment, answered, 0, outcome,
                "" if outcome == "ok" else "slow", 0 if outcome == "ok" else 1,
            )  # fmt: skip

    def tell(self, part: Served, delay: timedelta = timedelta(hours=6), source: str = "warehouse") -> None:
        """Labels by the day on which they come: the store dates each with the clock."""
        days: dict[datetime, list[Label]] = {}
        for name, when, late in zip(part.names, part.when, np.asarray(part.late, float), strict=True):
            if np.isfinite(late):
                moment = when + delay
                days.setdefault(moment.replace(minute=0, second=0, microsecond=0), []).append(Label(name, float(late)))
        for moment, labels in sorted(days.items()):
            with patch("gitml.clock.time.time", moment.timestamp):
                store = LabelStore(self.folder)
                store.add(self.model, labels, source)
                store.close()

    def happened(self, *events: BusinessEvent) -> None:
        with patch("gitml.clock.time.time", self.now.timestamp):
            store = EventStore(self.folder)
            store.add(events)
            store.close()


def moments(count: int, days: float, first: datetime = MONDAY) -> list[datetime]:
    """Evenly over the days."""
    step = timedelta(days=days) / max(count, 1)
    return [first + n * step for n in range(count)]
