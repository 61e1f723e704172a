"""What an agent says of itself: how it stands to main, and how what it serves is doing. Two axes, never one word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gitml.jsontext import picked, plain
from gitml.verdict import Phase, Verdict


class Sync(StrEnum):
    """Whether what is served is what main says; unknown when main cannot be asked or believed."""

    SYNCED = "synced"
    OUT = "out of sync"
    UNKNOWN = "unknown"


class Health(StrEnum):
    """Of what is served: suspended is healthy too, but nothing new comes until an end that is told."""

    HEALTHY = "healthy"
    PROGRESSING = "progressing"
    DEGRADED = "degraded"
    SUSPENDED = "suspended"


_WORSE_SYNC = (Sync.SYNCED, Sync.OUT, Sync.UNKNOWN)
_WORSE_HEALTH = (Health.HEALTHY, Health.SUSPENDED, Health.PROGRESSING, Health.DEGRADED)


def not_better(health: Health, most: Health) -> Health:
    """``health``, or ``most`` where that is worse."""
    return max(health, most, key=_WORSE_HEALTH.index)


@dataclass(frozen=True)
class ModelView:
    """One model. ``wanted`` is what main says, ``applied`` what answers, ``attempted`` what was tried last.

    ``until``: the end of a suspension, or of the wait before the next try; UTC, ISO with a Z.
    """

    model: str
    sync: Sync
    health: Health
    reason: str = ""
    until: str = ""
    wanted: Mapping[str, Any] | None = None
    applied: Mapping[str, Any] | None = None
    attempted: Mapping[str, Any] | None = None
    failed: bool = False

    def to_dict(self) -> dict[str, Any]:
        told = picked(self, "model", "sync", "health", "reason", "wanted", "applied", "attempted")
        return {**told, "until": self.until or None}


@dataclass(frozen=True)
class View:
    """The whole agent. ``main`` is the newest commit seen, ``verified`` the newest that was believed in all it says."""

    environment: str
    repository: str
    agent: str
    models: Sequence[ModelView] = ()
    reason: str = ""
    main: str = ""
    verified: str = ""
    looked: str = ""
    outbox: int = 0
    observe: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sync(self) -> Sync:
        """The worst of all models; unknown as long as main was not seen."""
        found = max((m.sync for m in self.models), key=_WORSE_SYNC.index, default=Sync.SYNCED)
        return Sync.UNKNOWN if self.reason or not self.main else found

    @property
    def health(self) -> Health:
        return max((m.health for m in self.models), key=_WORSE_HEALTH.index, default=Health.HEALTHY)

    def to_dict(self) -> dict[str, Any]:
        return {
            **picked(self, "environment", "repository", "agent", "sync", "health", "reason", "observe", "outbox"),
            "main": self.main or None,
            "verified": self.verified or None,
            "looked": self.looked or None,
            "models": plain(self.models),
            **self.extra,
        }

    @property
    def verdict(self) -> Verdict:
        """Of one convergence: successful when every model answers as main says."""
        if self.sync is Sync.UNKNOWN:
            return Verdict(Phase.ERROR, self.reason or "main is not known")
        told = [
            m for m in self.models if m.sync is not Sync.SYNCED or m.health in (Health.DEGRADED, Health.PROGRESSING)
        ]
        reason = "; ".join(f"{m.model}: {m.reason}" for m in told)
        if not told:
            count = len(self.models)
            return Verdict(
                Phase.SUCCESSFUL, f"{count} model{'s' * (count != 1)} as main says" if count else "nothing to serve"
            )
        failed = any(m.failed or m.health is Health.DEGRADED for m in told)
        return Verdict(Phase.FAILED if failed else Phase.INCONCLUSIVE, reason)
