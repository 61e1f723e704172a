"""The outliers of a monitor: those of its version, counted in the rows of a look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from gitml.errors import GitmlError, UsageError
from gitml.inference.clone import CloneShelf
from gitml.inference.watches import Watch
from gitml.monitoring.harm.labelled import NEEDED, answered
from gitml.monitoring.outliers.fit import COLUMN, Outliers, read_outliers
from gitml.monitoring.outliers.rate import IDS, OutlierPlan, OutlierRate, OutlierRows, judge_outliers
from gitml.monitoring.promise import Promise
from gitml.monitoring.reference import FEATURE
from gitml.monitoring.subject import Subject
from gitml.sketches.sketch import CLUSTERS
from gitml.traffic.reader import Window, rows_once

ROLE = "outliers"
# Rows of a day are alike in what makes them strange: a single one says little.
_LEAST = timedelta(weeks=1)


@dataclass(frozen=True)
class OutlierTraffic:
    """Where the rows of a look are; ``window`` is that of the look."""

    folder: str
    window: Window
    spool: Path | None


def has_outliers(watch: Watch) -> bool:
    """Whether they are watched: as one column more they have their part of the promise."""
    return ROLE in watch.record.roles and watch.spec.outliers.watch


def outliers_of(
    root: Path, watch: Watch, subject: Subject, traffic: OutlierTraffic, promise: Promise
) -> OutlierRate | None:
    """Of the look's window, a week of rows at the least; None where they are not watched."""
    if not has_outliers(watch):
        return None
    name, spec = watch.record.roles[ROLE], watch.spec
    muted = spec.muted(traffic.window.until).get(COLUMN, "") if traffic.window.until else ""
    clusters = CLUSTERS if spec.clusters is None else spec.clusters
    plan = OutlierPlan(promise, spec.outliers.floor, clusters, muted)
    try:
        fitted = read_outliers(CloneShelf(root).files(watch.record, [name])[name].read_bytes())
        return judge_outliers(fitted, _rows(watch, subject, traffic, fitted), plan)
    except (GitmlError, OSError, pa.ArrowException) as exc:
        return OutlierRate(muted=muted, lacking=f"{exc}; {hint}" if (hint := getattr(exc, "hint", "")) else str(exc))


def _rows(watch: Watch, subject: Subject, traffic: OutlierTraffic, fitted: Outliers) -> Iterator[OutlierRows]:
    window = traffic.window
    if window.since and window.until:
        window = replace(window, since=min(window.since, window.until - _LEAST))
    inputs = {f.name: there for there, f in subject.every.items() if there.startswith(FEATURE)}
    other = [name for name in fitted.columns if name not in inputs]
    if other:
        raise UsageError(f"its outliers have a column {other[0]}, and its signature does not", "train it again")
    wanted = [*NEEDED, *IDS, *(inputs[name] for name in fitted.columns)]
    for batch in rows_once(traffic.folder, watch.model, window, spool=traffic.spool, columns=wanted):
        rows = answered(batch, watch.environment, watch.record.version)
        known = {name: inputs[name] for name in fitted.columns if inputs[name] in rows.schema.names}
        missing = {name: pa.nulls(rows.num_rows) for name in fitted.columns if name not in known}
        found = {**{name: rows[column] for name, column in known.items()}, **missing}
        yield OutlierRows(pa.record_batch(found), rows.select(IDS))
