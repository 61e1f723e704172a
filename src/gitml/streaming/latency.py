"""How late answers are: from the moment that the broker has of a message to when its answer was committed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
from prometheus_client import CollectorRegistry, Gauge, Histogram

# Of so many answers the quantile is taken, so that the hundredth part of them is some.
_LAST = 10_000
_FEWEST = 100
_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)


class StreamLatency:
    """Seconds from a message's own time to the commit of its answer: all of them as a histogram, the last 10,000 as
    their 99th percentile, held against ``bound`` (seconds; 0.0: none was declared).

    A producer's clock that is ahead counts as no time at all. ``say`` hears when the percentile goes above the bound,
    and when it is within it again.
    """

    def __init__(self, registry: CollectorRegistry, bound: float = 0.0, say: Callable[[str], None] = print) -> None:
        buckets = sorted({*_BUCKETS, bound}) if bound else _BUCKETS
        self._seconds = Histogram(
            "gitml_stream_latency_seconds", "From a message's time to the commit", registry=registry, buckets=buckets
        )
        self._p99 = Gauge("gitml_stream_latency_p99_seconds", "Of the last 10,000 answers", registry=registry)
        if bound:
            Gauge("gitml_stream_latency_bound_seconds", "Declared with --p99", registry=registry).set(bound)
        self.bound, self._say = bound, say
        self._last: deque[float] = deque(maxlen=_LAST)
        self._is_above, self._judged = False, 0.0

    def add(self, times: Sequence[float], committed: float) -> None:
        """Answers that were committed at once; ``times`` of their messages, and that moment, in seconds since 1970.
        0.0 is a time that nobody told."""
        late = [max(0.0, committed - time) for time in times if time]
        for seconds in late:
            self._seconds.observe(seconds)
        self._last.extend(late)
        if late and len(self._last) >= _FEWEST and committed >= self._judged + 1.0:
            self._judged = committed
            self._judge(float(np.quantile(np.fromiter(self._last, float), 0.99)))

    def _judge(self, p99: float) -> None:
        self._p99.set(p99)
        is_above = bool(self.bound) and p99 > self.bound
        if is_above != self._is_above:
            self._is_above = is_above
            words = "is above" if is_above else "is within"
            self._say(f"p99 of the last {len(self._last):,} answers {words} the bound: {p99:.3f} s of {self.bound:g} s")
