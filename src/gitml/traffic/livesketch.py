"""How far the rows of the last day lie from each version's reference, counted while they pass by on their way to disk.

For eyes, within a minute: rows of a day are alike, so a single day may lie far off and mean nothing. The alarm that
keeps a promise is that of a monitor, which knows how far days differ.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import add

import numpy as np
import pyarrow as pa

from gitml import clock
from gitml.sketches.gather import RowCounter, Source
from gitml.sketches.grids import NumberGrid
from gitml.sketches.reference import ReferenceSketch, joined
from gitml.sketches.sketch import Sketch
from gitml.traffic.exchange import MODEL
from gitml.traffic.tabling import merged
from gitml.traffic.windowsketch import CountedRows, counted_rows

HOURS = 24
# Fewer say nothing, not even to eyes.
LEAST_ROWS = 100
# Counting so many at once costs hardly more than counting one: they wait for each other, or for somebody to look.
_AT_ONCE = 2048


@dataclass(frozen=True)
class LiveDistance:
    """``distance`` (0 to 1) of a column's ``rows`` of the last day: Kolmogorov-Smirnov of numbers, total variation of
    categories. ``column`` as in the traffic, ``feature_…`` or ``output_…``."""

    model: str
    version: str
    column: str
    distance: float
    rows: int


@dataclass
class _Watched:
    references: tuple[ReferenceSketch, ...]
    count: RowCounter
    hours: dict[int, Sketch] = field(default_factory=dict)


class LiveSketches:
    """Rows of the last 24 hours, an hour a sketch. Any thread may call it."""

    def __init__(self, now: Callable[[], float] = clock.timestamp) -> None:
        self._now, self._lock = now, threading.Lock()
        self._watched: dict[tuple[str, str], _Watched] = {}
        self._waiting: list[tuple[int, pa.RecordBatch]] = []

    def expect(self, model: str, versions: Mapping[str, tuple[ReferenceSketch, ...]]) -> None:
        """These versions of the model are counted from now on, and no other; those that were go on."""
        with self._lock:
            self._count()
            before = {key: watched for key, watched in self._watched.items() if key[0] == model}
            others = {key: watched for key, watched in self._watched.items() if key[0] != model}
            fresh = {
                (model, version): before.get((model, version)) or _watched(parts)
                for version, parts in versions.items()
                if parts
            }
            self._watched = {**others, **fresh}

    def __call__(self, batch: pa.RecordBatch) -> None:
        """Rows as they are written to the traffic."""
        with self._lock:
            if self._watched:
                self._waiting.append((self._hour(), batch))
            if sum(waiting.num_rows for _, waiting in self._waiting) >= _AT_ONCE:
                self._count()

    def distances(self) -> Iterator[LiveDistance]:
        """Of columns with 100 rows or more."""
        with self._lock:
            self._count()
            now = self._hour()
            found = {key: (w.references, _sum(w.hours, now)) for key, w in self._watched.items()}
        for (model, version), (references, live) in found.items():
            for reference in references:
                yield from _distances(model, version, reference, live) if live else ()

    def _count(self) -> None:
        waiting, self._waiting = self._waiting, []
        for hour in dict.fromkeys(hour for hour, _ in waiting):
            for batch in merged([batch for then, batch in waiting if then == hour]):
                self._count_batch(batch, hour)

    def _count_batch(self, batch: pa.RecordBatch, hour: int) -> None:
        model = (batch.schema.metadata or {}).get(MODEL, b"").decode()
        for (name, version), watched in self._watched.items():
            if name == model and (rows := counted_rows(batch, CountedRows(version=version))).num_rows:
                before, sketch = watched.hours.get(hour), watched.count(rows)
                watched.hours[hour] = before + sketch if before else sketch
                for old in [known for known in watched.hours if known <= hour - HOURS]:
                    del watched.hours[old]

    def _hour(self) -> int:
        return int(self._now() // 3600)


def _watched(references: tuple[ReferenceSketch, ...]) -> _Watched:
    layout = joined(*(reference.layout for reference in references))
    return _Watched(references, RowCounter(layout, Source(time="arrived", unit="unit")))


def _sum(hours: Mapping[int, Sketch], now: int) -> Sketch | None:
    some = [sketch for hour, sketch in hours.items() if hour > now - HOURS]
    return reduce(add, some) if some else None


def _distances(model: str, version: str, reference: ReferenceSketch, live: Sketch) -> Iterator[LiveDistance]:
    for column, grid in reference.layout.columns.items():
        ours, theirs = live.counts(column), reference.sketch.counts(column)
        if ours.present >= LEAST_ROWS and theirs.present:
            apart = ours.cells / ours.present - theirs.cells / theirs.present
            of_numbers = isinstance(grid, NumberGrid)
            distance = np.abs(np.cumsum(apart)).max() if of_numbers else np.abs(apart).sum() / 2
            yield LiveDistance(model, version, column, float(distance), ours.present)
