"""What Olga and Rita decide on, by a rule that was written down before the year began.

They read the report of a retraining: both versions on the same new hold-out, what their decisions cost among the
metrics. They take the new version if a metric is better there and none is worse, each with its whole interval; else
they close the pull request and say why. What they take must still pass the gate, which judges the cost alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gitml.inference.holdout import holdout
from gitml.reports.holdoutfacts import RowSet
from gitml.reports.rowfacts import Row
from gitml.stats.comparison import Reading

Interval = tuple[float, float, float]


@dataclass(frozen=True)
class Decision:
    """``said``: by how much each metric of the new version differs on the new hold-out: value, low, high."""

    good: bool
    why: str
    said: Mapping[str, Interval] = field(default_factory=dict)


def decision(app: Path, version: str, champion: str) -> Decision:
    told = holdout(app, f"delay@{version}", f"delay@{champion}").holdout
    rows = told.rows_of(RowSet.NEW) if told else None
    if told is None or rows is None or told.why:
        return Decision(False, f"not compared with the champion: {told.why if told else 'no report'}")
    said = _intervals(rows.metrics)
    better, worse = (
        [row for row in rows.metrics if row.reading is reading] for reading in (Reading.BETTER, Reading.WORSE)
    )
    if worse:
        return Decision(False, f"worse than the champion on {_days(rows)}: {_named(worse)}", said)
    if not better:
        return Decision(False, f"not better than the champion on {_days(rows)}", said)
    return Decision(True, f"better on {_days(rows)}: {_named(better)}", said)


def _intervals(rows: Sequence[Row]) -> dict[str, Interval]:
    return {
        row.metric: (row.value, row.low, row.high)
        for row in rows
        if row.value is not None and row.low is not None and row.high is not None
    }


def _days(rows: object) -> str:
    return f"the same {getattr(rows, 'units', 0)} held-out days"


def _named(rows: list[Row]) -> str:
    return ", ".join(f"{row.metric} {row.value:+.4f} ({row.low:+.4f} to {row.high:+.4f})" for row in rows)
