"""What tests of a running server share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import httpx
import numpy as np

from gitml.models.model import Predictor
from gitml.models.signature import parse
from gitml.serving.state import ServerState
from gitml.spec.deployment import Canary, Deployment, Pin
from gitml.traffic.exchange import Exchange
from gitml.traffic.predictionlog import LogStats
from serving_models import SIGNATURE

VERSIONS = [f"20260101T00000{n}Z-0000000{n}" for n in range(8)]


class Kept:
    """A log that keeps events in a list."""

    def __init__(self) -> None:
        self.events: list[Exchange] = []

    def put(self, event: Exchange) -> bool:
        self.events.append(event)
        return True

    def stats(self) -> LogStats:
        return LogStats(kept=len(self.events))

    def close(self, timeout: float = 10.0) -> None: ...


class Served:
    """A running server: ``client`` talks to it."""

    def __init__(self, state: ServerState, log: Kept, client: httpx.Client, port: int, missing: str = "") -> None:
        self.state, self.log, self.client, self.port, self.missing = state, log, client, port, missing

    def predict(self, body: Any, **headers: str) -> httpx.Response:
        return self.client.post("/models/delay/predict", json=body, headers=headers)

    def deploy(self, models: Mapping[str, Predictor], **roles: Any) -> None:
        self.state.swap(self.state.prepare("delay", deployment(models, **roles), models))


def deployment(models: Mapping[str, Predictor], *, weight: float = 0, shadow: int = 0) -> Deployment:
    """The first model is champion, then the canary if it has a weight, then the shadows."""
    pins = [Pin(version=version, digest=model.digest) for version, model in models.items()]
    canary = Canary(**pins[1].model_dump(), weight=weight) if weight else None
    rest = pins[2 if weight else 1 :][:shadow]
    return Deployment(champion=pins[0], canary=canary, shadow=tuple(rest))


def constant(value: float, digit: int = 1, score: Callable[[Any], Any] | None = None) -> Predictor:
    """A model that answers ``value``, or what ``score`` says."""
    answer = score or (lambda rows: np.full(len(rows), value))
    return Predictor(parse(SIGNATURE), "test", str(digit) * 64, "arrays", answer)


ROW: dict[str, Any] = {"carrier": "AA", "distance": 700, "origin": "EWR", "age": 3.5}
