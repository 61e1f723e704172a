"""``gitml monitor``: each model in each environment, one window of its traffic, three verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from gitml import clock
from gitml.errors import InconclusiveError, OutsideError, UsageError
from gitml.inference.detecting import LiveTraffic, detections_of, with_detections
from gitml.inference.earlier import NOTHING, Earlier, Span, within_promise
from gitml.inference.monitored import Concerned, Monitored
from gitml.inference.outlying import OutlierTraffic, has_outliers, outliers_of
from gitml.inference.performance import PerformanceCall, performed
from gitml.inference.watches import Watch, floors_of, watches_of
from gitml.monitoring.drift.judge import DriftPlan, judge_drift
from gitml.monitoring.harm.labelled import NEEDED, answered, repeated
from gitml.monitoring.outliers.rate import OutlierRate, with_outliers
from gitml.monitoring.promise import WINDOWS, Promise
from gitml.monitoring.quality import judge_quality, rows_of
from gitml.monitoring.reference import FEATURE
from gitml.monitoring.subject import Look, Subject
from gitml.sketches.sketch import CLUSTERS, Sketch
from gitml.spec import Application, load_application
from gitml.spec.monitors import MonitorSpec
from gitml.traffic.marks import completeness
from gitml.traffic.reader import Window, rows_once
from gitml.traffic.stored import storing
from gitml.traffic.windowsketch import CountedRows, sketch_of_window
from gitml.verdict import Phase, Verdict

# What reading files of others may raise: a torn file, a store out of reach, a folder without rights.
UNREADABLE = (OutsideError, OSError, pa.ArrowException)
# Of the promised rate, what harm may use of it; drift has the rest.
_HARM = 0.2


@dataclass(frozen=True)
class MonitorCall:
    """``models``: all that are watched, if none is named. ``since`` and ``until``: another window than the newest of
    the schedule; without ``until`` it ends with the newest that is over. ``at``: as the traffic was known then, now if
    it is None. Without ``estimates`` labels alone tell of performance."""

    traffic: str
    models: Sequence[str] = ()
    environment: str = ""
    since: datetime | None = None
    until: datetime | None = None
    at: datetime | None = None
    spool: Path | None = None
    estimates: bool = True


@dataclass(frozen=True)
class MonitorRound:
    """All monitors of the application at one moment; ``columns`` of all of them share the promise."""

    app: Application
    call: MonitorCall
    at: datetime
    watches: tuple[Watch, ...]
    root: Path

    @property
    def columns(self) -> int:
        watched = [w for w in self.watches if w.subject and "drift" in w.spec.watch]
        return max(sum(len(w.subject.fields) + has_outliers(w) for w in watched if w.subject), 1)

    @property
    def detectors(self) -> int:
        return sum(len(w.spec.detectors) for w in self.watches if w.subject and "drift" in w.spec.watch)

    @property
    def of_detectors(self) -> float:
        """The part of drift's promise that detectors have."""
        return self.app.monitors.detectors.share if self.detectors else 0.0


def monitor_round(root: Path, call: MonitorCall) -> MonitorRound:
    """Raises UsageError for a model, column or window that cannot be."""
    app = load_application(root)
    # To the second, so that the same moment can be named in another call.
    at = call.at or clock.now().replace(microsecond=0)
    _refuse_wrong(app, call, at)
    return MonitorRound(app, call, at, tuple(watches_of(root, app)), root)


def monitor(root: Path, call: MonitorCall) -> tuple[Monitored, ...]:
    """Raises UsageError for a model, column or window that cannot be, InconclusiveError where nothing is watched."""
    job = monitor_round(root, call)
    wanted = [
        watch
        for watch in job.watches
        if (not call.models or watch.model in call.models) and call.environment in ("", watch.environment)
    ]
    if not wanted:
        where = f" in {call.environment}" if call.environment else ""
        raise InconclusiveError(
            f"no version is watched{where}: no model that is asked for has a champion there",
            "a champion stands in models/MODEL/ENVIRONMENT.yaml: propose one with `gitml promote`, or write the file "
            "to try it out; `monitors` in gitml.yaml says what is watched",
        )
    return tuple(judged(watch, job, _window(watch, job)) for watch in wanted)


def _window(watch: Watch, job: MonitorRound) -> Span:
    end = job.call.until or watch.spec.last_window(job.at)[1]
    since = job.call.since or end - watch.spec.window
    if since >= end:
        raise UsageError(
            f"the newest window of {watch.model} that is over ends {end:%Y-%m-%d %H:%M} UTC, and --since is later",
            "name an earlier --since, or an --until",
        )
    return since, end


def _refuse_wrong(app: Application, call: MonitorCall, at: datetime) -> None:
    unknown = [name for name in call.models if name not in app.models]
    if unknown:
        raise UsageError(f"there is no model {unknown[0]}", f"gitml.yaml has {', '.join(app.models)}")
    if at > clock.now():
        raise UsageError(f"{at:%Y-%m-%d %H:%M} UTC is in the future", "nothing is known of it yet")
    if call.until and not call.since:
        raise UsageError("a window has a beginning and an end", "name --since too")
    if call.since and call.until and not call.since < call.until <= at:
        raise UsageError(
            "a window ends after it begins, and before the moment at which it is looked at",
            f"name an --until after --since, and no later than {at:%Y-%m-%dT%H:%M:%SZ}",
        )


def judged(watch: Watch, job: MonitorRound, window: Span, earlier: Earlier = NOTHING) -> Monitored:
    """One window of one monitor. ``earlier``: what signed looks say of the windows before is not counted again."""
    (start, end), spec, app = window, watch.spec, job.app
    scheduled = spec.last_window(end) == window
    rate = app.monitors.rate * (1 - _HARM) * (1 - job.of_detectors)
    promise = Promise(spec.looks_a_year, job.columns, rate, app.monitors.promotions)
    told = app.monitors.told(watch.model)
    empty = Monitored(
        watch.model, watch.environment, watch.record.version, start, end, job.at, scheduled=scheduled,
        promise=promise, next_look=spec.last_window(job.at)[1] + spec.window, years=app.monitors.years,
        mutes=watch.mutes(job.at), tell=Concerned(told.people, told.teams),
    )  # fmt: skip
    if watch.subject is None:
        return _all(empty, watch, watch.lacking)
    try:
        known = completeness(job.call.traffic, start, end, at=job.at, environment=watch.environment)
        if known.state == "waiting" and known.hosts:
            return _all(replace(empty, completeness=known), watch, f"not all rows are there yet: {known}", later=True)
        looks, unread = _looks(watch.subject, watch, job, empty, earlier)
        found = _with_verdicts(replace(empty, completeness=known, unread=unread), watch.subject, watch, job, looks)
        return within_promise(replace(found, later=watch.lacking), earlier.spent)
    except UNREADABLE as exc:
        return _all(empty, watch, f"the traffic cannot be read: {exc}", later=True)


def _all(empty: Monitored, watch: Watch, why: str, *, later: bool = False) -> Monitored:
    verdicts: dict[str, Verdict] = {part: Verdict(Phase.INCONCLUSIVE, why) for part in watch.spec.watch}
    return replace(empty, verdicts=verdicts, later=why if later else "")


def _looks(
    subject: Subject, watch: Watch, job: MonitorRound, empty: Monitored, earlier: Earlier
) -> tuple[list[Look], str]:
    """The last windows, newest last, from the first in which the version answered, and why it is not more of them where
    one cannot be read. A window beside the schedule is alone."""
    with storing(job.call.traffic, "predictions", watch.model, job.at, job.call.spool) as stored:
        first = min(stored.days(), default="")
    found: list[Look] = []
    unread = ""
    for back in range(max(WINDOWS) if empty.scheduled else 1):
        since, until = (moment - back * watch.spec.window for moment in (empty.since, empty.until))
        sketch = earlier.sketch((since, until), subject.layout) if back else None
        if sketch is None and found and f"{until.astimezone(UTC):%Y-%m-%d}" < first:
            break
        try:
            found.append(Look(since, until, sketch or counted(subject, watch, job.call, Window(since, until, job.at))))
        except UNREADABLE as exc:
            # One torn file of a month ago keeps nobody from looking at what is new.
            if not found or not rows_of(found[0]):
                raise
            unread = f"the traffic before {until:%Y-%m-%d %H:%M} UTC cannot be read: {exc}"
            break
    while len(found) > 1 and not rows_of(found[-1]):
        found.pop()
    return found[::-1], unread


def counted(subject: Subject, watch: Watch, call: MonitorCall, window: Window) -> Sketch:
    """What the version answered in a window, counted by its reference's layout."""
    return sketch_of_window(call.traffic, watch.model, window, subject.layout, rows_counted(watch), spool=call.spool)


def rows_counted(watch: Watch) -> CountedRows:
    """Of which rows a monitor counts."""
    return CountedRows(watch.environment, watch.record.version)


def _with_verdicts(empty: Monitored, subject: Subject, watch: Watch, job: MonitorRound, looks: list[Look]) -> Monitored:
    found = replace(empty, looks=tuple(looks), reference=subject.reference)
    spec, verdicts = watch.spec, dict[str, Verdict]()
    if "quality" in spec.watch:
        same = None if spec.quality.duplicates is None else _repeated(subject, watch, job, looks[-1])
        verdicts["quality"], breaches = judge_quality(subject, looks, spec.quality, same)
        found = replace(found, breaches=breaches)
    if "drift" in spec.watch:
        verdicts["drift"], columns = judge_drift(subject, looks, _drift_plan(spec, empty.promise, looks[-1].until))
        if watch.lacking:
            verdicts["drift"] = Verdict(Phase.INCONCLUSIVE, watch.lacking)
        detections = detections_of(job.root, watch, subject, _live(watch, job, looks[-1]))
        verdicts["drift"] = with_detections(verdicts["drift"], detections)
        outliers = _outliers(subject, watch, job, looks[-1], empty.promise)
        verdicts["drift"] = with_outliers(verdicts["drift"], outliers)
        found = replace(found, columns=columns, detections=detections, outliers=outliers)
    if "harm" in spec.watch:
        verdicts["harm"], performance, report = performed(subject, watch, _performance_call(job), looks)
        found = replace(found, performance=performance, report=report)
    return replace(found, verdicts=verdicts)


def _live(watch: Watch, job: MonitorRound, look: Look) -> LiveTraffic:
    rate = job.app.monitors.rate * (1 - _HARM) * job.of_detectors
    level = rate / (watch.spec.looks_a_year * max(job.detectors, 1))
    return LiveTraffic(job.call.traffic, Window(look.since, look.until, job.at), job.call.spool, level)


def _outliers(subject: Subject, watch: Watch, job: MonitorRound, look: Look, promise: Promise) -> OutlierRate | None:
    traffic = OutlierTraffic(job.call.traffic, Window(look.since, look.until, job.at), job.call.spool)
    return outliers_of(job.root, watch, subject, traffic, promise)


def _performance_call(job: MonitorRound) -> PerformanceCall:
    rate = job.app.monitors.rate * _HARM / len(job.watches)
    return PerformanceCall(job.root, job.app, job.call.traffic, job.call.spool, job.at, rate, job.call.estimates)


def _drift_plan(spec: MonitorSpec, promise: Promise, at: datetime) -> DriftPlan:
    clusters = CLUSTERS if spec.clusters is None else spec.clusters
    return DriftPlan(promise, floors_of(spec), clusters, spec.muted(at), stratified=bool(spec.context), psi=spec.psi)


def _repeated(subject: Subject, watch: Watch, job: MonitorRound, look: Look) -> float:
    names = [name for name in subject.every if name.startswith(FEATURE)]
    window = Window(look.since, look.until, job.at)
    rows = rows_once(job.call.traffic, watch.model, window, spool=job.call.spool, columns=[*NEEDED, *names])
    return repeated((answered(batch, watch.environment, watch.record.version) for batch in rows), names)
