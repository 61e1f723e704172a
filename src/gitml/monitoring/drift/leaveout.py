"""A reference held against itself: each of its periods left out in turn, and looked at as if it were live.

A reference whose own weeks would alarm promises nothing: its rows are more alike than was known, or the floor lies
below what weeks differ by anyway.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import accumulate
from operator import add

import numpy as np
import pyarrow as pa

from gitml.monitoring.drift.looks import comparable
from gitml.monitoring.drift.scan import Effect, Floors, scan_windows
from gitml.monitoring.promise import Promise
from gitml.sketches.gather import RowCounter, Source
from gitml.sketches.moments import hours_of, moments_of
from gitml.sketches.reference import Read, ReferenceSketch
from gitml.sketches.sketch import CLUSTERS, Sketch

_STEP = 0.01
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class OwnPeriods:
    """What became of a reference's own ``periods`` of ``hours`` hours. ``alarms``: column → in how many of them it
    would alarm. ``quiet``: column → the least floor, in hundredths, at which it would not; only where it is higher.
    ``answers``: how many periods the rows of the evaluation have, which are others than those of the training."""

    hours: int
    periods: int
    alarms: Mapping[str, int] = field(default_factory=dict)
    quiet: Mapping[str, float] = field(default_factory=dict)
    answers: int = 0


def own_periods(
    read: Read,
    reference: ReferenceSketch,
    source: Source,
    window: timedelta,
    promise: Promise,
    floors: Floors,
    clusters: Sequence[str] = CLUSTERS,
) -> OwnPeriods:
    """``read`` gives the reference's rows anew; ``source`` names their time. Two periods are the least."""
    periods = sketches_of(read, reference, source, window)
    if len(periods) < 2:
        return OwnPeriods(window // _HOUR, len(periods))
    alarms: dict[str, int] = {}
    quiet: dict[str, float] = {}
    for effects in left_out(reference, periods, promise, floors, clusters):
        for effect in effects:
            if effect.drifted:
                alarms[effect.column] = alarms.get(effect.column, 0) + 1
                # At the bound itself it would not alarm.
                level = math.ceil(round(effect.low / _STEP, 6)) * _STEP
                quiet[effect.column] = max(quiet.get(effect.column, 0.0), round(level, 2))
    return OwnPeriods(window // _HOUR, len(periods), dict(sorted(alarms.items())), dict(sorted(quiet.items())))


def sketches_of(read: Read, reference: ReferenceSketch, source: Source, window: timedelta) -> list[Sketch]:
    """One for each period that has rows, oldest first; the first begins with the first day."""
    hours, first = window // _HOUR, _first_hour(read, source)
    count = RowCounter(reference.layout, source)
    found: dict[int, Sketch] = {}
    for batch in read():
        number = (hours_of(moments_of(batch[source.time])) - first) // hours
        for period in np.unique(number).tolist():
            rows = count(batch.filter(pa.array(number == period)))
            found[period] = found[period] + rows if period in found else rows
    return [found[period] for period in sorted(found)]


def _first_hour(read: Read, source: Source) -> int:
    least = [int(hours_of(moments_of(batch[source.time])).min()) for batch in read() if batch.num_rows]
    return min(least) // 24 * 24 if least else 0


def left_out(
    reference: ReferenceSketch,
    periods: Sequence[Sketch],
    promise: Promise,
    floors: Floors,
    clusters: Sequence[str] = CLUSTERS,
) -> Iterator[tuple[Effect, ...]]:
    """The effects of each period, against the rows of all others."""
    before = [None, *accumulate(periods, add)]
    after = [*accumulate(periods[::-1], add)][::-1]
    for place, period in enumerate(periods):
        rest = [s for s in (before[place], after[place + 1] if place + 1 < len(periods) else None) if s is not None]
        others = replace(reference, sketch=rest[0] if len(rest) == 1 else rest[0] + rest[1])
        yield scan_windows(*comparable(others, {1: period}, clusters), promise, floors)
