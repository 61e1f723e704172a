"""How good a watched model is: on labels that have come, and estimated from its answers while they have not."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gitml.errors import GitmlError
from gitml.inference.claims import Claims, ClaimsLook, claims_of, held_to
from gitml.inference.clone import CloneShelf
from gitml.inference.watches import Watch, metric_of, own_of
from gitml.models.signature import parse as parse_signature
from gitml.monitoring.harm.calibration import is_judged
from gitml.monitoring.harm.judge import HarmPlan, Labelled, Own, Performance, judge_harm
from gitml.monitoring.harm.labelled import NEEDED, answered, labelled
from gitml.monitoring.harm.losses import SCORES
from gitml.monitoring.harm.performance import (
    PerformanceReport,
    WindowPerformance,
    by_group,
    in_window,
    overall,
    sources_of,
)
from gitml.monitoring.promise import WINDOWS
from gitml.monitoring.reference import FEATURE, OUTPUT
from gitml.monitoring.subject import Look, Subject
from gitml.registry import Record
from gitml.spec import Application
from gitml.traffic.reader import Window, requests, rows_once
from gitml.verdict import Phase, Verdict

if TYPE_CHECKING:
    from gitml.monitoring.estimates.estimate import Estimator
    from gitml.monitoring.estimates.rows import Evaluated
    from gitml.monitoring.estimates.table import Encoder

# Windows whose labels have not come, newest first, of which performance is estimated; and rows of each.
_MOST_WINDOWS, _MOST_ROWS = 4, 10_000
_GroupOf = tuple[str, str, str, Own | None]


@dataclass(frozen=True)
class PerformanceCall:
    """``traffic`` as known ``at`` a moment; ``rate``: the probability of a false alarm a year that harm may use."""

    root: Path
    app: Application
    traffic: str
    spool: Path | None
    at: datetime
    rate: float
    estimates: bool = True


def performed(
    subject: Subject, watch: Watch, call: PerformanceCall, looks: Sequence[Look]
) -> tuple[Verdict, Performance | None, PerformanceReport | None]:
    """The verdict of harm, which labels alone decide, and what else is known of the model's performance."""
    metric = metric_of(watch, call.app)
    outputs = [field for name, field in subject.every.items() if name.startswith(OUTPUT)]
    if not metric or not outputs:
        return Verdict(Phase.INCONCLUSIVE, _untold(call.app.models[watch.model].better)), None, None
    groups = _groups(subject, watch, call, metric)
    window = Window(looks[0].since, looks[-1].until, call.at)
    names = [*NEEDED, f"{OUTPUT}{outputs[0].name}", *{key for _, key, _, _ in groups}]
    rows = requests(call.traffic, watch.model, window, spool=call.spool, columns=names)
    here = (answered(batch, watch.environment, watch.record.version) for batch in rows)
    matured = call.at - (watch.spec.harm.labels_within or watch.spec.window)
    length = looks[-1].until - looks[-1].since
    labels = labelled(here, outputs[0], looks[-1].until, length, matured, sorted({key for _, key, _, _ in groups}))
    harm, own = watch.spec.harm, own_of(watch.record, metric)
    claims = _claims(labels, watch, call)
    rate = call.rate / (1 + claims.count)
    plan = HarmPlan(metric, own, rate, watch.spec.looks_a_year, harm.worse_by, harm.changes)
    verdict, performance = judge_harm(labels, plan)
    whole, promotions = len(looks) < max(WINDOWS), call.app.monitors.promotions
    look = ClaimsLook(looks[-1].until, matured, rate, promotions, whole)
    verdict = held_to(verdict, claims, labels, watch.spec, look)
    report = _report(labels, looks, matured, _metrics(watch, call.app, metric), groups)
    if watch.spec.performance.estimate and call.estimates:
        report = _estimated(report, subject, watch, call, looks)
    return _told(verdict, report, metric), performance, report


def _untold(better: Iterable[str]) -> str:
    names = ", ".join(better)
    why = f"labels of single rows tell none of {names}" if names else "no metric stands under `better`"
    return f"{why}: write `harm: {{metric: …}}`"


def _claims(labels: Labelled, watch: Watch, call: PerformanceCall) -> Claims:
    """Of answers that are probabilities, of a version that keeps the rows it was evaluated on."""
    harm = watch.spec.harm
    is_off = min(harm.calibration, harm.slope) >= 1
    if is_off or not is_judged(labels) or not watch.record.roles.get("evaluated"):
        return Claims()
    found = _evaluated_rows(call.root, watch.record)
    return Claims() if isinstance(found, str) else claims_of(found[0], watch.spec)


def _metrics(watch: Watch, app: Application, first: str) -> dict[str, Own | None]:
    names: Sequence[str] = watch.spec.performance.metrics or [*app.models[watch.model].better]
    return {name: own_of(watch.record, name) for name in dict.fromkeys((first, *names)) if name in SCORES}


def _report(
    labels: Labelled,
    looks: Sequence[Look],
    matured: datetime,
    metrics: Mapping[str, Own | None],
    groups: Sequence[_GroupOf],
) -> PerformanceReport:
    series = []
    for number, look in zip(range(len(looks), 0, -1), looks, strict=True):
        count = int((labels.look == number).sum())
        ripe = look.until <= matured
        found = in_window(labels, number, [*metrics]) if ripe else ()
        why = "" if found else "too few labels have come" if ripe else "not all labels have come"
        series.append(WindowPerformance(look.since, look.until, count, found, why=why))
    first = next(iter(metrics), "")
    parts = by_group(labels, first, groups) if first and len(labels) else ()
    return PerformanceReport(overall(labels, metrics), parts, tuple(series), sources_of(labels), labels.unfit)


def _told(verdict: Verdict, report: PerformanceReport, metric: str) -> Verdict:
    """An estimate never alarms: it only says more where labels cannot tell."""
    newest = report.series[-1].estimated if report.series else ()
    one = next((found for found in newest if found.metric == metric), None)
    if verdict.phase is not Phase.INCONCLUSIVE or one is None:
        return verdict
    return replace(verdict, reason=f"{verdict.reason}; estimated {one}")


def _groups(subject: Subject, watch: Watch, call: PerformanceCall, metric: str) -> list[_GroupOf]:
    """Those that the version's evaluation judged, by columns that requests have."""
    name = watch.record.roles.get("slices")
    if not name:
        return []
    try:
        entries = json.loads(CloneShelf(call.root).files(watch.record, [name])[name].read_bytes())
    except (GitmlError, OSError, ValueError):
        return []
    found: list[_GroupOf] = []
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, Mapping) or not isinstance(entry.get("metrics"), Mapping):
            continue
        column, value = str(entry.get("column")), str(entry.get("value"))
        if f"{FEATURE}{column}" in subject.every and column not in call.app.private:
            found.append((column, f"{FEATURE}{column}", value, _own(entry["metrics"].get(metric))))
    return found


def _own(found: Any) -> Own | None:
    if not isinstance(found, Mapping) or not isinstance(found.get("value"), int | float):
        return None
    low, high = (found.get(end) if isinstance(found.get(end), int | float) else None for end in ("low", "high"))
    return Own(found["value"], low, high)


def _estimated(
    report: PerformanceReport, subject: Subject, watch: Watch, call: PerformanceCall, looks: Sequence[Look]
) -> PerformanceReport:
    """With estimates in place of measurements that are still missing, and whether the newest window suits the model."""
    missing = [place for place, point in enumerate(report.series) if not point.measured][-_MOST_WINDOWS:]
    if not missing:
        return report
    if not watch.record.roles.get("evaluated"):
        why = "no estimates: the version has no evaluated rows (`evaluated` of the model in gitml.yaml)"
        return replace(report, why=why)
    # scikit-learn takes a second to load, and most looks need none of it.
    from gitml.monitoring.estimates.estimate import estimator
    from gitml.monitoring.estimates.suitability import suitability

    found = _evaluated_rows(call.root, watch.record)
    if isinstance(found, str):
        return replace(report, why=found)
    evaluated, encoder = found
    spec = watch.spec.performance
    made = estimator(
        evaluated, [*_metrics(watch, call.app, metric_of(watch, call.app))], watch.spec.window.days, spec.overlap
    )
    series = list(report.series)
    for place in missing:
        series[place] = _point(series[place], made, encoder, (watch, call), looks[place])
    newest = _live(encoder, (watch, call), looks[-1])
    suits = suitability(evaluated, newest, spec.margin) if newest is not None else ""
    why = made if isinstance(made, str) else ""
    return replace(report, series=tuple(series), why=why, suitability=None if isinstance(suits, str) else suits)


def _evaluated_rows(root: Path, record: Record) -> tuple[Evaluated, Encoder] | str:
    """Or why they cannot be used."""
    from gitml.monitoring.evaluated import read_evaluated

    name = record.roles["evaluated"]
    try:
        path = CloneShelf(root).files(record, [name])[name]
    except (GitmlError, OSError) as exc:
        return f"the evaluated rows {name} cannot be had: {exc}"
    return read_evaluated(path, parse_signature(record.signature or {}))


def _point(
    point: WindowPerformance, made: Estimator | str, encoder: Encoder, where: tuple[Watch, PerformanceCall], look: Look
) -> WindowPerformance:
    if isinstance(made, str):
        return replace(point, why=f"{point.why}; {made}")
    live = _live(encoder, where, look)
    found = "no row can be judged" if live is None else made.of(live, int(look.sketch.rows.sum()))
    if isinstance(found, str):
        return replace(point, why=f"{point.why}; inconclusive: {found}")
    return replace(point, estimated=found, why="")


def _live(encoder: Encoder, where: tuple[Watch, PerformanceCall], look: Look) -> Any:
    """Rows of the window as estimates take them, at most ten thousand, evenly; None where there are none."""
    from gitml.monitoring.estimates.table import day_of
    from gitml.monitoring.evaluated import INPUT

    watch, call = where
    wanted = {name.replace(INPUT, FEATURE, 1): name for name, _ in encoder.inputs}
    wanted |= {name: name for name in (encoder.output, *encoder.scores)}
    window = Window(look.since, look.until, call.at)
    batches = rows_once(call.traffic, watch.model, window, spool=call.spool, columns=[*NEEDED, *wanted])
    step = max(1, int(look.sketch.rows.sum()) // _MOST_ROWS)
    parts = [pa.Table.from_batches([batch]) for batch in _every(batches, step, watch)]
    if not parts:
        return None
    table = pa.concat_tables(parts, promote_options="permissive")
    if any(name not in table.column_names for name in (encoder.output, *encoder.scores)):
        return None
    table = table.rename_columns([wanted.get(name, name) for name in table.column_names])
    return encoder.rows(table, day_of(table["arrived"]))[0]


def _every(batches: Iterator[Any], step: int, watch: Watch) -> Iterator[Any]:
    passed = 0
    for batch in batches:
        mine = answered(batch, watch.environment, watch.record.version)
        chosen = np.flatnonzero((np.arange(mine.num_rows) + passed) % step == 0)
        passed += mine.num_rows
        if len(chosen):
            yield mine.take(pa.array(chosen))
