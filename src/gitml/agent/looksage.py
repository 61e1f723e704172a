"""How old the newest look of each monitor is: that it has stopped is noticed by the one who serves.

The branch of the looks is asked for its newest commits, which say whose looks they bring, and for nothing else: no look
is read here, and nothing that the agent does hangs on it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gitml.agent.fetch import application_at
from gitml.agent.source import Mirror
from gitml.agent.state import stamp
from gitml.errors import OutsideError
from gitml.evidence.lookcommits import MOST_COMMITS, MonitorName, newest_of
from gitml.git.ledger import LOOKS
from gitml.git.orphan import growth
from gitml.jsontext import plain
from gitml.spec.monitors import MonitorSpec

# Windows have an hour at least.
_SECONDS = 60.0


@dataclass(frozen=True)
class LookAge:
    """Of a model that is watched here: how long its windows are, in seconds, and when the newest look came (UTC, ISO);
    '' where there was none."""

    model: str
    window: float
    newest: str

    @classmethod
    def told(cls, view: Mapping[str, Any] | None) -> tuple[LookAge, ...]:
        """Those of an agent's state as `/gitml/state` has it."""
        return tuple(cls(**one) for one in (view or {}).get("looks", ()))

    def age(self, now: float) -> float | None:
        """Seconds; None where there was no look."""
        return max(0.0, now - datetime.fromisoformat(self.newest).timestamp()) if self.newest else None


class LookAges:
    """What was found out last; the forge is asked once a minute."""

    def __init__(self, mirror: Mirror, environment: str, now: Callable[[], float] = time.monotonic) -> None:
        self._mirror, self._environment, self._now = mirror, environment, now
        self._newest: dict[MonitorName, datetime] = {}
        self._due = 0.0
        self._known: tuple[str, frozenset[str]] | None = None
        self._windows: Mapping[str, float] = {}

    def told(self, main: str, serving: Iterable[str]) -> dict[str, Any]:
        """For `/gitml/state`."""
        return {"looks": plain(self.of(main, frozenset(serving)))}

    def of(self, main: str, serving: frozenset[str]) -> tuple[LookAge, ...]:
        """Of the models ``serving``, as gitml.yaml of ``main`` has them watched."""
        if self._now() >= self._due:
            self._due = self._now() + _SECONDS
            with suppress(OutsideError):  # it is as old as it was
                self._newest |= newest_of(growth(self._mirror.remote, LOOKS, MOST_COMMITS))
        if self._known != (main, serving):
            self._known, self._windows = (main, serving), dict(self._watched(main, serving))
        newest = {model: self._newest.get((model, self._environment)) for model in self._windows}
        return tuple(LookAge(m, window, stamp(at) if (at := newest[m]) else "") for m, window in self._windows.items())

    def _watched(self, main: str, serving: frozenset[str]) -> Iterator[tuple[str, float]]:
        application = application_at(self._mirror, main)
        for model in sorted(serving & application.models.keys()) if application else ():
            spec = application.monitors.models.get(model, MonitorSpec()) if application else MonitorSpec()
            if spec.watch and self._environment in (spec.environments or (self._environment,)):
                yield model, spec.window.total_seconds()
