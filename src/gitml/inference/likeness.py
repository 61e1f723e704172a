"""Whether held-out rows are like what is asked in production, by the distance that monitors measure."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gitml.inference.heldrows import HeldRows
from gitml.models.signature import Signature
from gitml.monitoring.drift.judge import ColumnDrift, DriftPlan, judge_drift
from gitml.monitoring.drift.scan import Floors
from gitml.monitoring.promise import Promise
from gitml.monitoring.reference import FEATURE, VersionReference
from gitml.monitoring.subject import Look, Subject
from gitml.reports.holdoutfacts import InputApart, LikeTraffic
from gitml.sketches.gather import RowCounter, Source
from gitml.sketches.moments import moments_of
from gitml.sketches.reference import reference_of
from gitml.traffic.private import EVERY_COLUMN

# Traffic from further back says nothing of what is asked now.
RECENT = timedelta(days=28)
_ONE_LOOK = datetime(2000, 1, 1, tzinfo=UTC)  # one window alone: nothing shows when it was
_MOST_TOLD = 20

Side = tuple[HeldRows, str]


def like_traffic(
    signature: Signature, held: Side, traffic: Side, floors: Floors, private: Collection[str] = ()
) -> LikeTraffic:
    """Inputs whose distribution in the hold-out surely lies further from the traffic's than the floor: the lower bound
    of the Kolmogorov distance (of categories: of the largest difference of shares), or of the difference of missing
    values. Each side comes with the name of its column of times, so that rows of an hour or a day count as alike.

    A quiet pair is called different in one of twenty cases, of all columns together. Private columns are left out.
    """
    recent = _recent(traffic[0])
    every = {f"{FEATURE}{field.name}": field for field in signature.inputs if field.name not in private}
    both = set(held[0].table.schema.names) & set(recent.schema.names)
    fields = {name: field for name, field in every.items() if field.name in both and EVERY_COLUMN not in private}
    if not fields:
        return LikeTraffic(why="no input stands in the hold-out and in the traffic, or they are private")
    names = {name: field.name for name, field in fields.items()}
    reference = reference_of(lambda: iter(recent.to_batches()), [*fields], Source(names, traffic[1]))
    sketch = RowCounter(reference.layout, Source(names, held[1])).of(held[0].table.to_batches())
    subject = Subject(fields, fields, reference.layout, VersionReference(reference, None))
    plan = DriftPlan(Promise(looks=1, columns=len(fields), promotions=1), floors)
    _, found = judge_drift(subject, [Look(_ONE_LOOK, _ONE_LOOK, sketch)], plan)
    if all(column.effect is None for column in found):
        return LikeTraffic(recent.num_rows, len(fields), why="too few rows to measure a distance")
    first, last = (f"{day:%Y-%m-%d}" for day in _days(recent, traffic[1]))
    apart = [_told(column) for column in found if column.drifted]
    return LikeTraffic(recent.num_rows, len(fields), first, last, tuple(apart[:_MOST_TOLD]))


def _recent(traffic: HeldRows) -> pa.Table:
    """Of the last four weeks that it has."""
    moments = traffic.moments
    if moments is None:
        return traffic.table
    newest = pc.max(moments).as_py()
    return traffic.table.filter(pc.greater(moments, pa.scalar(newest - RECENT, moments.type)))


def _days(table: pa.Table, time: str) -> tuple[Any, Any]:
    ends = pc.min_max(moments_of(table[time].combine_chunks())).as_py()
    return ends["min"], ends["max"]


def _told(column: ColumnDrift) -> InputApart:
    worst = column.worst
    assert worst is not None
    return InputApart(column.column, worst.of, worst.estimate, worst.low, worst.high, worst.floor, column.shown[:200])
