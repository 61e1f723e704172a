"""The primary metric on matured labels, and how its confidence sequence came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from gitml.rollout.evaluation import MOST_POINTS, ArmCounts, JudgedPart, PartKind, SequencePoint
from gitml.rollout.holding import SIDES, DifferenceGoal, Held, held, rest, rest_of
from gitml.rollout.labels import MaturedLabels, known_at
from gitml.rollout.metrics import METRICS, LabelledMetric, decision_metric, events_in
from gitml.rollout.observed import Observed, TimedInfluence, contrasts_over_time
from gitml.rollout.reading import TrialRows
from gitml.rollout.rowtable import RowTable
from gitml.rollout.trial import CandidateTrial, DecisionCosts
from gitml.stats.rowlosses import right
from gitml.verdict import Phase

# Rows of a day are called alike where so many days tell of it, and the error grows so many times.
_TELLING_DAYS, _ALIKE = 5, 2.0

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class JudgedSeries:
    """A part, and the sequence that led to it."""

    part: JudgedPart
    series: tuple[SequencePoint, ...] = ()


@dataclass(frozen=True)
class Enough:
    """``events`` of champion and candidate, of which each must have the ``least``."""

    events: Sequence[int]
    least: int


def primary(
    trial: CandidateTrial, rows: TrialRows, labels: MaturedLabels, failing: float, days: float, until: datetime
) -> JudgedSeries:
    """JudgedSeries from the first event on that a minimum asks for; before that only what is still missing is said."""
    rules = trial.rules
    metric = _on_decisions(rules.cost) if rules.cost else METRICS.get(rules.metric)
    if metric is None:
        named = f"{rules.metric} cannot be told from labels" if rules.metric else "no metric with a margin is named"
        return _open(rules.metric or "metric", f"{named}: write `metric` under `canary` in policy.yaml")
    if rules.depend_on_answers and not trial.paired:
        why = "labels depend on the answers, so those of two arms are of different rows: judge a shadow or a KPI"
        return _open(rules.metric, why)
    if rules.cost:
        if why := _undecided(rules.cost, trial):
            return _open(rules.metric, f"{rules.metric}: {why}")
        rows = _decided(rows, rules.cost)
    told = _told(rows, labels, paired=trial.paired)
    counts = [int(mask.sum()) for mask in told]
    if not all(counts):
        missing = "no label has come yet" if not any(counts) else "labels have come for one arm only"
        wait = rules.labels_within
        return _open(rules.metric, f"{missing} of rows that are {_hours(wait.total_seconds())} old", counts)
    if metric.of_two and not all(
        np.isin(t.truth[mask], (0.0, 1.0)).all() for t, mask in zip(rows.arms, told, strict=True)
    ):
        return _open(rules.metric, f"{rules.metric} needs labels that are 0 or 1", counts)
    try:
        observed = _observed(metric, rows, told, labels.within, paired=trial.paired)
    except ValueError as exc:  # one class only, no positive answer: the metric is not defined yet
        return _open(rules.metric, f"{rules.metric} is not defined yet: {exc}", counts)
    events = [events_in(metric, t.truth[mask], t.predicted[mask]) for t, mask in zip(rows.arms, told, strict=True)]
    observed = replace(observed, by_day=rules.clusters == "day")
    asked = DifferenceGoal(metric.higher, rules.margin, rules.error_rate, failing)
    return judged("primary", rules.metric, observed, asked, (days, until), Enough(events, rules.events))


def _on_decisions(cost: DecisionCosts) -> LabelledMetric:
    return decision_metric(cost.false_negative, cost.false_positive)


def _undecided(cost: DecisionCosts, trial: CandidateTrial) -> str:
    """Why answers are no decisions; '' where they are."""
    for side, cut in zip(("champion", "candidate"), cost.thresholds, strict=True):
        if cut is None or not np.isfinite(cut):
            return f"the record of the {side} lacks the metric that holds its threshold: `holdout.threshold`"
    return "" if trial.output.type != "string" else f"{trial.output.name} is a word, which no threshold cuts"


def _decided(rows: TrialRows, cost: DecisionCosts) -> TrialRows:
    """Rows whose answers are 0 or 1, each arm by its own threshold; what has no answer keeps none."""
    old, new = (_cut(t, cut) for t, cut in zip(rows.arms, cost.thresholds, strict=True))
    return replace(rows, champion=old, candidate=new)


def _cut(table: RowTable, threshold: float | None) -> RowTable:
    did = np.greater_equal(table.predicted, np.nan if threshold is None else threshold).astype(np.float64)
    return replace(table, predicted=np.where(np.isnan(table.predicted), np.nan, did))


def judged(
    kind: PartKind,
    name: str,
    observed: Observed,
    asked: DifferenceGoal,
    when: tuple[float, datetime],
    enough: Enough,
) -> JudgedSeries:
    """``when``: days that have passed, and the end."""
    days, until = when
    found = held(observed, asked)
    if found.contrast is None:
        return _open(name, found.why, kind=kind)
    units = ArmCounts(*found.contrast.units)
    by_day = observed.days() if observed.by_day else None
    words = _words(name, found, asked) + _day_words(observed, found)
    part = JudgedPart(
        kind, name, found.phase, words, found.contrast.champion, found.contrast.candidate,
        found.contrast.difference, found.low, found.high, asked.edge, units, ArmCounts(*enough.events),
    )  # fmt: skip
    seen = min(enough.events)
    # A failure holds with any number, since its bounds do; one that is never right has no event at all.
    if seen < enough.least and found.phase is not Phase.FAILED:
        told = f"{name}: {seen} events in an arm, {enough.least} are the minimum"
        needed = rest(sum(found.contrast.units), enough.least / seen, days) if seen else None
        part = replace(part, phase=Phase.INCONCLUSIVE, reason=told, needed=needed)
    elif found.phase is Phase.INCONCLUSIVE:
        part = replace(part, needed=rest_of(found.contrast, asked, days, by_day))
    return JudgedSeries(part, _series(observed, found, asked, until))


def _day_words(observed: Observed, found: Held) -> str:
    """By how many days it was judged; or that its days hang together, where nobody asked for that."""
    if found.contrast is None or found.why:
        return ""
    by_day = observed.days()
    if observed.by_day:
        return f", by {by_day.draws} days"
    wider = by_day.error / found.contrast.error if found.contrast.error > 0 else 0.0
    if by_day.draws < _TELLING_DAYS or wider < _ALIKE:
        return ""
    return (
        f". Rows of a day are alike: by days its error is {wider:.1f} times as large (`clusters: day` judges by them)"
    )


def _open(name: str, why: str, counts: Sequence[int] = (0, 0), kind: PartKind = "primary") -> JudgedSeries:
    return JudgedSeries(JudgedPart(kind, name, Phase.INCONCLUSIVE, why, n=ArmCounts(*counts)))


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:g} hours" if seconds < 172_800 else f"{seconds / 86_400:g} days"


def _told(rows: TrialRows, labels: MaturedLabels, *, paired: bool) -> list[Mask]:
    """Rows with a label and an answer; of pairs those where both sides have one."""
    found = [mask & np.isfinite(t.predicted) for t, mask in zip(rows.arms, labels.told, strict=True)]
    return [found[0] & found[1]] * 2 if paired else found


def _observed(metric: LabelledMetric, rows: TrialRows, told: Sequence[Mask], within: int, *, paired: bool) -> Observed:
    arms = rows.arms
    if paired:
        truth = arms[0].truth[told[0]]
        pair = [_timed(metric, t, m, within, truth) for t, m in zip(arms, told, strict=True)]
        exact = _pairs_won(metric, arms, told[0], truth)
        return Observed(((pair[0], pair[1]),), True, *exact)
    names = np.intersect1d(arms[0].epoch[told[0]], arms[1].epoch[told[1]]).tolist()
    strata, undefined = [], None
    for epoch in names:
        here = [m & (t.epoch == epoch) for t, m in zip(arms, told, strict=True)]
        try:
            one, other = (_timed(metric, t, m, within, t.truth[m]) for t, m in zip(arms, here, strict=True))
        except ValueError as exc:  # a short epoch of one class must not hold up the others for ever
            undefined = exc
        else:
            strata.append((one, other))
    if undefined and not strata:
        raise undefined
    found = Observed(tuple(strata), False, _hits(metric, arms, told, len(names)))
    return replace(found, bearing=_bearing(metric, arms, told)) if found.still else found


def _bearing(
    metric: LabelledMetric, arms: Sequence[RowTable], told: Sequence[Mask]
) -> tuple[Sequence[int], Sequence[int]] | None:
    """How many units of each arm the metric rests on."""
    if metric.bearing is None:
        return None
    one, other = (
        [len(np.unique(t.unit[m][kind])) for kind in metric.bearing(t.truth[m], t.predicted[m])]
        for t, m in zip(arms, told, strict=True)
    )
    return one, other


def _timed(metric: LabelledMetric, table: RowTable, mask: Mask, within: int, truth: Floats) -> TimedInfluence:
    return TimedInfluence(
        metric.influence(table.ids[mask], truth, table.predicted[mask]), known_at(table, mask, within)
    )


def _independent(table: RowTable, mask: Mask) -> bool:
    """Whether each unit has one row: they stand one after another."""
    unit = table.unit[mask]
    return not bool((unit[1:] == unit[:-1]).any())


def _pairs_won(
    metric: LabelledMetric, arms: Sequence[RowTable], told: Mask, truth: Floats
) -> tuple[tuple[tuple[float, float], tuple[float, float]] | None, tuple[float, float] | None]:
    if not metric.rate or not _independent(arms[0], told):
        return None, None
    old, new = (right(truth, table.predicted[told]) for table in arms)
    count = float(len(truth))
    won = float(((new == 1) & (old == 0)).sum()), float(((old == 1) & (new == 0)).sum())
    return ((float(old.sum()), count), (float(new.sum()), count)), won


def _hits(
    metric: LabelledMetric, arms: Sequence[RowTable], told: Sequence[Mask], epochs: int
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Exact bounds hold for independent rows of one epoch."""
    if not metric.rate or epochs != 1 or not all(_independent(t, m) for t, m in zip(arms, told, strict=True)):
        return None
    one, other = (
        (float(right(t.truth[m], t.predicted[m]).sum()), float(m.sum())) for t, m in zip(arms, told, strict=True)
    )
    return one, other


def _words(name: str, found: Held, asked: DifferenceGoal) -> str:
    contrast = found.contrast
    if contrast is None or found.why:
        return f"{name}: {found.why}"
    numbers = f"{name} {contrast.candidate:.4g} against {contrast.champion:.4g}"
    better = "better" if asked.margin is None else f"at most {asked.margin:g} worse"
    if found.phase is Phase.SUCCESSFUL:
        return f"{numbers}: shown to be {better}"
    if found.phase is Phase.FAILED:
        return f"{numbers}: shown to be worse" + ("" if asked.margin is None else f" by more than {asked.margin:g}")
    return f"{numbers}: not yet shown to be {better}"


def _series(observed: Observed, found: Held, asked: DifferenceGoal, until: datetime) -> tuple[SequencePoint, ...]:
    """As it was at up to ``MOST_POINTS`` moments; the last is the one that is judged."""
    if found.contrast is None:
        return ()
    first = min(int(arm.known.min()) for pair in observed.strata for arm in pair)
    last = max(int(arm.known.max()) for pair in observed.strata for arm in pair)
    moments = np.unique(np.linspace(first, last, MOST_POINTS + 1).astype(np.int64)[1:])
    plain = replace(observed, hits=None, won=None, bearing=None)
    points = []
    for moment, one in zip(moments.tolist(), contrasts_over_time(observed, found.contrast, moments), strict=True):
        if one is not None:
            low, high = (plain.bound(one, level, side, moment) for level, side in zip(asked.levels, SIDES, strict=True))
            points.append(SequencePoint(_moment(moment, until), one.difference, low, high))
    now = SequencePoint(until, found.contrast.difference, found.low, found.high)
    return (*[point for point in points if point.at < until][-MOST_POINTS + 1 :], now)


def _moment(micros: int, until: datetime) -> datetime:
    return min(datetime.fromtimestamp(-(-micros // 1_000_000), UTC), until)
