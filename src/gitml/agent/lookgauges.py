"""What Prometheus sees of the age of looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from gitml import clock
from gitml.agent.looksage import LookAge


class LookGauges(Collector):
    """For ``Metrics.registry``. ``view`` is what `/gitml/state` answers."""

    def __init__(
        self, view: Callable[[], Mapping[str, Any] | None], now: Callable[[], float] = clock.timestamp
    ) -> None:
        self._view, self._now = view, now

    def collect(self) -> Iterator[GaugeMetricFamily]:
        age = GaugeMetricFamily("gitml_look_age_seconds", "Since the newest look at live traffic", labels=("model",))
        window = GaugeMetricFamily("gitml_look_window_seconds", "How often there is to be a look", labels=("model",))
        now = self._now()
        for one in LookAge.told(self._view()):
            window.add_metric((one.model,), one.window)
            if (seconds := one.age(now)) is not None:
                age.add_metric((one.model,), seconds)
        yield age
        yield window
