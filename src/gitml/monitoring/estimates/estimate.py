"""The metrics of a window without labels, each with the method that a back-test prefers, its error, and a band."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from gitml.monitoring.estimates.answers import Estimated
from gitml.monitoring.estimates.backtest import Backtest, backtest, periods
from gitml.monitoring.estimates.band import variance_of_reference, variance_of_window
from gitml.monitoring.estimates.density_ratio import density_ratio, overlap, within
from gitml.monitoring.estimates.methods import METHODS
from gitml.monitoring.estimates.rows import Evaluated, Rows, suited
from gitml.monitoring.harm.losses import Floats, inside

LEAST_ROWS = 30
_BAND = 0.95


@dataclass(frozen=True)
class Estimator:
    """A reference that was tested on itself; the same for all windows of a look. ``least``: the overlap that an answer
    takes, 0 to 1."""

    reference: Evaluated
    metrics: Sequence[str]
    tested: Backtest
    length: int
    least: float = 0.1

    def of(self, live: Rows, rows: int = 0) -> tuple[Estimated, ...] | str:
        """One for each metric; or why there is none. ``rows``: how many the window has, where ``live`` are some."""
        if len(live) < LEAST_ROWS:
            return f"too little: {len(live)} rows, {LEAST_ROWS} are needed"
        ratio = density_ratio(self.reference.rows, live)
        share = overlap(ratio) * within(self.reference.rows.inputs, live.inputs)
        if share < self.least:
            return f"overlap: the evaluated rows are worth {share:.1%} of their number here, {self.least:.0%} is needed"
        found = [self._one(metric, ratio, live, max(rows, len(live)), share) for metric in self.metrics]
        sound = tuple(one for one in found if one is not None)
        return sound or "no metric is defined on the evaluated rows: their labels are of one kind, or too few"

    def _one(self, metric: str, ratio: Floats, live: Rows, rows: int, share: float) -> Estimated | None:
        chosen = self.tested.best(metric)
        method = next((method for method in METHODS if method.name == chosen), None)
        if method is None:
            return None
        value = method.estimate(metric, self.reference, ratio, live)
        number = periods(self.reference.rows.day, self.length)
        of_window = variance_of_window(metric, self.reference, ratio, rows)
        sampled = of_window + variance_of_reference(method, metric, self.reference, ratio, live, number)
        error = self.tested.errors[chosen][metric]
        # A period that is longer than the window says too little of how far days differ.
        shorter = max(1.0, self.tested.days / max(1, len(np.unique(live.day))))
        width = -float(stdtrit(self.tested.periods - 1, (1 - _BAND) / 2)) * math.sqrt(max(sampled, error**2 * shorter))
        if not math.isfinite(value + width):
            return None
        low, high = inside(metric, value - width, value + width)
        before = self.tested.as_before.get(metric, error)
        own = self.reference.metric(metric)
        noise = math.sqrt(self._chance(ratio, of_window, rows) + self._disagreement(metric, ratio, live))
        return Estimated(metric, chosen, value, low, high, error, before, own, share, self.tested.periods, noise)

    def _chance(self, ratio: Floats, of_window: float, rows: int) -> float:
        """Rows of the reference are a sample as those of the window are, worth as many as their weights leave."""
        return of_window * (1 + rows / (overlap(ratio) * len(self.reference)))

    def _disagreement(self, metric: str, ratio: Floats, live: Rows) -> float:
        """All methods assume the same, so that what they differ by (a variance) is their error, not the world's."""
        tested = [method for method in METHODS if metric in self.tested.errors.get(method.name, ())]
        found = np.array([method.estimate(metric, self.reference, ratio, live) for method in tested])
        return float(found.var(ddof=1)) if len(found) > 1 and np.isfinite(found).all() else 0.0


def estimator(reference: Evaluated, metrics: Sequence[str], length: int, least: float = 0.1) -> Estimator | str:
    """``length``: days of a window. Or why nothing can be estimated."""
    wanted = suited(reference.task, metrics)
    if not wanted:
        return f"none of {', '.join(metrics) or 'its metrics'} can be estimated for answers of this kind"
    if len(reference) < LEAST_ROWS:
        return f"too little: {len(reference)} evaluated rows, {LEAST_ROWS} are needed"
    if reference.task == "binary" and len(np.unique(reference.truth)) < 2:
        return "the labels of the evaluated rows are all of one kind"
    if reference.task == "binary" and ((reference.rows.predicted < 0) | (reference.rows.predicted > 1)).any():
        wanted = [name for name in wanted if name == "auc"]
        if not wanted:
            return "scores lie outside 0 to 1: of such answers only the auc can be estimated"
    if np.ptp(reference.rows.predicted) == 0:
        return "the model gave all evaluated rows the same answer"
    methods = [method for method in METHODS if method.fits(reference)]
    tested = backtest(reference, methods, wanted, length)
    if tested is None:
        return "the evaluated rows are of fewer than 3 days: how far an estimate is off cannot be tested"
    return Estimator(reference, wanted, tested, length, least)
