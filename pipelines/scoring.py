"""Metrics of a yes-or-no prediction from weighted rows, and their bootstrap over days.

Whole days are drawn with replacement, not single flights: a storm makes hundreds of flights late together, and
an interval that takes them for independent would be far too narrow. (Cluster bootstrap: Davison and Hinkley,
Bootstrap Methods and their Application, 1997, section 3.8.)
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from files import rounded

Floats = NDArray[np.float64]
Interval = dict[str, float]


@dataclass(frozen=True)
class Cost:
    """Dollars per missed alert and per false alert."""

    missed: float
    false_alert: float


@dataclass(frozen=True)
class Scored:
    """Rows with their truth (0 or 1), prediction, bin of the calibration error and day (counted from 0)."""

    truth: Floats
    predicted: Floats
    bins: NDArray[np.int64]
    days: NDArray[np.int64]
    threshold: float
    cost: Cost

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """Each row's place in the order of predictions; equal ones share theirs."""
        return _places(self.predicted)

    @cached_property
    def loss(self) -> Floats:
        """The log loss of each row."""
        inside = np.clip(self.predicted, 1e-15, 1 - 1e-15)
        return -(self.truth * np.log(inside) + (1 - self.truth) * np.log1p(-inside))

    @cached_property
    def squared(self) -> Floats:
        return (self.predicted - self.truth) ** 2

    @cached_property
    def gap(self) -> Floats:
        return self.predicted - self.truth

    @cached_property
    def hit(self) -> Floats:
        """1 for an alert that was right."""
        return self.truth * (self.predicted >= self.threshold)

    @cached_property
    def false(self) -> Floats:
        """1 for an alert that was not."""
        return (1 - self.truth) * (self.predicted >= self.threshold)

    def part(self, rows: NDArray[np.bool_]) -> "Scored":
        """The rows of a group, with the days and bins that they have in the whole."""
        return Scored(
            self.truth[rows],
            self.predicted[rows],
            self.bins[rows],
            self.days[rows],
            self.threshold,
            self.cost,
        )


def equal_bins(predicted: Floats, count: int) -> NDArray[np.int64]:
    """Bins with about equal numbers of rows, by predicted probability; equal predictions share a bin."""
    edges = np.quantile(predicted, np.linspace(0, 1, count + 1)[1:-1])
    return np.searchsorted(edges, predicted, side="right").astype(np.int64)


def auc(truth: Floats, predicted: Floats, weight: Floats) -> float:
    """Area under the ROC curve: the chance that a late flight ranks above one on time; ties count half."""
    return _auc(truth, _places(predicted), weight)


def _places(predicted: Floats) -> NDArray[np.int64]:
    _, place = np.unique(predicted, return_inverse=True)
    return place


def _auc(truth: Floats, place: NDArray[np.int64], weight: Floats) -> float:
    late = np.bincount(place, weight * truth)
    on_time = np.bincount(place, weight * (1 - truth))
    below = np.cumsum(on_time) - on_time
    return _ratio(float(np.sum(late * (below + on_time / 2))), float(late.sum() * on_time.sum()))


def calibration_error(scored: Scored, weight: Floats) -> float:
    """Mean over rows of |mean prediction - share late| of the row's bin (expected calibration error)."""
    gap = np.bincount(scored.bins, weight * scored.gap)
    return _ratio(float(np.abs(gap).sum()), float(weight.sum()))


def metrics(scored: Scored, weight: Floats | None = None) -> dict[str, float]:
    """Every metric of the rows; NaN where it is not defined. Weights: how often a row counts, else 1."""
    weight = np.ones_like(scored.truth) if weight is None else weight
    total, late = float(weight.sum()), float(weight @ scored.truth)
    hit, false = float(weight @ scored.hit), float(weight @ scored.false)
    money = scored.cost.missed * (late - hit) + scored.cost.false_alert * false
    return {
        "auc": _auc(scored.truth, scored.places, weight),
        "log_loss": _ratio(float(weight @ scored.loss), total),
        "brier": _ratio(float(weight @ scored.squared), total),
        "calibration_error": calibration_error(scored, weight),
        "cost_per_flight": _ratio(money, total),
        "recall": _ratio(hit, late),
        "precision": _ratio(hit, hit + false),
        "false_alarm_rate": _ratio(false, total - late),
    }


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else float("nan")


def best_threshold(truth: Floats, predicted: Floats, cost: Cost) -> float:
    """The threshold, in hundredths, with the least cost on these rows; the lowest of equals."""
    grid = np.arange(1, 100) / 100
    alert = predicted[None, :] >= grid[:, None]
    money = cost.missed * ((~alert) @ truth) + cost.false_alert * (alert @ (1 - truth))
    return float(grid[np.argmin(money)])


def draws(day_count: int, replicates: int, seed: int) -> Floats:
    """How often replicate b (row) draws each day (column): the same for all models judged on the same days."""
    generator = np.random.Generator(np.random.PCG64(seed))
    even = np.full(day_count, 1 / day_count)
    return generator.multinomial(day_count, even, size=replicates).astype(np.float64)


def replicates(scored: Scored, drawn: Floats) -> dict[str, Floats]:
    """Each metric, once per replicate."""
    rows = [metrics(scored, row[scored.days]) for row in drawn]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def intervals(value: Mapping[str, float], replicate: Mapping[str, Floats]) -> tuple[dict[str, Interval], list[str]]:
    """Value with its 95 % percentile interval, and the names of metrics left out because they are undefined.

    An interval is widened to hold the value where it does not: resampling adds noise to every bin, which makes
    the resampled calibration error larger than the real one.
    """
    sound = [name for name in value if np.isfinite(value[name]) and np.all(np.isfinite(replicate[name]))]
    return {name: _interval(value[name], replicate[name]) for name in sound}, [n for n in value if n not in sound]


def _interval(value: float, replicate: Floats) -> Interval:
    low, high = np.quantile(replicate, [0.025, 0.975])
    return {
        "value": rounded(value),
        "low": rounded(min(float(low), value)),
        "high": rounded(max(float(high), value)),
    }


def rows_digest(ids: pd.Series, truth: pd.Series) -> str:
    """Digest of which rows were judged and what the truth was; order matters, predictions do not."""
    lines = "".join(f"{row}\t{label}\n" for row, label in zip(ids, truth, strict=True))
    return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()
