"""Traffic of a candidate beside a champion, written by the real writers: outcomes, answers and labels as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np

from gitml.models.fields import Field
from gitml.rollout.evaluation import Contender, Evaluation, JudgedPart
from gitml.rollout.trial import CandidateTrial, TrialRules, TrialTraffic
from gitml.traffic.events import BusinessEvent, EventStore
from gitml.traffic.exchange import Arm, Exchange
from gitml.traffic.labels import Label, LabelStore
from gitml.traffic.marks import Completeness, completeness
from gitml.traffic.predictionlog import LogLimits, LogOrigin, PredictionLog
from gitml.traffic.reader import events, requests

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
OLD, NEW = "20260201T080000Z-77777777", "20260301T080000Z-3f2a90bc"


def at(moment: datetime) -> Any:
    """For gitml alone: a sandbox in this process keeps its own time, and its schedules."""
    return patch("gitml.clock.time", SimpleNamespace(time=moment.timestamp))


@dataclass(frozen=True)
class Served:
    """``when``: moments; ``p``: answers; ``late``: what really happened, NaN for no label."""

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
    output: str = "p"
    now: datetime = MONDAY + 10 * DAY

    def serve(
        self,
        *parts: Served,
        label_delay: timedelta = timedelta(hours=6),
        told: Sequence[tuple[Served, timedelta, str]] = (),
    ) -> None:
        """Rows of all parts, and their labels, each ``label_delay`` after its request; ``told``: more labels, how long
        after the requests, and by whom."""
        with at(self.now):
            log = PredictionLog(
                self.folder,
                limits=LogLimits(window=0.01, rows=2_000_000, bytes=4 << 30),
                origin=LogOrigin(self.host, parts[0].environment),
            )
            for part in parts:
                for exchange in self._exchanges(part):
                    log.put(exchange)
            log.close(timeout=300)
        self._tell([*((part, label_delay, "warehouse") for part in parts), *told])

    def _exchanges(self, part: Served) -> Iterator[Exchange]:
        roles = {"champion": OLD, "canary": NEW, "shadow": NEW, "asked": NEW}
        version = part.version or roles[part.arm]
        arm = Arm(self.model, part.environment, part.arm, version, part.weight, part.epoch)
        latency = np.broadcast_to(np.asarray(part.latency, float), (len(part.when),)).tolist()
        p = np.asarray(part.p)
        for n, (name, when) in enumerate(zip(part.names, part.when, strict=True)):
            outcome = part.outcome[n] if part.outcome else "ok"
            told = {self.output: p[n : n + 1]} if outcome == "ok" else {}
            unit, moment = part.unit[n] if part.unit else None, when.timestamp()
            answered = moment if outcome == "ok" else None
            yield Exchange(
                name, "", unit, arm, {}, told, latency[n], moment, answered, 0, outcome,
                "" if outcome == "ok" else "slow", 0 if outcome == "ok" else 1,
            )  # fmt: skip

    def _tell(self, told: Sequence[tuple[Served, timedelta, str]]) -> None:
        """By the six hours in which labels come: the store dates each with the clock, which never goes back."""
        spans: dict[tuple[datetime, str], list[Label]] = {}
        for part, delay, source in told:
            for name, when, late in zip(part.names, part.when, np.asarray(part.late, float), strict=True):
                if np.isfinite(late) and when + delay < self.now - timedelta(hours=6):
                    moment = when + delay
                    moment = moment.replace(hour=moment.hour // 6 * 6 + 5, minute=59, second=0, microsecond=0)
                    spans.setdefault((moment, source), []).append(Label(name, float(late)))
        store = LabelStore(self.folder)
        for (moment, source), labels in sorted(spans.items(), key=lambda one: one[0][0]):
            with at(moment):
                store.add(self.model, labels, source)
        with at(self.now):
            store.close()

    def happened(self, *events: BusinessEvent) -> None:
        with at(self.now):
            store = EventStore(self.folder)
            store.add(events)
            store.close()


def moments(count: int, days: float, first: datetime = MONDAY) -> list[datetime]:
    """Evenly over the days."""
    step = timedelta(days=days) / max(count, 1)
    return [first + n * step for n in range(count)]


def answers(right: Any, late: Any) -> Any:
    """Probabilities that say what really happened where ``right``."""
    return np.where(np.asarray(right) == (np.asarray(late) == 1), 0.9, 0.1)


def arms(
    count: int,
    old: float,
    new: float,
    *,
    seed: int = 0,
    days: float = 5,
    first: datetime = MONDAY,
    weight: float = 50.0,
    epoch: str = "e1",
    rate: float = 0.4,
    **more: Any,
) -> tuple[Served, Served]:
    """``count`` requests split by ``weight``: answers of the champion are right with probability ``old``."""
    rng = np.random.default_rng(seed)
    mine = rng.random(count) < weight / 100
    when = np.array(moments(count, days, first), dtype=object)
    late = (rng.random(count) < rate).astype(float)
    right = rng.random(count) < np.where(mine, new, old)
    p = answers(right, late)
    return tuple(
        Served(arm, when[rows].tolist(), p[rows], late[rows], weight=share, epoch=epoch, **more)
        for arm, rows, share in (("champion", ~mine, 100 - weight), ("canary", mine, weight))
    )  # type: ignore[return-value]


def trial(**changes: Any) -> CandidateTrial:
    """Of accuracy with a margin of .02, looked at ten days after MONDAY."""
    rules = changes.pop("rules", {})
    whole = CandidateTrial(
        "delay", "production", "split", Contender(NEW, "a" * 64), Contender(OLD, "b" * 64),
        TrialRules(**({"metric": "accuracy", "margin": 0.02} | rules)), Field("p", "float64"),
        MONDAY, MONDAY + 10 * DAY + timedelta(hours=2), 50.0, (10.0, 50.0),
    )  # fmt: skip
    return replace(whole, **changes)


def traffic(
    folder: Path, model: str = "delay", environment: str = "production", at: datetime | None = None
) -> TrialTraffic:
    def complete(since: datetime, until: datetime) -> Completeness | None:
        return completeness(folder, since, until, at=at, environment=environment) if at else None

    return TrialTraffic(
        lambda window, columns: requests(folder, model, window, columns=columns),
        lambda window: events(folder, window),
        lambda path: iter(()),
        complete,
    )


def part_of(found: Evaluation, name: str) -> JudgedPart:
    return next(part for part in found.parts if part.name == name)
