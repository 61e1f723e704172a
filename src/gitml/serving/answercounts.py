"""How many requests each version answered, and how long they took, counted in a millionth of a second.

The counters of the Prometheus library take a lock and walk their buckets for each number, which costs a small model's
server a tenth of its time. Requests are counted on the event loop's thread alone; whoever reads the page in between
sees some count one request earlier than another.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from gitml.serving.latencybuckets import SECONDS

BY_VARIANT = ("model", "version", "variant")


@dataclass(slots=True)
class AnswerCount:
    """Of one version. ``buckets``: requests by time, up to each of SECONDS and above the last."""

    rows: int = 0
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(SECONDS) + 1))
    codes: dict[int, int] = field(default_factory=dict)

    def add(self, code: int, rows: int, seconds: float) -> None:
        self.codes[code] = self.codes.get(code, 0) + 1
        if code == 200:
            self.rows += rows
            self.seconds += seconds
            self.buckets[bisect_left(SECONDS, seconds)] += 1


class AnswerCounts(Collector):
    """By model, version and variant. Prometheus's page has them as its own counters."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str], AnswerCount] = {}

    def of(self, model: str, version: str, variant: str) -> AnswerCount:
        key = model, version, variant
        found = self._counts.get(key)
        if found is None:
            # A new table, so that a reader's does not change under it.
            found = AnswerCount()
            self._counts = {**self._counts, key: found}
        return found

    def told(self) -> Iterator[tuple[tuple[str, str, str], AnswerCount]]:
        """Each with its model, version and variant, those first that were answered first."""
        yield from self._counts.items()

    def describe(self) -> Iterator[Metric]:
        yield from self._families()

    def collect(self) -> Iterator[Metric]:
        requests, rows, seconds = self._families()
        for key, count in self._counts.items():
            for code, number in dict(count.codes).items():
                requests.add_metric([*key, str(code)], number)
            if any(count.buckets):
                rows.add_metric(key, count.rows)
                sums = accumulate(list(count.buckets))
                bounds = [*map(str, map(float, SECONDS)), "+Inf"]
                seconds.add_metric(key, list(zip(bounds, sums, strict=True)), count.seconds)
        yield from (requests, rows, seconds)

    def _families(self) -> tuple[CounterMetricFamily, CounterMetricFamily, HistogramMetricFamily]:
        return (
            CounterMetricFamily("gitml_requests", "Requests by their answer", labels=(*BY_VARIANT, "code")),
            CounterMetricFamily("gitml_rows", "Rows that were answered", labels=BY_VARIANT),
            HistogramMetricFamily("gitml_request_seconds", "From the request's head to its answer", labels=BY_VARIANT),
        )
