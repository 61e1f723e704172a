"""What waits for the disk, gathered as columns while it comes in.

A server keeps thousands of requests for a second. Kept as objects, a dozen for each, they take its caches and give
Python's garbage collector work on the thread that answers: a tenth of a small model's throughput, and twice its p99.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from gitml.traffic.exchange import Encoded, Exchange, day_number
from gitml.traffic.tabling import RequestColumns, batch_of, batches_of

_DAY = 86400
Decode = Callable[[np.ndarray[Any, Any]], Mapping[str, Any]]
# A table of more takes the interpreter for longer than an answer should wait.
MOST = 512


class Tabled(NamedTuple):
    """What became of ``rows``, which came in as ``size`` bytes: a batch, or why they are none."""

    rows: int
    size: int
    batch: pa.RecordBatch | Exception


class Others(NamedTuple):
    """Requests that are kept as they are: failed ones, and those with words that a model does not know."""

    events: list[Exchange]

    def tables(self, host: str) -> Iterator[Tabled]:
        yield from _tables(self.events, host)


def _tables(events: Iterable[Exchange], host: str) -> Iterator[Tabled]:
    for some, batch in batches_of(events, host):
        yield Tabled(sum(e.rows for e in some), sum(e.size for e in some), batch)


class Gathered:
    """Answered requests of one model, day and signature, as columns."""

    def __init__(self, like: Exchange, decode: Decode, name: Decode) -> None:
        self._decode, self._name = decode, name
        self._model, self._private = like.arm.model, like.arm.private
        self._begins = day_number(like.arrived) * _DAY
        self._ends = self._begins + _DAY
        self._told = RequestColumns([], [], [], [], [], [], [], [], [], [])
        self._sizes: list[int] = []
        # Arrays of numbers are nothing that the collector looks at.
        self._features: list[Any] = []
        self._output: list[Any] = []

    def takes(self, event: Exchange, output: Encoded) -> bool:
        arm, mine = event.arm, self._told.arm
        return (
            len(mine) < MOST
            and self._begins <= event.arrived < self._ends
            and (arm is mine[-1] or (arm.model == self._model and arm.private == self._private))
            and output.decode == self._name
        )

    def add(self, event: Exchange, features: Encoded, output: Encoded) -> None:
        """One that it takes."""
        told = self._told
        told.request_id.append(event.request_id)
        told.caller.append(event.caller)
        told.unit.append(event.unit)
        told.arm.append(event.arm)
        told.rows.append(len(output.rows))
        told.latency.append(event.latency)
        told.arrived.append(event.arrived)
        told.answered.append(event.answered)
        self._sizes.append(event.size)
        self._features.append(features.rows)
        self._output.append(output.rows)

    def tables(self, host: str) -> Iterator[Tabled]:
        """One; where that fails, one for each request, so that one that fits nothing takes no other with it."""
        count = len(self._sizes)
        told = self._told._replace(outcome=["ok"] * count, reason=[""] * count)
        try:
            features = Encoded(np.concatenate(self._features), self._decode)
            output = Encoded(np.concatenate(self._output), self._name)
            counts = np.array(told.rows)
            yield Tabled(int(counts.sum()), sum(self._sizes), batch_of(told, counts, [features], [output], host))
        except Exception:  # a boundary: `decode` may raise anything
            yield from _tables(self._exchanges(), host)

    def _exchanges(self) -> Iterator[Exchange]:
        told = self._told
        for n, (features, output) in enumerate(zip(self._features, self._output, strict=True)):
            yield Exchange(
                told.request_id[n], told.caller[n], told.unit[n], told.arm[n],
                Encoded(features, self._decode), Encoded(output, self._name),
                told.latency[n], told.arrived[n], told.answered[n], self._sizes[n],
            )  # fmt: skip


class Gathering:
    """Requests as they come in. Not for several threads at once."""

    def __init__(self) -> None:
        self._open: dict[Any, Gathered] = {}
        self._others: list[Exchange] = []
        self.parts: list[Gathered | Others] = []

    def add(self, event: Exchange) -> None:
        """Never raises."""
        features, output = event.features, event.output
        if not (isinstance(features, Encoded) and isinstance(output, Encoded) and event.outcome == "ok"):
            if len(self._others) % MOST == 0:
                self._others = []
                self.parts.append(Others(self._others))
            self._others.append(event)
            return
        found = self._open.get(features.decode)
        if found is None or not found.takes(event, output):
            found = self._open[features.decode] = Gathered(event, features.decode, output.decode)
            self.parts.append(found)
        found.add(event, features, output)
