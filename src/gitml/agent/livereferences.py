"""What the versions that serve are held against: brought by the supervisor, counted beside by the server's process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gitml.agent.lookgauges import LookGauges
from gitml.agent.messages import GivenVersion, ServeOrder
from gitml.errors import UsageError
from gitml.monitoring.reference import read_version_reference
from gitml.serving.livegauges import LiveGauges
from gitml.serving.metrics import Metrics
from gitml.sketches.reference import ReferenceSketch
from gitml.traffic.livesketch import LiveSketches


class LiveReferences:
    """Those of the versions in service, from before there is a log to count."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, tuple[ReferenceSketch, ...]]] = {}
        self._live: LiveSketches | None = None

    def serve(self, order: ServeOrder) -> None:
        """These versions answer for the model from now on."""
        self._known[order.name] = {one.record.version: _parts(one) for one in order.versions}
        if self._live:
            self._live.expect(order.name, self._known[order.name])

    def count(self, live: LiveSketches, metrics: Metrics, view: Callable[[], Mapping[str, Any] | None]) -> None:
        """From now on, and show it in ``metrics``, with the age of looks that ``view`` tells."""
        self._live = live
        for name, versions in self._known.items():
            live.expect(name, versions)
        for gauges in (LiveGauges(live.distances), LookGauges(view)):
            metrics.registry.register(gauges)


def _parts(given: GivenVersion) -> tuple[ReferenceSketch, ...]:
    path = given.files.get(given.record.roles.get("reference", ""))
    with suppress(OSError, UsageError):
        return read_version_reference(Path(path).read_bytes()).parts if path else ()
    return ()
