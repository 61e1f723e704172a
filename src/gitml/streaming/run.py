"""The loop of ``gitml stream``: receive, score, send, tell the traffic; swap between two batches."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge

from gitml import clock
from gitml.serving.state import ServerState
from gitml.streaming.latency import StreamLatency
from gitml.streaming.messages import Broker
from gitml.streaming.scoring import MessageScoring
from gitml.traffic.predictionlog import Sink

_TRIES = 5


@dataclass(frozen=True)
class StreamBounds:
    """At most ``batch`` messages at a time, and ``wait`` seconds for more once there is one. ``p99``: within how many
    seconds 99 % of messages are answered, 0.0 where none were declared; then a quarter of them is the longest wait."""

    batch: int = 500
    wait: float = 0.02
    p99: float = 0.0

    @property
    def longest(self) -> float:
        """Seconds to wait for more messages, at most."""
        return min(self.wait, self.p99 / 4) if self.p99 else self.wait


class StreamGauges:
    """What Prometheus sees of a stream beside the counters of the versions."""

    def __init__(self, registry: CollectorRegistry, p99: float = 0.0, say: Callable[[str], None] = print) -> None:
        self.messages = Counter("gitml_stream_messages", "Messages that were answered", registry=registry)
        self.dead = Counter("gitml_stream_dead_letters", "Messages that went to the dead letters", registry=registry)
        self.labels = Counter("gitml_stream_labels", "Labels that were kept", registry=registry)
        self.again = Counter("gitml_stream_aborted", "Batches that were taken back and came again", registry=registry)
        self.lag = Gauge("gitml_stream_lag", "Messages that wait", registry=registry)
        self.seconds = Gauge("gitml_stream_batch_seconds", "From the receipt to the commit, last", registry=registry)
        self.latency = StreamLatency(registry, p99, say)


@dataclass
class StreamLoop:
    """Runs in one thread. ``follow`` is called between two batches, and may swap what ``state`` serves."""

    model: str
    state: ServerState
    broker: Broker
    scoring: MessageScoring
    log: Sink
    gauges: StreamGauges
    bounds: StreamBounds
    follow: Callable[[], None]

    def run(self, stop: threading.Event) -> None:
        """Until ``stop``: what was received is answered or left for the next process. Raises OutsideError."""
        refused = 0
        while not stop.is_set():
            self.follow()
            refused = 0 if self.step() else refused + 1
            if refused:
                self.gauges.again.inc()
                stop.wait(min(5.0, 0.1 * 2.0 ** min(refused, _TRIES)))

    def step(self) -> bool:
        """One batch; whether it was sent. Each is answered by one snapshot: a swap never splits it."""
        messages = self.broker.receive(self.bounds.batch, self.bounds.longest)
        if not messages:
            return True
        began = time.monotonic()
        scored = self.scoring.scored(self.state.served[self.model], messages)
        if not self.broker.send(scored.answers):
            return False
        self.gauges.latency.add([message.time for message in messages], clock.machine())
        for event in scored.events:
            self.log.put(event)
        dead = sum(answer.dead for answer in scored.answers)
        self.gauges.dead.inc(dead)
        self.gauges.messages.inc(len(messages) - dead)
        self.gauges.seconds.set(time.monotonic() - began)
        self.gauges.lag.set(self.broker.lag())
        return True
