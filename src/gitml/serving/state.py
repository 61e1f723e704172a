"""What one server serves now: a snapshot that is never changed, only replaced.

A request takes the snapshot of its model once and keeps it until it is answered, so it sees the old versions or the new
ones, never some of each. The old ones are dropped when the last request that holds them is answered.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Literal

from gitml import clock
from gitml.errors import UsageError
from gitml.models.model import Predictor
from gitml.serving.batching import Runner
from gitml.serving.breaker import Breaker
from gitml.serving.limits import Limits
from gitml.serving.router import epoch_of, route, takes
from gitml.spec.deployment import Deployment, Pin, Shadow
from gitml.traffic.exchange import Arm

Role = Literal["champion", "canary", "shadow"]


@dataclass(frozen=True)
class Variant:
    """One loaded version and its role. ``percent`` of the traffic that a shadow sees."""

    role: Role
    version: str
    digest: str
    runner: Runner
    percent: float = 100.0

    @property
    def model(self) -> Predictor:
        return self.runner.model


@dataclass
class InFlight:
    """Requests that hold a snapshot; counted on the event loop's thread alone."""

    count: int = 0


@dataclass(frozen=True)
class Served:
    """All that is loaded of one model. ``commit`` is main's that said so, empty where there is none. Columns in
    ``private`` are not logged. ``breaker`` is the canary's, which it keeps while it is pinned."""

    name: str
    environment: str
    deployment: Deployment
    variants: Mapping[str, Variant]  # by version
    commit: str = ""
    since: float = field(default_factory=clock.timestamp)
    in_flight: InFlight = field(default_factory=InFlight, compare=False)
    private: frozenset[str] = frozenset()
    breaker: Breaker = field(default_factory=Breaker, compare=False)

    @cached_property
    def champion(self) -> Variant:
        return self.variants[self.deployment.champion.version]

    @cached_property
    def shadows(self) -> tuple[Variant, ...]:
        return tuple(v for v in self.variants.values() if v.role == "shadow")

    @cached_property
    def unrouted(self) -> Arm:
        """The arm of a request for which no version was chosen yet."""
        epoch = epoch_of(self.deployment, model=self.name, environment=self.environment)
        return Arm(self.name, self.environment, epoch=epoch, private=self.private)

    @cached_property
    def arms(self) -> Mapping[str, Arm]:
        """The arm of each version that requests are drawn for."""
        canary = self.deployment.canary.weight if self.deployment.canary else 0
        weights = {"champion": 100.0 - float(canary), "canary": float(canary)}
        return {
            v.version: self.unrouted._replace(name=v.role, version=v.version, weight=weights.get(v.role, v.percent))
            for v in self.variants.values()
        }

    @cached_property
    def asked(self) -> Mapping[str, Arm]:
        """The arm of each version when callers choose it themselves."""
        return {v: self.unrouted._replace(name="asked", version=v) for v in self.variants}

    @property
    def canary(self) -> Variant | None:
        pin = self.deployment.canary
        return self.variants[pin.version] if pin else None

    def choose(self, unit: str) -> Variant:
        """The variant that this unit is drawn for."""
        if self.deployment.canary is None:
            return self.champion
        chosen = route(self.deployment, unit, model=self.name, environment=self.environment)
        return self.variants[self.deployment.canary.version] if chosen == "canary" else self.champion

    def watching(self, unit: str) -> list[Variant]:
        """The shadows that see this unit's request."""
        key = ("shadow", self.name, self.environment)
        return [s for s in self.shadows if takes(unit, s.percent, *key, s.version)]


class ServerState:
    """The server's models by name. ``swap`` and the readers may be called from any thread.

    ``restarts``: how many processes served this before."""

    def __init__(self, environment: str, limits: Limits | None = None, *, restarts: int = 0) -> None:
        self.environment, self.restarts = environment, restarts
        self.limits = limits or Limits()
        self.started = time.monotonic()
        self.closing = False
        self._lock = threading.Lock()
        self._served: Mapping[str, Served] = MappingProxyType({})

    @property
    def served(self) -> Mapping[str, Served]:
        """The snapshots by model, as of now."""
        return self._served

    def prepare(
        self,
        name: str,
        deployment: Deployment,
        models: Mapping[str, Predictor],
        *,
        commit: str = "",
        private: frozenset[str] = frozenset(),
    ) -> Served:
        """A snapshot ready to swap in: every pinned version measured; versions that serve already are taken over.

        Raises UsageError if a pinned version is not among ``models``, has another digest than its pin, or takes other
        inputs than the champion.
        """
        before = self._served.get(name)
        variants: dict[str, Variant] = {}
        for role, pin in _roles(deployment):
            model = models.get(pin.version)
            if model is None or model.digest != pin.digest:
                what = "is not loaded" if model is None else "was loaded from another file than the one that is pinned"
                raise UsageError(f"{name} {pin.version} {what}")
            old = before.variants.get(pin.version) if before else None
            runner = old.runner if old and old.model is model else Runner(model, self.limits)
            percent = float(pin.sample) if isinstance(pin, Shadow) else 100.0
            variants[pin.version] = Variant(role, pin.version, pin.digest, runner, percent)
        self._same_inputs(name, variants)
        fresh = Served(name, self.environment, deployment, MappingProxyType(variants), commit, private=private)
        same = before is not None and _canary_of(before.deployment) == _canary_of(deployment)
        return replace(fresh, breaker=before.breaker) if before is not None and same else fresh

    def swap(self, fresh: Served) -> Served | None:
        """Serve ``fresh`` from the next request on; returns what served before."""
        with self._lock:
            before = self._served.get(fresh.name)
            self._served = MappingProxyType({**self._served, fresh.name: fresh})
        return before

    def remove(self, name: str) -> Served | None:
        """Serve the model no more."""
        with self._lock:
            before = self._served.get(name)
            self._served = MappingProxyType({n: s for n, s in self._served.items() if n != name})
        return before

    def drain(self, old: Served, timeout: float = 30.0) -> bool:
        """Wait until no request holds ``old``; False if some still do. Not for the loop's own thread."""
        until = time.monotonic() + timeout
        while old.in_flight.count and time.monotonic() < until:
            time.sleep(0.005)
        return not old.in_flight.count

    def _same_inputs(self, name: str, variants: Mapping[str, Variant]) -> None:
        champion = next(v for v in variants.values() if v.role == "champion")
        taken = {f.name for f in champion.model.signature.inputs}
        for variant in variants.values():
            strange = sorted({f.name for f in variant.model.signature.inputs} - taken)
            if strange:
                raise UsageError(
                    f"the {variant.role} of {name} wants {strange[0]}, which callers of the champion do not send",
                    "promote it as champion, so that callers know, or train it on the champion's inputs",
                )


def _canary_of(deployment: Deployment) -> tuple[str, str] | None:
    """Whatever its weight."""
    canary = deployment.canary
    return (canary.version, canary.digest) if canary else None


def _roles(deployment: Deployment) -> list[tuple[Role, Pin]]:
    canary: list[tuple[Role, Pin]] = [("canary", deployment.canary)] if deployment.canary else []
    return [("champion", deployment.champion), *canary, *(("shadow", pin) for pin in deployment.shadow)]
