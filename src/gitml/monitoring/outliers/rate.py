"""The share of strange rows in a window, held against that of the reference as one column more; and the strangest."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from gitml.monitoring.drift.looks import comparable
from gitml.monitoring.drift.scan import Effect, Floors, scan_windows
from gitml.monitoring.outliers.days import compare_days
from gitml.monitoring.outliers.fit import COLUMN, Outliers
from gitml.monitoring.promise import WINDOWS, Promise
from gitml.sketches.gather import RowCounter, Source
from gitml.sketches.sketch import CLUSTERS, Sketch
from gitml.verdict import Phase, Verdict

_STRANGEST = 10
IDS = ["request_id", "row", "unit", "arrived"]


class OutlierRows(NamedTuple):
    """``inputs`` by their own names, and ``ids``: of the same rows the columns ``IDS``."""

    inputs: pa.RecordBatch
    ids: pa.RecordBatch


class StrangeRow(NamedTuple):
    """A row of a request, by its number in it. None of its values."""

    request_id: str
    row: int


@dataclass(frozen=True)
class OutlierPlan:
    """``floor``: how much the share may grow that nobody minds. ``muted``: why, and until when."""

    promise: Promise
    floor: float = 0.02
    clusters: Sequence[str] = CLUSTERS
    muted: str = ""


@dataclass(frozen=True)
class OutlierRate:
    """``share`` of the window's rows and ``usual`` share of the reference's (0 to 1). Where rows of a day are
    alike, ``days`` are compared, and ``p`` is held against ``level``; else ``effect`` says how far the shares are
    apart, with an interval that holds within the promise. Both are None for too little. ``strangest``: first the
    strangest. ``lacking``: why there is nothing of all this."""

    rows: int = 0
    share: float = 0.0
    usual: float = 0.0
    effect: Effect | None = None
    strangest: tuple[StrangeRow, ...] = ()
    muted: str = ""
    lacking: str = ""
    days: int = 0
    p: float | None = None
    level: float = 0.0

    @property
    def known(self) -> bool:
        """Whether there was enough to tell."""
        return self.p is not None or self.effect is not None

    @property
    def drifted(self) -> bool:
        """Only more of them are a reason to look."""
        alarms = self.p < self.level if self.p is not None else self.effect is not None and self.effect.drifted
        return alarms and self.share > self.usual


def judge_outliers(outliers: Outliers, rows: Iterable[OutlierRows], plan: OutlierPlan) -> OutlierRate:
    """The share of strange rows, and the ten strangest."""
    source = Source(time="arrived", unit="unit")
    count, found = RowCounter(outliers.reference.layout, source), _Strangest()

    def counted(some: OutlierRows) -> Sketch:
        scores = outliers.scores(some.inputs)
        found.see(scores, some.ids)
        return count(some.ids.append_column(COLUMN, outliers.strange(scores)))

    sketch = reduce(add, map(counted, rows), count.nothing())
    rate = OutlierRate(int(sketch.rows.sum()), outliers.share_of(sketch), outliers.share, None, found.first, plan.muted)
    if outliers.reference.sketch.hours and {*plan.clusters} & {"hour", "day"}:
        return _by_days(outliers, sketch, plan, rate)
    live, bases = comparable(outliers.reference, {1: sketch}, plan.clusters, [COLUMN], stratified=False)
    effects = scan_windows(live, bases, plan.promise, Floors(columns={COLUMN: plan.floor}))
    return replace(rate, effect=next((one for one in effects if one.of == "values"), None))


def _by_days(outliers: Outliers, sketch: Sketch, plan: OutlierPlan, rate: OutlierRate) -> OutlierRate:
    """Nothing is known where no p-value could keep the promise."""
    level = plan.promise.level(1, 1.0) / WINDOWS[1]
    found = compare_days(outliers.days(outliers.reference.sketch), outliers.days(sketch), plan.floor, level)
    if found is None or found.least > level:
        return replace(rate, days=found.days if found else 0, level=level)
    return replace(rate, days=found.days, p=found.p, level=level)


class _Strangest:
    """The rows with the highest scores so far; of equal ones those with the lesser id."""

    def __init__(self) -> None:
        self._found: list[tuple[float, StrangeRow]] = []

    def see(self, scores: np.ndarray[Any, Any], ids: pa.RecordBatch) -> None:
        if len(scores) > _STRANGEST:  # of rows as strange as the tenth, all
            places = np.flatnonzero(scores >= np.partition(scores, -_STRANGEST)[-_STRANGEST])
        else:
            places = np.arange(len(scores))
        some = ids.select(["request_id", "row"]).take(pa.array(places)).to_pylist()
        rows = [StrangeRow(str(one["request_id"]), int(one["row"])) for one in some]
        known = [*self._found, *zip((-scores[places]).tolist(), rows, strict=True)]
        self._found = heapq.nsmallest(_STRANGEST, known)

    @property
    def first(self) -> tuple[StrangeRow, ...]:
        return tuple(row for _, row in self._found)


def with_outliers(verdict: Verdict, rate: OutlierRate | None) -> Verdict:
    """More strange rows are drift; where their share cannot be told there is no success."""
    if rate is None:
        return verdict
    measured = {**verdict.measurements, "outliers": rate.share}
    if rate.drifted and not rate.muted:
        said = f"outliers are {rate.share:.1%} of the rows, and {rate.usual:.1%} of the training's"
        reason = f"{verdict.reason}; {said}" if verdict.phase is Phase.FAILED else said
        return Verdict(Phase.FAILED, reason, measured)
    if not rate.known and verdict.phase is Phase.SUCCESSFUL:
        lacking = rate.lacking or "too few rows or days"
        return Verdict(Phase.INCONCLUSIVE, f"{verdict.reason}; outliers: {lacking}", measured)
    return replace(verdict, measurements=measured)
