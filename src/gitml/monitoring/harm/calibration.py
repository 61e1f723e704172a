"""Whether answers that are probabilities come true as often as they say, on requests whose labels have come.

A metric has to be held against that of the evaluation, which is a sample of its own: three weeks whose days differ
leave so wide an interval that a model may decay for months inside it. That 24 of 100 such flights will be late is a
claim of the model itself, and needs no sample to be held against.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from gitml.monitoring.harm.judge import Labelled, jackknife, neighbours
from gitml.monitoring.harm.losses import Floats
from gitml.verdict import Phase, Verdict

# A new sequence of bets begins every so many looks, and with each version.
_EVERY = 8
# No bet risks more than this part of what a day could take.
MOST_BET = 0.75
_LEAST_CLUSTERS = 5
# Before anything is known, days are taken to differ as samples of so many independent rows.
DAY_ROWS = 8
_STEPS = 30
# A few days that rise or fall by chance shall not silence a sequence for good.
MOST_ALIKE = 0.9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class CalibrationPlan:
    """``tolerance``: how far the share of positive labels may be from the mean of the answers. ``rate``: the
    probability of a false alarm in a year of ``looks`` looks and ``promotions`` new versions.

    ``newest``: the number of the newest look, counted from any fixed moment. ``whole``: whether the rows go back to the
    first that the version answered. ``before``: the first day whose labels are not all there.
    """

    tolerance: float
    rate: float
    looks: int
    promotions: int
    newest: int
    whole: bool
    before: int

    @property
    def level(self) -> float:
        """Of one sequence of bets on one side.

        >>> plan = CalibrationPlan(0.01, rate=0.005, looks=53, promotions=12, newest=0, whole=True, before=0)
        >>> f"{plan.level:.2g}"
        '0.00013'
        """
        return self.rate / (self.looks / _EVERY + self.promotions) / 2


@dataclass(frozen=True)
class Calibration:
    """Of the days from ``since`` (a number of a day since 1970) on: the mean answer, the share of positive labels, and
    by how much at the least they are apart, 0 where that is not certain. ``alike``: the correlation of neighbouring
    days; ``unless_alike``: by how much they would surely be apart if it were 0."""

    said: float
    came: float
    since: int
    days: int
    labels: int
    surely: float
    unless_alike: float
    alike: float

    def __str__(self) -> str:
        day = f"{_EPOCH + timedelta(days=self.since):%Y-%m-%d}"
        return f"{self.came:.3g} of the labels are positive where the answers said {self.said:.3g}, since {day}"


def is_judged(labelled: Labelled) -> bool:
    """Whether the answers can be probabilities of one of two classes."""
    truth, predicted = labelled.truth, labelled.predicted
    if not len(truth) or not np.isin(truth, (0.0, 1.0)).all():
        return False
    inside = (predicted >= 0) & (predicted <= 1)
    return bool(inside.all()) and not np.isin(predicted, (0.0, 1.0)).all()


def bears_out(truth: Floats, predicted: Floats, day: NDArray[np.int64], tolerance: float) -> bool:
    """Whether the evaluation leaves it possible that the answers are right to within the tolerance, at 95 %.

    What was not calibrated when it was approved, as a model of weighted classes is not, is not held to it later.

    >>> rng = np.random.default_rng(0)
    >>> p, day = rng.random(2_000), np.arange(2_000) // 100
    >>> truth = (rng.random(2_000) < p).astype(float)
    >>> bears_out(truth, p, day, 0.01), bears_out(truth, p**2, day, 0.01)
    (True, False)
    """
    different, places = np.unique(day, return_inverse=True)
    clusters = places if len(different) >= _LEAST_CLUSTERS else np.arange(len(truth))
    value, error, _ = jackknife(_apart, truth, predicted, clusters)
    return abs(value) - 1.96 * error <= tolerance


def _apart(truth: Floats, predicted: Floats, weight: Floats) -> float:
    return float(weight @ (truth - predicted) / weight.sum())


def judge_calibration(labelled: Labelled, plan: CalibrationPlan) -> Calibration | None:
    """The sequence with the largest certain distance; None where no day is complete.

    A day is one draw, for its rows share its weather: the share of positive labels less the mean of the answers. A
    gambler who knows only the days before bets that it lies above the tolerance. Under the claim nobody can expect to
    win, so that his stake ever grows 1/α times has a probability of α at most (Ville), whenever and however often one
    looks, for few days and long tails too: the sequential test of A. Podkopaev and A. Ramdas, "Tracking the risk of a
    deployed model and detecting harmful distribution shifts", ICLR 2022, with the bets (aGRAPA) of I. Waudby-Smith and
    A. Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86, 2024.
    """
    found = [_sequence(labelled, first, plan) for first in _starts(labelled, plan)]
    certain = [one for one in found if one is not None]
    return max(certain, key=lambda one: (one.surely, one.unless_alike, one.days), default=None)


def _starts(labelled: Labelled, plan: CalibrationPlan) -> Iterator[int]:
    """Numbers of looks at which sequences begin. They are fixed beforehand: one that begins where it looks bad has no
    promise."""
    oldest = plan.newest - int(labelled.look.max(initial=1)) + 1
    if plan.whole:
        yield oldest
    yield from (n for n in range(oldest, plan.newest + 1) if n % _EVERY == 0)


def _sequence(labelled: Labelled, first: int, plan: CalibrationPlan) -> Calibration | None:
    inside = (plan.newest - labelled.look + 1 >= first) & (labelled.day < plan.before)
    days, places, labels = np.unique(labelled.day[inside], return_inverse=True, return_counts=True)
    if not len(days):
        return None
    came = np.bincount(places, labelled.truth[inside]) / labels
    said = np.bincount(places, labelled.predicted[inside]) / labels
    alike = likeness(came - said)
    surely, unless_alike = (
        max(surely_above(came, said, needed), surely_above(1 - came, 1 - said, needed))
        for needed in (stretch(alike) * -math.log(plan.level), -math.log(plan.level))
    )
    return Calibration(
        float(said.mean()), float(came.mean()), int(days[0]), len(days), int(labels.sum()), surely, unless_alike, alike
    )


def surely_above(came: Floats, said: Floats, needed: float) -> float:
    """The largest difference of the two that the days rule out by a stake whose logarithm is ``needed``; 0 for none.

    >>> said = np.full(200, 0.2)
    >>> came = said + 0.1 + 0.05 * np.tile([1.0, -1.0], 100)
    >>> 0.05 < surely_above(came, said, 7.0) < 0.1
    True
    >>> surely_above(said, came, 7.0)
    0.0
    """
    if won(came, said, 0.0) < needed:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if won(came, said, middle) >= needed else (low, middle)
    return low


def likeness(gains: Floats) -> float:
    """The correlation of neighbouring days, from 0 to .9."""
    return min(MOST_ALIKE, max(0.0, neighbours(gains)))


def stretch(alike: float) -> float:
    """By how much more a mean of days varies that are alike, than one of days that are drawn anew.

    Where yesterday tells of today the claim does not hold day by day, and the stake grows 1/α times with a probability
    of about α to the power of one over this number (the diffusion of a random walk). So it has to grow to this power
    of 1/α. Where the claim does hold day by day it has grown 1/α times on its way: what was exact stays exact.

    >>> round(stretch(0.0), 3), round(stretch(0.5), 3)
    (1.0, 3.0)
    """
    return (1 + alike) / (1 - alike)


def won(came: Floats, said: Floats, tolerance: float) -> float:
    """The logarithm of the gambler's stake after all days, who bets that more comes than is said."""
    stake, total, squares = 0.0, 0.0, float(said[0] * (1 - said[0])) / DAY_ROWS
    for count, (share, answer) in enumerate(zip(came.tolist(), said.tolist(), strict=True), 1):
        gain, mean, variance = share - answer - tolerance, total / count, squares / count
        bet = max(0.0, mean / (variance + mean**2)) if variance + mean**2 > 0 else 0.0
        stake += math.log1p(min(bet, MOST_BET / (answer + tolerance)) * gain) if answer + tolerance > 0 else 0.0
        total += gain
        squares += (gain - total / (count + 1)) ** 2
    return stake


def with_calibration(harm: Verdict, found: Calibration | None, tolerance: float) -> Verdict:
    """The verdict of harm with what the answers claim."""
    if found is None:
        return harm
    told: Mapping[str, object] = {
        "said": found.said, "came": found.came, "apart_surely": found.surely, "apart_by": tolerance,
        "calibration_days": found.days, "days_alike": found.alike,
    }  # fmt: skip
    measured = {**harm.measurements, **told}
    if found.surely <= tolerance and found.unless_alike > tolerance:
        unsure = f"{harm.reason}; {found}, which is not certain: neighbouring days are alike by {found.alike:.2f}"
        return Verdict(Phase.INCONCLUSIVE if harm.phase is Phase.SUCCESSFUL else harm.phase, unsure, measured)
    if found.surely <= tolerance:
        return Verdict(harm.phase, harm.reason, measured)
    off = f"{found}, certainly off by {found.surely:.2g} at the least"
    return Verdict(Phase.FAILED, f"{off}; {harm.reason}", measured)
