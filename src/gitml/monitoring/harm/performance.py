"""How good the model is, in its own metrics: on labels that have come, by group and window; estimated where none has.

Intervals are those of single numbers at 95 %, from leaving out a day at a time (an hour, where there are few days): for
people who look. What may alarm is the verdict of harm alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from gitml.monitoring.estimates.answers import Estimated, Suitability
from gitml.monitoring.estimates.rows import thinned
from gitml.monitoring.harm.judge import Labelled, Own, jackknife
from gitml.monitoring.harm.losses import SCORES

_LEAST_LABELS, _LEAST_CLUSTERS = 30, 5
MOST_GROUPS, _MOST_SOURCES, _MOST_ROWS = 60, 20, 50_000
Cluster = Literal["day", "hour", ""]


@dataclass(frozen=True)
class MetricOnLabels:
    """A metric on labels. ``low`` and ``high``: 95 %, with rows of one ``cluster`` as one draw; None, where there are
    fewer than five clusters."""

    metric: str
    value: float
    low: float | None
    high: float | None
    labels: int
    cluster: Cluster
    evaluated: Own | None = None


@dataclass(frozen=True)
class Group:
    """Rows with one value of a column; ``measured`` is None where they have too few labels."""

    column: str
    value: str
    labels: int
    measured: MetricOnLabels | None


@dataclass(frozen=True)
class WindowPerformance:
    """One window of the series: what labels say of it as soon as all of them must have come, before that what is
    estimated. ``why``: the reason where it has neither."""

    since: datetime
    until: datetime
    labels: int
    measured: tuple[MetricOnLabels, ...] = ()
    estimated: tuple[Estimated, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class PerformanceReport:
    """``metrics`` are of all labels of the looks; ``groups`` of the first metric; ``series`` oldest first. ``sources``:
    who told how many of the labels. ``unfit``: labels that do not fit the answers."""

    metrics: tuple[MetricOnLabels, ...]
    groups: tuple[Group, ...]
    series: tuple[WindowPerformance, ...]
    sources: Mapping[str, int]
    unfit: int = 0
    suitability: Suitability | None = None
    why: str = ""


def measured(
    metric: str, labelled: Labelled, rows: NDArray[np.bool_] | None = None, own: Own | None = None
) -> MetricOnLabels | None:
    """None for too few labels, or where the metric is not defined on them."""
    chosen = np.ones(len(labelled), bool) if rows is None else rows
    truth, predicted = labelled.truth[chosen], labelled.predicted[chosen]
    score, _, of_two = SCORES[metric]
    if len(truth) < _LEAST_LABELS or (of_two and not np.isin(truth, (0.0, 1.0)).all()):
        return None
    cluster, places = _clusters(labelled, chosen)
    if not cluster:
        value = score(truth, predicted, np.ones_like(truth))
        return MetricOnLabels(metric, value, None, None, len(truth), "", own) if math.isfinite(value) else None
    value = score(truth, predicted, np.ones_like(truth))
    if not math.isfinite(value):
        return None
    # Of more rows an interval would hardly differ, and leaving out fifty days in turn takes its time.
    some = thinned(len(truth), _MOST_ROWS)
    _, error, blocks = jackknife(score, truth[some], predicted[some], places[some])
    if not math.isfinite(error):
        return MetricOnLabels(metric, value, None, None, len(truth), "", own)
    wide = -float(stdtrit(blocks - 1, 0.025)) * error
    return MetricOnLabels(metric, value, value - wide, value + wide, len(truth), cluster, own)


def _clusters(labelled: Labelled, chosen: NDArray[np.bool_]) -> tuple[Cluster, NDArray[np.int64]]:
    kinds: Mapping[Cluster, NDArray[np.int64]] = {"day": labelled.day, "hour": labelled.hour}
    for name, numbers in kinds.items():
        if len(numbers) == len(labelled):
            different, places = np.unique(numbers[chosen], return_inverse=True)
            if len(different) >= _LEAST_CLUSTERS:
                return name, places
    return "", np.zeros(0, np.int64)


def overall(labelled: Labelled, metrics: Mapping[str, Own | None]) -> tuple[MetricOnLabels, ...]:
    return tuple(one for name, own in metrics.items() if (one := measured(name, labelled, own=own)))


def by_group(labelled: Labelled, metric: str, groups: Sequence[tuple[str, str, str, Own | None]]) -> tuple[Group, ...]:
    """``groups``: the column's name for people and in ``labelled``, a value, and what the evaluation found for it."""
    found = []
    for column, key, value, own in groups[:MOST_GROUPS]:
        rows = labelled.groups[key] == value
        found.append(Group(column, value, int(rows.sum()), measured(metric, labelled, rows, own)))
    return tuple(found)


def in_window(labelled: Labelled, look: int, metrics: Sequence[str]) -> tuple[MetricOnLabels, ...]:
    """``look`` counts back from the newest, 1."""
    rows = labelled.look == look
    return tuple(one for name in metrics if (one := measured(name, labelled, rows)))


def sources_of(labelled: Labelled) -> dict[str, int]:
    """The most frequent ones, and all others together."""
    often = Counter(labelled.source.tolist()).most_common()
    found = {name or "unknown": count for name, count in often[:_MOST_SOURCES]}
    rest = sum(count for _, count in often[_MOST_SOURCES:])
    return found | ({"others": rest} if rest else {})
