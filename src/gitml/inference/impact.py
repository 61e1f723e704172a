"""``gitml impact``: what KPIs did after changes of models, from a clone's ledger and looks and the KPIs' sources."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from gitml import clock, spec
from gitml.control.ledger import Here
from gitml.control.looks import read_looks
from gitml.control.served import served_changes, told_of_clone
from gitml.errors import UsageError
from gitml.evidence.canaries import KIND as CANARY
from gitml.evidence.canaries import SignedCanary, canaries_of
from gitml.evidence.looks import SignedLook, looks_of
from gitml.evidence.reader import EvidenceRules
from gitml.evidence.trust import Believed
from gitml.git.ledger import LOOKS
from gitml.inference.kpis import last_environment, refuse_unmerged
from gitml.spec.application import Application
from gitml.spec.validate import nearest
from gitml.success.changes import ServedChange
from gitml.success.correlation import SeriesCorrelation, correlation_of_differences
from gitml.success.days import day_of
from gitml.success.facts import FactPlace
from gitml.success.impact import CausalComparison, ChangeImpact
from gitml.success.looking import BusinessView, change_impacts
from gitml.success.returns import Effort, return_on
from gitml.success.series import KpiSeries, SeriesSpan, all_series

_LONG = timedelta(days=400)


@dataclass(frozen=True)
class ImpactCall:
    """``model``, ``environment``: '' for all. ``since``: only changes from then on."""

    traffic: str = ""
    spool: Path | None = None
    model: str = ""
    environment: str = ""
    since: datetime | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class MetricBesideKpi:
    """How a KPI went together with a metric of a model that monitors measured, over their windows."""

    kpi: str
    model: str
    metric: str
    found: SeriesCorrelation


@dataclass(frozen=True)
class ImpactReport:
    """Newest change first."""

    changes: tuple[ChangeImpact, ...]
    beside: tuple[MetricBesideKpi, ...] = ()


@dataclass(frozen=True)
class BusinessEvidence:
    """What the ledger and the looks of a clone say that bears on a change, as main's keys vouch for it."""

    told: tuple[Believed, ...]
    canaries: tuple[SignedCanary, ...] = ()
    looks: tuple[SignedLook, ...] = ()


def impacts(root: Path, call: ImpactCall) -> ImpactReport:
    """Raises UsageError for a model that is not there, and without KPIs; InconclusiveError without a main."""
    app = spec.load_application(root)
    if not app.kpis:
        raise UsageError("gitml.yaml has no KPI", "add one under `kpis`: what it is made of, and which way is better")
    if call.model and call.model not in app.models:
        raise UsageError(f"there is no model {call.model}", nearest(call.model, app.models))
    here, at = Here(root, os.environ), call.at or clock.now()
    refuse_unmerged(here, app.kpis)
    evidence = evidence_of_clone(here, at)
    view = BusinessView(app, last_environment(root), served_changes(evidence.told, here.main), at)
    place = FactPlace(root, call.traffic, call.spool, os.environ)
    chosen = [one for one in view.served if _is_asked(one, call) and view.kpis_of(one)]
    done = tuple(with_evidence(one, app, evidence) for one in change_impacts(place, view, chosen))
    return ImpactReport(done[::-1], tuple(_beside(place, view, evidence, call)))


def _is_asked(change: ServedChange, call: ImpactCall) -> bool:
    named = (not call.model or change.model == call.model) and call.environment in ("", change.environment)
    return named and (call.since is None or change.moment >= call.since)


def evidence_of_clone(here: Here, at: datetime) -> BusinessEvidence:
    """Raises OutsideError for a ledger that Git cannot read."""
    heads = here.heads(LOOKS)
    if not heads:
        return BusinessEvidence(told_of_clone(here, at))
    rules = EvidenceRules(here.main.policy(), here.repository, at, here.settings.host)
    canaries = canaries_of(one for one in read_looks(here.root, heads[0], rules, at - _LONG, CANARY) if one)
    looks = looks_of(one for one in read_looks(here.root, heads[0], rules, at - _LONG) if one)
    return BusinessEvidence(told_of_clone(here, at), canaries.counting, looks.counting)


def with_evidence(found: ChangeImpact, app: Application, evidence: BusinessEvidence) -> ChangeImpact:
    """With what a split of the traffic found before the change, and what the change took."""
    causal = tuple(_causal(found.change, app, evidence.canaries))
    if app.costs is None:
        return replace(found, causal=causal)
    gains = [one.a_month for one in found.longest if one.is_clear and one.a_month]
    return replace(found, causal=causal, returns=return_on(app.costs, _effort(found.change, app, evidence.told), gains))


def _causal(change: ServedChange, app: Application, canaries: Sequence[SignedCanary]) -> Iterator[CausalComparison]:
    """Of the newest evaluation of the split in which this version was the candidate beside the one before."""
    here = [one for one in canaries if one.told.mode == "split" and _is_of(change, one)]
    for part in here[-1].told.parts if here else ():
        name = part.name.partition(" (")[0]
        if name in app.kpis and part.part in ("primary", "kpi"):
            at = f"{here[-1].told.at:%Y-%m-%dT%H:%M:%SZ}"
            yield CausalComparison(name, part.phase, part.reason, part.difference, part.low, part.high, at)


def _is_of(change: ServedChange, one: SignedCanary) -> bool:
    pair = one.pair
    same = (pair.model, pair.environment, pair.candidate[0]) == (change.model, change.environment, change.version)
    return same and pair.champion[0] == change.before and change.kind == "promotion"


def _effort(change: ServedChange, app: Application, told: Sequence[Believed]) -> Effort:
    training: Mapping[str, float] | None = None
    reviewers: set[str] = set()
    for one in told:
        if not one or one.binding is None:
            continue
        if (one.kind, one.model, one.version) == ("trained", change.model, change.version):
            training = _minutes(one.details.get("seconds"), app)
        if one.kind == "approved" and one.details.get("commit") == change.commit and one.model == change.model:
            reviewers |= {str(person) for person in one.details.get("approvers") or ()}
    return Effort(training, len(reviewers), change.model)


def _minutes(seconds: Any, app: Application) -> Mapping[str, float] | None:
    """By the hardware of each stage, as gitml.yaml has it now."""
    if not isinstance(seconds, Mapping):
        return None
    found: dict[str, float] = {}
    for stage, took in seconds.items():
        name = app.hardware_of(str(stage))
        found[name] = found.get(name, 0.0) + float(took) / 60
    return found


def _beside(
    place: FactPlace, view: BusinessView, evidence: BusinessEvidence, call: ImpactCall
) -> Iterator[MetricBesideKpi]:
    """For each metric that monitors measured on labels, in the windows that its model was looked at."""
    windows = _measured(look for look in evidence.looks if call.model in ("", look.monitor[0]))
    if not windows:
        return
    first = min(span[0] for found in windows.values() for span in found)
    span = SeriesSpan(first - timedelta(days=1), view.at, view.at, repeats=True)
    series = {one.name: one for one in all_series(place, view.app.kpis, span)}
    for (model, environment, metric), found in sorted(windows.items()):
        for name, kpi in view.app.kpis.items():
            here = (kpi.environment or view.last) == environment and (not kpi.models or model in kpi.models)
            if here and not series[name].problem:
                days = [_mean_within(series[name], kpi.zone, window) for window in sorted(found)]
                values = [found[window] for window in sorted(found)]
                yield MetricBesideKpi(name, model, metric, correlation_of_differences(days, values))


_Span = tuple[datetime, datetime]


def _measured(looks: Iterator[SignedLook]) -> dict[tuple[str, str, str], dict[_Span, float]]:
    """By model, environment and metric: what labels said of each window, as the newest look has it."""
    found: dict[tuple[str, str, str], dict[_Span, float]] = {}
    for look in looks:
        told = look.told.get("performance")
        for point in (told or {}).get("series") or ():
            try:
                span = datetime.fromisoformat(point["since"]), datetime.fromisoformat(point["until"])
                for one in point.get("measured") or ():
                    found.setdefault((*look.monitor, str(one["metric"])), {})[span] = float(one["value"])
            except (KeyError, TypeError, ValueError):
                continue  # of an older form
    return found


def _mean_within(series: KpiSeries, zone: str, window: _Span) -> float | None:
    first, last = (day_of(moment, zone) for moment in window)
    values = [day.value for day in series.known if first <= day.day < last and day.value is not None]
    return sum(values) / len(values) if values else None
