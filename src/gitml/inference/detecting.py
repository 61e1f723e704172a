"""The detectors of a monitor: their rows, what they may use of the promise, and what they make of its verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gitml.errors import GitmlError, UsageError
from gitml.inference.alibi import alibi_detector
from gitml.inference.clone import CloneShelf
from gitml.inference.watches import Watch
from gitml.models.fields import Field
from gitml.monitoring.detectors.detector import Detection, DetectorRows, too_little
from gitml.monitoring.detectors.domainclassifier import DomainClassifier
from gitml.monitoring.detectors.rowsample import Cluster, chosen, read_sample, rows_for, sampled
from gitml.monitoring.drift.looks import joint_cluster
from gitml.monitoring.harm.labelled import NEEDED, answered
from gitml.monitoring.reference import FEATURE
from gitml.monitoring.subject import Subject
from gitml.sketches.sketch import CLUSTERS
from gitml.spec.detectors import MonitorDetector
from gitml.traffic.reader import Window, rows_once
from gitml.verdict import Phase, Verdict

# Days are what rows share most often, and of one day nothing can be told: a week of them at the least.
_LEAST = timedelta(weeks=1)
_NO_ROWS = (
    "no sample of the training rows: add `reference_rows: PATH` to the model in gitml.yaml, make it an output of the "
    "stage that calls `gitml reference`, and train"
)


@dataclass(frozen=True)
class LiveTraffic:
    """Where the rows of a look are; ``window`` is that of the look. ``level``: what one detector may use."""

    folder: str
    window: Window
    spool: Path | None
    level: float


def detections_of(root: Path, watch: Watch, subject: Subject, traffic: LiveTraffic) -> tuple[Detection, ...]:
    """One for each detector of the monitor. What one cannot do is said in its place, and is no answer."""
    entries = watch.spec.detectors
    if not entries:
        return ()
    try:
        inputs = {there: f for there, f in subject.fields.items() if there.startswith(FEATURE)}
        cluster = _cluster(watch, subject)
        live = sampled(_of_traffic(watch, traffic, {there: f.name for there, f in inputs.items()}, cluster))
    except (GitmlError, OSError, pa.ArrowException) as exc:
        return tuple(too_little(entry.shown, _said(exc), traffic.level) for entry in entries)
    found = _Found(root, watch, subject, [*inputs.values()], cluster, live)
    return tuple(_judged(entry, found, traffic.level) for entry in entries)


@dataclass(frozen=True)
class _Found:
    """What detectors need; ``live`` is None for a window without any row."""

    root: Path
    watch: Watch
    subject: Subject
    inputs: Sequence[Field]
    cluster: Cluster
    live: pa.Table | None

    @property
    def names(self) -> list[str]:
        return [field.name for field in self.inputs]


def _judged(entry: MonitorDetector, found: _Found, level: float) -> Detection:
    try:
        if entry.alibi:
            live = pa.table({}) if found.live is None else found.live
            rows = rows_for(live, found.names if live.num_rows else [], found.cluster)
            return alibi_detector(found.root, entry, found.inputs).judge(_sample_or_none(found), rows, level)
        return DomainClassifier(found.watch.spec.floors.numbers).judge(*_with_sample(found), level)
    except (GitmlError, OSError) as exc:
        return too_little(entry.shown, _said(exc), level)


def _said(exc: Exception) -> str:
    hint = exc.hint if isinstance(exc, GitmlError) else ""
    return f"{exc}; {hint}" if hint else str(exc)


def _cluster(watch: Watch, subject: Subject) -> Cluster:
    """By what rows are alike; without a reference that tells, by their day unless gitml.yaml says that by nothing."""
    clusters = CLUSTERS if watch.spec.clusters is None else watch.spec.clusters
    features = subject.reference.features if subject.reference else None
    if features is None:
        return "day" if clusters else ""
    return joint_cluster(features, clusters)  # type: ignore[return-value]


def _sample_or_none(found: _Found) -> DetectorRows:
    """Rows of the reference for detectors that have one of their own: they only tell how alike rows are."""
    try:
        return _with_sample(found)[0]
    except UsageError:
        return DetectorRows(pa.table({}))


def _with_sample(found: _Found) -> tuple[DetectorRows, DetectorRows]:
    """Rows of the reference and of the window."""
    name = found.watch.record.roles.get("reference_rows")
    if not name or not (found.subject.reference and found.subject.reference.features):
        raise UsageError(_NO_ROWS)
    sample = read_sample(CloneShelf(found.root).files(found.watch.record, [name])[name].read_bytes())
    live = sample.slice(0, 0) if found.live is None else found.live
    return rows_for(sample, found.names, found.cluster), rows_for(live, found.names, found.cluster)


def _of_traffic(
    watch: Watch, traffic: LiveTraffic, names: Mapping[str, str], cluster: str
) -> Iterator[tuple[pa.RecordBatch, NDArray[np.int64]]]:
    window = traffic.window
    if cluster and window.since and window.until:
        window = replace(window, since=min(window.since, window.until - _LEAST))
    wanted = [*NEEDED, "row", "unit", *names]
    for batch in rows_once(traffic.folder, watch.model, window, spool=traffic.spool, columns=wanted):
        rows = answered(batch, watch.environment, watch.record.version)
        moments = rows["arrived"].cast(pa.int64()).to_numpy(zero_copy_only=False)
        numbers = moments * 4096 + rows["row"].to_numpy(zero_copy_only=False)
        yield chosen(rows, {**names}, "arrived", "unit" if cluster == "unit" else ""), numbers


def with_detections(verdict: Verdict, detections: Sequence[Detection]) -> Verdict:
    """An alarm of a detector is drift; one that could not tell leaves no success."""
    loud = [found for found in detections if found.alarms]
    mute = [found for found in detections if found.p_val is None and found.distance is None]
    measured = {**verdict.measurements, "detectors": [found.name for found in loud]}
    if loud:
        said = "; ".join(map(_alarm, loud))
        reason = f"{verdict.reason}; {said}" if verdict.phase is Phase.FAILED else said
        return Verdict(Phase.FAILED, reason, measured)
    if mute and verdict.phase is Phase.SUCCESSFUL:
        return Verdict(
            Phase.INCONCLUSIVE, f"{verdict.reason}; {mute[0].name} cannot tell: {mute[0].shown_only}", measured
        )
    return replace(verdict, measurements=measured) if detections else verdict


def _alarm(found: Detection) -> str:
    names = ", ".join(column.column for column in found.columns[:3])
    return f"{found.name} tells rows of the window from those of the training" + (f", by {names}" if names else "")
