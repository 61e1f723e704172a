"""Shadow versions: they see requests that others have answered, and never hold anybody up.

One thread works on a short queue; a request that finds it full is not shown, and counted.
"""

from __future__ import annotations

import threading
import time
import weakref
from queue import Empty, Full, Queue
from typing import NamedTuple

from gitml import clock
from gitml.serving.limits import Limits
from gitml.serving.metrics import Metrics
from gitml.serving.plainjson import Asked, outputs
from gitml.serving.state import Served, Variant
from gitml.traffic.eventcolumns import Encoded, Event
from gitml.traffic.predictionlog import Sink


class _Shown(NamedTuple):
    model: str
    variant: Variant
    asked: Asked
    narrow: bool
    event: Event


class Shadows:
    """The queue and its thread, which lives while there is something to do."""

    def __init__(self, metrics: Metrics, log: Sink, limits: Limits) -> None:
        self._metrics, self._log = metrics, log
        self._queue: Queue[_Shown | None] = Queue(limits.shadows)
        self._thread: threading.Thread | None = None

    def show(self, served: Served, unit: str, asked: Asked, event: Event) -> None:
        """Show an answered request to the shadows that the unit is drawn for. Never blocks."""
        for variant in served.watching(unit):
            narrow = variant.model.signature.inputs != served.champion.model.signature.inputs
            try:
                self._queue.put_nowait(_Shown(served.name, variant, asked, narrow, event))
            except Full:
                self._metrics.shadow_dropped(served.name)
        if self._thread is None and not self._queue.empty():
            self._thread = threading.Thread(
                target=_work, args=(self._queue, self._metrics, self._log), daemon=True, name="gitml-shadow"
            )
            self._thread.start()
            weakref.finalize(self, _end, self._queue)


def _end(queue: Queue[_Shown | None]) -> None:
    try:
        while True:
            queue.get_nowait()
    except Empty:
        queue.put_nowait(None)


def _work(queue: Queue[_Shown | None], metrics: Metrics, log: Sink) -> None:
    while (shown := queue.get()) is not None:
        began = time.perf_counter()
        signature = shown.variant.model.signature
        try:
            rows = shown.asked.encoded(signature, narrow=shown.narrow)
            answers = shown.variant.model.answers(rows)
        except Exception:  # a shadow's boundary: nobody waits for it, its failures are counted
            metrics.answered(shown.model, shown.variant, 500, 0, 0.0)
            continue
        seconds = time.perf_counter() - began
        metrics.answered(shown.model, shown.variant, 200, len(rows), seconds)
        features = shown.asked.raw(signature) if signature.unknown(rows) else Encoded(rows, signature.arrays)
        log.put(
            shown.event._replace(
                variant="shadow", version=shown.variant.version, features=features,
                output=outputs(signature, answers), latency=seconds, time=clock.timestamp(),
            )
        )  # fmt: skip
