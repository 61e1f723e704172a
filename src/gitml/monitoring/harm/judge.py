"""Whether the model is worse than its own evaluation said, on requests whose labels have come."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from gitml.monitoring.harm.concept import ConceptChange, bounded_losses, concept_changes
from gitml.monitoring.harm.losses import SCORES, Floats, Score, inside
from gitml.monitoring.promise import WINDOWS
from gitml.verdict import Phase, Verdict

# With fewer days an interval from days says nothing; with more they are gathered into so many blocks.
_LEAST_CLUSTERS, _MOST_CLUSTERS = 5, 50
_LEAST_LABELS = 30
_MOST_ALIKE = 0.9
_OWN_QUANTILE = 1.959964  # intervals of evaluations are 95 % ones
Words = NDArray[np.object_]


@dataclass(frozen=True)
class Own:
    """The metric of the version's evaluation, with the 95 % interval that the record has."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Labelled:
    """Answers whose labels have come: ``look`` counts back from the newest, 1, and ``day`` is any number of the day,
    ``hour`` of the hour. ``source`` says who told each label, ``groups`` the value of columns by which rows are
    grouped. ``unfit``: labels of another kind than the answers, which are left out."""

    truth: Floats
    predicted: Floats
    look: NDArray[np.int64]
    day: NDArray[np.int64]
    hour: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    source: Words = field(default_factory=lambda: np.zeros(0, object))
    groups: Mapping[str, Words] = field(default_factory=dict)
    unfit: int = 0

    def __len__(self) -> int:
        return len(self.truth)


@dataclass(frozen=True)
class HarmPlan:
    """``rate``: the probability of a false alarm in a year of ``looks`` looks. ``worse_by``: None is half the width of
    the interval of the evaluation. ``changes``: methods of ``concept`` that are shown."""

    metric: str
    own: Own | None
    rate: float
    looks: int
    worse_by: float | None = None
    changes: Sequence[str] = ()


@dataclass(frozen=True)
class Performance:
    """The metric of the last ``window`` looks. ``low`` and ``high`` hold together over the year; ``surely``: by how
    much it is worse than the evaluation at the least, 0 where that is not certain. ``possibly``: by how much it may be
    worse, at 95 %."""

    metric: str
    window: int
    rows: int
    days: int
    value: float
    low: float
    high: float
    surely: float
    possibly: float
    changes: tuple[ConceptChange, ...] = ()


def judge_harm(labelled: Labelled, plan: HarmPlan) -> tuple[Verdict, Performance | None]:
    """The worst window of the last 1, 2, 3, 4, 8, 16 and 32 looks counts; rows of one day are taken as one draw.

    The error of the whole metric is that of leaving out a day at a time (the jackknife; B. Efron and C. Stein, "The
    jackknife estimate of variance", Annals of Statistics 9, 1981), with Student's quantiles. The levels add up over the
    windows and looks of a year, so that the lower bound of the risk holds at all of them: what a confidence sequence is
    for in A. Podkopaev and A. Ramdas, "Tracking the risk of a deployed model and detecting harmful distribution
    shifts", ICLR 2022. Theirs is exact for bounded losses of independent rows; this one holds in simulation
    (``benchmarks/harm.py``) for any metric, for days that differ and for days that are like the one before.
    """
    if not len(labelled.truth):
        return Verdict(Phase.INCONCLUSIVE, "no labels have come yet (`gitml labels add` brings them)"), None
    if plan.metric not in SCORES:
        known = ", ".join(SCORES)
        return Verdict(Phase.INCONCLUSIVE, f"{plan.metric} cannot be computed from labels: name one of {known}"), None
    if SCORES[plan.metric][2] and not np.isin(labelled.truth, (0.0, 1.0)).all():
        return Verdict(Phase.INCONCLUSIVE, f"labels are not all 0 or 1, which {plan.metric} needs"), None
    own = plan.own
    if own is None or own.low is None or own.high is None:
        why = f"the version's record has no {plan.metric} with an interval to compare with"
        return Verdict(Phase.INCONCLUSIVE, why), None
    parts = [part for window in WINDOWS if (part := _without(labelled, SCORES[plan.metric][0], window))]
    found = [p for part in parts if (p := _measured(labelled, plan, own, part, persistence(_longest(parts, part))))]
    if not found:
        days = len(np.unique(labelled.day))
        why = f"too little: {len(labelled.truth):,} labels of {days} days"
        hint = f"; {_LEAST_LABELS} labels of {_LEAST_CLUSTERS} days are needed"
        return Verdict(Phase.INCONCLUSIVE, why + hint), None
    verdict, worst = _verdict(found, plan, own)
    if not plan.changes:
        return verdict, worst
    losses = bounded_losses(plan.metric, labelled.truth, labelled.predicted, own.value)
    return verdict, replace(worst, changes=concept_changes(losses, labelled.day.tolist(), plan.changes))


def _verdict(found: Sequence[Performance], plan: HarmPlan, own: Own) -> tuple[Verdict, Performance]:
    least = (own.high - own.low) / 2 if plan.worse_by is None and own.low is not None and own.high is not None else 0.0
    bound = least if plan.worse_by is None else plan.worse_by
    worst = max(found, key=lambda p: (p.surely, p.window))
    measured: Mapping[str, object] = {
        plan.metric: worst.value, "low": worst.low, "high": worst.high, "evaluated": own.value, "worse_by": bound,
        "labels": worst.rows, "days": worst.days, "looks": worst.window,
    }  # fmt: skip
    told = f"{plan.metric} {worst.value:.4g} ({worst.low:.4g} to {worst.high:.4g}), {own.value:.4g} when evaluated"
    if worst.surely > bound:
        return Verdict(Phase.FAILED, f"worse than its evaluation: {told}", measured), worst
    if found[-1].possibly <= bound:
        return Verdict(Phase.SUCCESSFUL, f"as evaluated: {told}", measured), worst
    return Verdict(Phase.INCONCLUSIVE, f"too few labels to tell: {told}", measured), worst


@dataclass(frozen=True)
class _LeftOut:
    """The metric of a window, and without each of its blocks of days in turn."""

    window: int
    rows: int
    days: int
    value: float
    without: Floats


def _without(labelled: Labelled, score: Score, window: int) -> _LeftOut | None:
    """None where the window has too few labels or days, or begins no earlier than a shorter one."""
    inside = labelled.look <= window
    if window > 1 and not (inside & (labelled.look > _shorter(window))).any():
        return None
    days, place = np.unique(labelled.day[inside], return_inverse=True)
    if len(place) < _LEAST_LABELS or len(days) < _LEAST_CLUSTERS:
        return None
    value, without = left_out(score, labelled.truth[inside], labelled.predicted[inside], place)
    return _LeftOut(window, len(place), len(days), value, without) if np.isfinite(without).all() else None


def _longest(parts: Sequence[_LeftOut], part: _LeftOut) -> Floats:
    """What tells most of how alike neighbouring blocks of this length are."""
    return max((p for p in parts if p is part or p.days <= _MOST_CLUSTERS >= part.days), key=lambda p: p.days).without


def _measured(labelled: Labelled, plan: HarmPlan, own: Own, part: _LeftOut, alike: float) -> Performance | None:
    """``alike``: the correlation of neighbouring days. A mean of such days varies more by the square root of
    (1 + alike) / (1 - alike); days of the evaluation are taken to be as alike."""
    blocks, stretch = len(part.without), math.sqrt((1 + alike) / (1 - alike))
    error = stretch * _error(part.without)
    level = plan.rate * WINDOWS[part.window] / plan.looks
    wide = float(-stdtrit(blocks - 1, level / 2))
    both = math.hypot(error, stretch * _own_error(own))
    worse = own.value - part.value if SCORES[plan.metric][1] else part.value - own.value
    surely = max(0.0, worse - float(-stdtrit(blocks - 1, level)) * both)
    possibly = worse + float(-stdtrit(blocks - 1, 0.05)) * both
    low, high = inside(plan.metric, part.value - wide * error, part.value + wide * error)
    return Performance(plan.metric, part.window, part.rows, part.days, part.value, low, high, surely, possibly)


def persistence(series: Floats) -> float:
    """How alike neighbours are: their correlation, and a standard error more, since few days hide it.

    >>> rng = np.random.default_rng(1)
    >>> alone = rng.normal(size=400)
    >>> bool(persistence(alone) < 0.15), bool(persistence(np.convolve(alone, [1, 1, 1, 1])) > 0.6)
    (True, True)
    """
    return min(_MOST_ALIKE, max(0.0, neighbours(series) + 1 / math.sqrt(len(series))))


def neighbours(series: Floats) -> float:
    """The correlation of each number with the one before; 0 where they are all the same."""
    apart = series - series.mean()
    square = float(apart @ apart)
    return float(apart[1:] @ apart[:-1]) / square if square > 0 else 0.0


def _shorter(window: int) -> int:
    return max(size for size in WINDOWS if size < window)


def _own_error(own: Own) -> float:
    return (own.high - own.low) / 2 / _OWN_QUANTILE if own.low is not None and own.high is not None else 0.0


def jackknife(score: Score, truth: Floats, predicted: Floats, clusters: NDArray[np.int64]) -> tuple[float, float, int]:
    """The metric, its standard error from leaving out a cluster at a time, and the number of clusters.

    ``clusters`` count from 0 in order of time; neighbours are gathered where there are more than fifty.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=400)
    >>> from gitml.monitoring.harm.losses import mae
    >>> value, error, count = jackknife(mae, x * 0, x, np.arange(400) // 20)
    >>> bool(abs(error - np.abs(x).std() / 20) < 0.01), count
    (True, 20)
    """
    whole, without = left_out(score, truth, predicted, clusters)
    return whole, _error(without), len(without)


def left_out(score: Score, truth: Floats, predicted: Floats, clusters: NDArray[np.int64]) -> tuple[float, Floats]:
    """The metric, and without each cluster in turn; as above."""
    count = int(clusters.max()) + 1
    blocks = clusters if count <= _MOST_CLUSTERS else clusters * _MOST_CLUSTERS // count
    every = range(min(count, _MOST_CLUSTERS))
    without = [score(truth, predicted, (blocks != block).astype(np.float64)) for block in every]
    return score(truth, predicted, np.ones_like(truth)), np.array(without)


def _error(without: Floats) -> float:
    count = len(without)
    return math.sqrt((count - 1) / count * float(((without - without.mean()) ** 2).sum()))
