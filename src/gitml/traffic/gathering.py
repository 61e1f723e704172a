"""What waits for the disk, gathered as columns while it comes in.

A server keeps thousands of requests for a second. Kept as objects, a dozen for each, they take its caches and give
Python's garbage collector work on the thread that answers: a tenth of a small model's throughput, and twice its p99.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from gitml.traffic.exchange import FIRST, LAST, Arm, Encoded, Exchange, day_number
from gitml.traffic.tabling import RequestColumns, batch_of, batches_of

_FLOAT = np.dtype(np.float64)
_DAY = 86400
# A table of more takes the interpreter for longer than an answer should wait.
MOST = 1024
_NONE = float("nan")


class Tabled(NamedTuple):
    """What became of ``rows``, which came in as ``size`` bytes: a batch, or why they are none."""

    rows: int
    size: int
    batch: pa.RecordBatch | Exception


class Others(NamedTuple):
    """Requests that are kept as they are: failed ones, words that a model does not know, answers that are words."""

    events: list[Exchange]

    def tables(self, host: str) -> Iterator[Tabled]:
        yield from _tables(self.events, host)


def _tables(events: Iterable[Exchange], host: str) -> Iterator[Tabled]:
    for some, batch in batches_of(events, host):
        yield Tabled(sum(e.rows for e in some), sum(e.size for e in some), batch)


class Gathered:
    """Answered requests of one model, day and signature, as columns."""

    def __init__(self, like: Exchange, features: Encoded, output: Encoded) -> None:
        self._decode, self._name = features.decode, output.decode
        self._widths = features.rows.shape[1], output.rows.shape[1]
        self._model, self._private = like.arm.model, like.arm.private
        self._begins = day_number(like.arrived) * _DAY
        self._ids: list[str] = []
        self._callers: list[str] = []
        self._units: list[str | None] = []
        self._arms: list[Arm] = []
        self._counts, self._times = array("q"), array("d")
        self._features, self._output = bytearray(), bytearray()
        self.rows = self.size = 0

    def takes(self, event: Exchange, features: Encoded, output: Encoded) -> bool:
        arm = event.arm
        return (
            len(self._ids) < MOST
            and (arm is self._arms[-1] or (arm.model == self._model and arm.private == self._private))
            and self._begins <= event.arrived < self._begins + _DAY
            and output.decode == self._name
            and (features.rows.shape[1], output.rows.shape[1]) == self._widths
        )

    def add(self, event: Exchange, features: Encoded, output: Encoded) -> None:
        """One that it takes."""
        self._ids.append(event.request_id)
        self._callers.append(event.caller)
        self._units.append(event.unit)
        self._arms.append(event.arm)
        answered, latency = event.answered, event.latency
        moments = event.arrived, _NONE if answered is None else answered, _NONE if latency is None else latency
        self._times.extend(moments)
        count = len(output.rows)
        self._counts.append(count)
        self._features += features.rows.tobytes()
        self._output += output.rows.tobytes()
        self.rows += count
        self.size += event.size

    def tables(self, host: str) -> Iterator[Tabled]:
        """One; where that fails, one for each request, so that one that fits nothing takes no other with it."""
        try:
            yield Tabled(self.rows, self.size, self._batch(host))
        except Exception:  # a boundary: `decode` may raise anything
            yield from _tables(self._exchanges(), host)

    def _batch(self, host: str) -> pa.RecordBatch:
        arrived, answered, latency = self._moments()
        count = len(self._ids)
        told = RequestColumns(
            self._ids, self._callers, self._units, self._arms, self._counts, ["ok"] * count, [""] * count,
            latency, arrived, answered,
        )  # fmt: skip
        return batch_of(told, np.array(self._counts), [self._taken()], [self._answers()], host)

    def _moments(self) -> Any:
        return np.array(self._times).reshape(-1, 3).T

    def _taken(self) -> Encoded:
        return Encoded(np.frombuffer(self._features, _FLOAT).reshape(-1, self._widths[0]), self._decode)

    def _answers(self) -> Encoded:
        return Encoded(np.frombuffer(self._output, _FLOAT).reshape(-1, self._widths[1]), self._name)

    def _exchanges(self) -> Iterator[Exchange]:
        features, output, end = self._taken(), self._answers(), 0
        for n, (arrived, answered, latency) in enumerate(self._moments().T.tolist()):
            begin, end = end, end + self._counts[n]
            # The first one stands for what cannot be shared out evenly.
            size = self.size // len(self._ids) + (0 if n else self.size % len(self._ids))
            yield Exchange(
                self._ids[n], self._callers[n], self._units[n], self._arms[n],
                features._replace(rows=features.rows[begin:end]), output._replace(rows=output.rows[begin:end]),
                latency, arrived, answered, size,
            )  # fmt: skip


def _fits(event: Exchange, features: Encoded, output: Encoded) -> bool:
    """Whether nothing of it is lost when it becomes columns of floats."""
    rows, answers = features.rows, output.rows
    return (
        event.outcome == "ok"
        and rows.dtype == _FLOAT == answers.dtype
        and rows.ndim == answers.ndim == 2
        and len(rows) == len(answers) > 0
        and FIRST <= event.arrived <= LAST
    )


class Gathering:
    """Requests as they come in. Not for several threads at once."""

    def __init__(self) -> None:
        self._open: dict[Any, Gathered] = {}
        self._others: list[Exchange] = []
        self.parts: list[Gathered | Others] = []

    def add(self, event: Exchange) -> None:
        """Never raises."""
        features, output = event.features, event.output
        if not (isinstance(features, Encoded) and isinstance(output, Encoded) and _fits(event, features, output)):
            if len(self._others) % MOST == 0:
                self._others = []
                self.parts.append(Others(self._others))
            self._others.append(event)
            return
        found = self._open.get(features.decode)
        if found is None or not found.takes(event, features, output):
            found = self._open[features.decode] = Gathered(event, features, output)
            self.parts.append(found)
        found.add(event, features, output)
