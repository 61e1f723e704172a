"""What Prometheus sees of a server. Labels hold names that main pins, never words of a caller."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.process_collector import ProcessCollector

from gitml.serving.answercounts import BY_VARIANT, AnswerCounts
from gitml.serving.sharedpages import NumberedRegistry, SharedPages
from gitml.serving.state import ServerState, Variant
from gitml.traffic.predictionlog import LogStats

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counts of one server, in a registry of its own. ``pages``: where others behind its port tell theirs."""

    def __init__(self, state: ServerState, log_stats: Callable[[], LogStats], pages: SharedPages | None = None) -> None:
        self._pages, self._lock = pages, threading.Lock()
        self.registry = CollectorRegistry()
        # Uptime, CPU seconds, memory, open files of this process.
        ProcessCollector(registry=self.registry)
        make = self.registry
        self.answers = AnswerCounts()
        make.register(self.answers)
        self._unknown = Counter("gitml_unknown_words", "Words that are no category", ("model", "input"), registry=make)
        self._refused = Counter("gitml_refused", "Requests without an answer of a model", ("reason",), registry=make)
        self._shadows = Counter("gitml_shadow_dropped", "Requests that a shadow did not see", ("model",), registry=make)
        self._served = Gauge(
            "gitml_served", "1 for each version that serves", (*BY_VARIANT, "environment"), registry=make
        )
        self._state, self._log_stats = state, log_stats
        self._gauges()

    def answered(self, model: str, variant: Variant, code: int, rows: int, seconds: float) -> None:
        """One request that reached a version."""
        self.answers.of(model, variant.version, variant.role).add(code, rows, seconds)

    def unknown(self, model: str, words: dict[str, int]) -> None:
        for name, count in words.items():
            self._unknown.labels(model, name).inc(count)

    def refused(self, reason: str) -> None:
        self._refused.labels(reason).inc()

    def shadow_dropped(self, model: str) -> None:
        self._shadows.labels(model).inc()

    def text(self) -> bytes:
        """The page that Prometheus reads."""
        own = self.own_text()
        return self._pages.merged(own) if self._pages else own

    def own_text(self) -> bytes:
        """What this process counted alone."""
        with self._lock:
            self._served.clear()
            for served in self._state.served.values():
                for v in served.variants.values():
                    self._served.labels(served.name, v.version, v.role, served.environment).set(1)
            return generate_latest(
                NumberedRegistry(self.registry, self._pages.process) if self._pages else self.registry
            )

    def _gauges(self) -> None:
        gauges: dict[str, tuple[str, Callable[[], float]]] = {
            "gitml_server_restarts": ("Processes of this server that ended before", lambda: self._state.restarts),
            "gitml_uptime_seconds": ("Since the start of the server", lambda: time.monotonic() - self._state.started),
            "gitml_in_flight": (
                "Requests in work",
                lambda: sum(s.in_flight.count for s in self._state.served.values()),
            ),
            "gitml_log_kept": ("Rows in the prediction log", lambda: self._log_stats().kept),
            "gitml_log_dropped": ("Rows that the prediction log had no room for", lambda: self._log_stats().dropped),
            "gitml_log_pending": ("Rows that wait for the prediction log", lambda: self._log_stats().pending),
        }
        for name, (words, value) in gauges.items():
            Gauge(name, words, registry=self.registry).set_function(value)
