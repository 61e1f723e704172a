"""Whether answers tell rows of one day apart as well as they say, on requests whose labels have come.

A day of bad weather makes all flights late, whatever was said of each, and hides in every metric what the model itself
is worth. Between the rows of one day it does not: where one answer is .10 above another, .10 more labels are positive,
if the answers are right. So this is a claim of the model, too, and is held against no sample of its evaluation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from gitml.monitoring.harm.judge import Labelled, persistence
from gitml.monitoring.harm.losses import Floats
from gitml.monitoring.promise import WINDOWS
from gitml.verdict import Phase, Verdict

# Quantiles this far out say nothing of fewer days; nor does the spread of fewer evaluated ones.
LEAST_DAYS, LEAST_OWN_DAYS = 20.0, 14.0
MANY_DAYS = 50.0
_CERTAIN = 1.96
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class DayAnswers:
    """Of each day: the sums, over its rows, of the answer less the day's mean answer, times the label (``came``) or the
    answer itself (``said``)."""

    came: Floats
    said: Floats

    @property
    def slope(self) -> float:
        """By how much labels differ where answers differ by 1."""
        return float(self.came.sum() / self.said.sum())

    @property
    def days(self) -> float:
        """How many days of the same weight they are worth."""
        return float(self.said.sum() ** 2 / (self.said @ self.said))

    @property
    def apart(self) -> Floats:
        """Of each day, what the slope of all does not explain."""
        return self.came - self.slope * self.said

    @property
    def error(self) -> float:
        """The standard error of the slope, days being drawn: that of a ratio of two means (W. G. Cochran, "Sampling
        Techniques", 1977, 6.3)."""
        count = len(self.came)
        return math.sqrt(count / (count - 1) * float(self.apart @ self.apart)) / float(self.said.sum())

    @property
    def spread(self) -> float:
        """The standard error of the slope of one day: how far days differ."""
        return self.error * math.sqrt(self.days)


@dataclass(frozen=True)
class SlopePlan:
    """``tolerance``: how much less than 1 the slope may be. ``rate``: the probability of a false alarm in a year of
    ``looks`` looks. ``spread``: the standard error of the slope of one evaluated day. ``before``: the first day whose
    labels are not all there."""

    tolerance: float
    rate: float
    looks: int
    spread: float
    before: int


@dataclass(frozen=True)
class CalibrationSlope:
    """Of the days from ``since`` (a number of a day since 1970) on. ``most``: what the slope is at the most, given the
    promise."""

    value: float
    most: float
    since: int
    days: int
    window: int

    def __str__(self) -> str:
        day = f"{_EPOCH + timedelta(days=self.since):%Y-%m-%d}"
        worth = f"{self.value:.0%} of a difference between answers of a day come true"
        return f"{worth}, since {day}"


def day_answers(truth: Floats, predicted: Floats, day: NDArray[np.int64]) -> DayAnswers | None:
    """None where no day has two different answers.

    >>> made = day_answers(np.array([0.0, 1, 0, 0]), np.array([0.2, 0.4, 0.1, 0.1]), np.array([1, 1, 2, 2]))
    >>> round(made.slope, 3), made.came.round(3).tolist(), made.said.round(3).tolist()
    (5.0, [0.1], [0.02])
    """
    _, places, rows = np.unique(day, return_inverse=True, return_counts=True)
    apart = predicted - (np.bincount(places, predicted) / rows)[places]
    came, said = (np.bincount(places, times).astype(np.float64) for times in (apart * truth, apart**2))
    some = said > 1e-12 * rows
    return DayAnswers(came[some], said[some]) if some.any() else None


def own_spread(truth: Floats, predicted: Floats, day: NDArray[np.int64], tolerance: float) -> float | None:
    """The ``spread`` of a plan. None where the evaluation has too few days, or rules out, at 95 %, that the answers
    tell rows apart as well as they say: what was not so when it was approved is not held to it later."""
    found = day_answers(truth, predicted, day)
    if found is None or found.days < LEAST_OWN_DAYS or found.slope + _CERTAIN * found.error < 1 - tolerance:
        return None
    return found.spread


def judge_slope(labelled: Labelled, plan: SlopePlan) -> CalibrationSlope | None:
    """The worst of the last 4, 8, 16 and 32 looks, or of fewer that have days enough; None where none has.

    The slope is that of D. R. Cox, "Two further applications of a model for binary regression", Biometrika 45, 1958,
    of chances in place of their logits, with a level of its own for each day. Its error is that of days, stretched for
    days that are like the one before, and never less than what days of the evaluation, or of the longest window, differ
    by: weeks without a storm are no proof that there are none. The levels add up over the windows and looks of a year.
    How often that is wrong where answers come true is simulated (``benchmarks/slopes.py``).
    """
    parts = [part for window in WINDOWS if (part := _of_window(labelled, plan, window))]
    return min((_judged(part, parts, plan) for part in parts), key=lambda one: (one.most, one.value), default=None)


@dataclass(frozen=True)
class _Part:
    """The days of one window, and the number of its looks."""

    window: int
    answers: DayAnswers
    day: NDArray[np.int64]


def _of_window(labelled: Labelled, plan: SlopePlan, window: int) -> _Part | None:
    """None where it has too few days, or begins no earlier than a shorter one."""
    inside = (labelled.look <= window) & (labelled.day < plan.before)
    if not inside.any() or (window > 1 and not (inside & (labelled.look > _shorter(window))).any()):
        return None
    day = labelled.day[inside]
    found = day_answers(labelled.truth[inside], labelled.predicted[inside], day)
    return _Part(window, found, day) if found is not None and found.days >= LEAST_DAYS else None


def _shorter(window: int) -> int:
    return max(size for size in WINDOWS if size < window)


def _judged(part: _Part, parts: Sequence[_Part], plan: SlopePlan) -> CalibrationSlope:
    found = part.answers
    longest = parts[-1].answers
    # Few days hide how alike neighbours are: then the longest window tells more of it.
    told = (found,) if found.days >= MANY_DAYS else (found, longest)
    alike = max(persistence(one.apart) for one in told)
    # Where days are skewed, those that lack the rare large ones have a low mean and seem to differ little.
    spread = max(found.spread, longest.spread, plan.spread)
    error = math.sqrt((1 + alike) / (1 - alike)) * spread / math.sqrt(found.days)
    level = plan.rate * WINDOWS[part.window] / plan.looks
    most = found.slope + float(-stdtrit(found.days - 1, level)) * error
    return CalibrationSlope(found.slope, most, int(part.day.min()), len(np.unique(part.day)), part.window)


def with_slope(harm: Verdict, found: CalibrationSlope | None, tolerance: float) -> Verdict:
    """The verdict of harm with what differences between answers are worth."""
    if found is None:
        return harm
    told: Mapping[str, object] = {
        "slope": found.value, "slope_at_most": found.most, "slope_at_least": 1 - tolerance, "slope_days": found.days,
    }  # fmt: skip
    measured = {**harm.measurements, **told}
    if found.most >= 1 - tolerance:
        return Verdict(harm.phase, harm.reason, measured)
    return Verdict(Phase.FAILED, f"{found}, certainly less than {found.most:.0%}; {harm.reason}", measured)
