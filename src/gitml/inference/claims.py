"""What answers that are probabilities claim, as far as the version's evaluation bears it out: harm holds them to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gitml.monitoring.harm.calibration import CalibrationPlan, bears_out, judge_calibration, with_calibration
from gitml.monitoring.harm.judge import Labelled
from gitml.monitoring.harm.slope import SlopePlan, judge_slope, own_spread, with_slope
from gitml.spec.monitors import MonitorSpec
from gitml.verdict import Verdict

if TYPE_CHECKING:
    from gitml.monitoring.estimates.rows import Evaluated

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Claims:
    """``level``: as many labels are positive as the answers say. ``spread``: differences between answers are worth what
    they say, and evaluated days differ by so much (as in ``SlopePlan``); None where that is not claimed."""

    level: bool = False
    spread: float | None = None

    @property
    def count(self) -> int:
        return self.level + (self.spread is not None)


@dataclass(frozen=True)
class ClaimsLook:
    """A look at labels of windows that end at ``until``, all of which older than ``matured`` have come. ``rate``: the
    probability of a false alarm a year that each claim may use; ``promotions`` of a year share it. ``whole``: whether
    the windows go back to the first that the version answered."""

    until: datetime
    matured: datetime
    rate: float
    promotions: int
    whole: bool

    @property
    def before(self) -> int:
        """The first day since 1970 whose labels are not all there."""
        return (min(self.until, self.matured) - _EPOCH).days


def claims_of(evaluated: Evaluated, spec: MonitorSpec) -> Claims:
    """What gitml.yaml has not turned off, and the evaluated rows leave possible."""
    if evaluated.task != "binary":
        return Claims()
    harm, told = spec.harm, (evaluated.truth, evaluated.rows.predicted, evaluated.rows.day)
    level = harm.calibration < 1 and bears_out(*told, harm.calibration)
    return Claims(level, own_spread(*told, harm.slope) if harm.slope < 1 else None)


def held_to(harm: Verdict, claims: Claims, labels: Labelled, spec: MonitorSpec, look: ClaimsLook) -> Verdict:
    """The verdict of harm with what came of the claims."""
    if claims.level:
        newest = (look.until - _EPOCH) // spec.window
        plan = CalibrationPlan(
            spec.harm.calibration, look.rate, spec.looks_a_year, look.promotions, newest, look.whole, look.before
        )
        harm = with_calibration(harm, judge_calibration(labels, plan), spec.harm.calibration)
    if claims.spread is not None:
        slope = SlopePlan(spec.harm.slope, look.rate, spec.looks_a_year, claims.spread, look.before)
        harm = with_slope(harm, judge_slope(labels, slope), spec.harm.slope)
    return harm
