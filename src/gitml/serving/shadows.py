"""Shadow versions: they see requests that others have answered, and never hold anybody up.

One thread works on a short queue. A request that finds it full, or waits in it too long, is not shown: it is counted,
and logged as dropped.
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
from gitml.serving.plainjson import AskedRows
from gitml.serving.state import Served, Variant
from gitml.traffic.exchange import Arm, Encoded, Exchange
from gitml.traffic.marks import HOLD
from gitml.traffic.predictionlog import Sink

# Rows of a window must be there when a host says that it is complete.
_LATE = HOLD / 2


class _Shown(NamedTuple):
    model: str
    variant: Variant
    asked: AskedRows
    narrow: bool
    arm: Arm
    event: Exchange


class Shadows:
    """The queue and its thread, which lives while there is something to do."""

    def __init__(self, metrics: Metrics, log: Sink, limits: Limits) -> None:
        self._metrics, self._log = metrics, log
        self._queue: Queue[_Shown | None] = Queue(limits.shadows)
        self._thread: threading.Thread | None = None

    def show(self, served: Served, unit: str, asked: AskedRows, event: Exchange) -> None:
        """Show an answered request to the shadows that the unit is drawn for. Never blocks."""
        for variant in served.watching(unit):
            narrow = variant.model.signature.inputs != served.champion.model.signature.inputs
            shown = _Shown(served.name, variant, asked, narrow, served.arms[variant.version], event)
            try:
                self._queue.put_nowait(shown)
            except Full:
                _drop(shown, self._metrics, self._log, "full")
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
        if clock.timestamp() > shown.event.arrived + _LATE:
            _drop(shown, metrics, log, "late")
        else:
            _ask(shown, metrics, log)


def _ask(shown: _Shown, metrics: Metrics, log: Sink) -> None:
    began = time.perf_counter()
    signature = shown.variant.model.signature
    try:
        rows = shown.asked.encoded(signature, narrow=shown.narrow)
        answers = shown.variant.model.answers(rows)
    except Exception as exc:  # a shadow's boundary: nobody waits for it, its failures are counted
        metrics.answered(shown.model, shown.variant, 500, 0, 0.0)
        seconds = time.perf_counter() - began
        log.put(_without_answer(shown, "failed", type(exc).__name__, seconds, clock.timestamp()))
        return
    seconds = time.perf_counter() - began
    metrics.answered(shown.model, shown.variant, 200, len(rows), seconds)
    features = shown.asked.raw(signature) if signature.unknown(rows) else Encoded(rows, signature.arrays)
    log.put(
        shown.event._replace(
            arm=shown.arm,
            features=features,
            output=Encoded(answers, signature.named),
            latency=seconds,
            answered=clock.timestamp(),
        )
    )


def _drop(shown: _Shown, metrics: Metrics, log: Sink, reason: str) -> None:
    metrics.shadow_dropped(shown.model)
    log.put(_without_answer(shown, "dropped", reason, None, None))


def _without_answer(
    shown: _Shown, outcome: str, reason: str, latency: float | None, answered: float | None
) -> Exchange:
    return shown.event._replace(
        arm=shown.arm, features={}, output={}, outcome=outcome, reason=reason, latency=latency, answered=answered,
        asked=shown.event.rows, size=0,
    )  # fmt: skip
