"""What Prometheus sees of live rows beside their reference; labels hold names that main pins, no words of a caller."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from gitml.traffic.livesketch import LiveDistance


class LiveGauges(Collector):
    """For ``Metrics.registry``. ``distances`` is called whenever somebody reads the page."""

    def __init__(self, distances: Callable[[], Iterable[LiveDistance]]) -> None:
        self._distances = distances

    def collect(self) -> Iterator[GaugeMetricFamily]:
        far = GaugeMetricFamily(
            "gitml_live_distance",
            "How far a column of the last day lies from the version's reference, 0 to 1: for eyes, no alarm",
            labels=("model", "version", "column"),
        )
        rows = GaugeMetricFamily("gitml_live_rows", "Rows of the last day", labels=("model", "version"))
        most: dict[tuple[str, str], int] = {}
        for one in self._distances():
            # As the model's signature calls it.
            far.add_metric((one.model, one.version, one.column.partition("_")[2]), one.distance)
            most[one.model, one.version] = max(one.rows, most.get((one.model, one.version), 0))
        for key, count in most.items():
            rows.add_metric(key, count)
        yield far
        yield rows
