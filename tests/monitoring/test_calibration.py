"""Answers that are probabilities, held to what they claim."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gitml.monitoring.harm.calibration import (
    Calibration,
    CalibrationPlan,
    bears_out,
    is_judged,
    judge_calibration,
    with_calibration,
)
from gitml.monitoring.harm.judge import Labelled
from gitml.verdict import Phase, Verdict

PLAN = CalibrationPlan(0.01, rate=0.005, looks=53, promotions=12, newest=24, whole=True, before=24 * 7)


def answers(
    off: float, weeks: int = 24, per_day: int = 50, spread: float = 0.05, seed: int = 0, alike: float = 0.0
) -> Labelled:
    """Answers of .22 on average; the labels of a day share a bias of ``off`` ± ``spread``, which is ``alike`` that of
    the day before. Week 24 is the newest."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange((24 - weeks) * 7, 24 * 7), per_day)
    predicted = rng.uniform(0.1, 0.34, len(day))
    shared = rng.normal(size=24 * 7)
    for place in range(1, len(shared)):
        shared[place] = alike * shared[place - 1] + np.sqrt(1 - alike**2) * shared[place]
    chance = predicted + off + spread * shared[day]
    truth = (rng.random(len(day)) < np.clip(chance, 0, 1)).astype(float)
    return Labelled(truth, predicted, 24 - day // 7, day)


def until(every: Labelled, newest: int) -> Labelled:
    """As it was known after that week."""
    past = every.day < newest * 7
    return Labelled(every.truth[past], every.predicted[past], newest - every.day[past] // 7, every.day[past])


def plan_of(newest: int, rate: float = PLAN.rate) -> CalibrationPlan:
    return replace(PLAN, newest=newest, before=newest * 7, rate=rate)


def found(labelled: Labelled, plan: CalibrationPlan = PLAN) -> Calibration:
    one = judge_calibration(labelled, plan)
    assert one is not None
    return one


@pytest.mark.parametrize("off", [0.08, -0.08])
def test_answers_that_are_off_either_way_are_found(off: float) -> None:
    one = found(answers(off))
    assert 0.01 < one.surely < 0.08
    assert one.came - one.said == pytest.approx(off, abs=0.02)
    verdict = with_calibration(Verdict(Phase.SUCCESSFUL, "as evaluated"), one, 0.01)
    assert verdict.phase is Phase.FAILED
    assert "certainly off by 0.0" in verdict.reason
    assert "of the labels are positive where the answers said 0.22" in verdict.reason
    assert verdict.reason.endswith("as evaluated")


def test_answers_that_come_true_stay_as_the_metric_says() -> None:
    one = found(answers(0.0))
    assert one.surely == 0
    verdict = with_calibration(Verdict(Phase.INCONCLUSIVE, "too few labels", {"auc": 0.7}), one, 0.01)
    assert (verdict.phase, verdict.reason) == (Phase.INCONCLUSIVE, "too few labels")
    assert verdict.measurements["auc"] == 0.7
    assert verdict.measurements["apart_surely"] == 0


def test_looking_every_week_for_years_calls_nothing_off() -> None:
    for seed in range(10):
        every = answers(0.0, seed=seed)
        for newest in range(1, 25):
            assert found(until(every, newest), plan_of(newest)).surely <= 0.01


def test_days_that_are_like_the_one_before_call_nothing_off() -> None:
    used = naive = 0
    for seed in range(40):
        every = answers(0.0, per_day=150, spread=0.09, seed=seed, alike=0.8)
        looks = [found(until(every, newest), plan_of(newest, rate=0.2)) for newest in (8, 16, 24)]
        used += any(one.surely > 0.01 for one in looks)
        naive += any(one.unless_alike > 0.01 for one in looks)
    assert used <= 2
    assert naive >= 6


def test_what_days_that_are_alike_cannot_prove_is_said_and_passes_nothing() -> None:
    one = found(answers(0.04, per_day=200, spread=0.09, alike=0.7))
    assert one.surely <= 0.01 < one.unless_alike
    verdict = with_calibration(Verdict(Phase.SUCCESSFUL, "as evaluated"), one, 0.01)
    assert verdict.phase is Phase.INCONCLUSIVE
    assert verdict.reason.startswith("as evaluated; 0.")
    assert "not certain: neighbouring days are alike by 0." in verdict.reason


def test_one_bad_day_proves_nothing() -> None:
    some = answers(0.0)
    some.truth[some.day == 100] = 1.0
    assert found(some).surely <= 0.01


def test_days_whose_labels_are_not_all_there_do_not_count() -> None:
    some = answers(0.0)
    some.truth[some.day >= 100] = 1.0  # positive labels come first
    assert found(some).surely > 0.01
    assert found(some, replace(PLAN, before=100)).surely <= 0.01
    assert judge_calibration(some, replace(PLAN, before=0)) is None


def test_sequences_begin_where_it_was_fixed_beforehand() -> None:
    late = answers(0.1, weeks=9)
    assert found(late).since == 15 * 7
    # Where the rows before are gone it is not known when the version began: look 16 begins a sequence for all.
    assert found(late, replace(PLAN, whole=False, newest=23)).since == 16 * 7


def test_what_is_no_probability_is_not_judged() -> None:
    some = answers(0.0)
    assert is_judged(some)
    assert not is_judged(Labelled(some.truth, some.truth, some.look, some.day))
    assert not is_judged(Labelled(some.truth, some.predicted * 9, some.look, some.day))
    assert not is_judged(Labelled(some.predicted, some.predicted, some.look, some.day))
    assert not is_judged(answers(0.0, weeks=0))


def test_what_was_off_when_it_was_evaluated_is_not_held_to_it() -> None:
    fair, weighted = answers(0.0), answers(-0.15)
    assert bears_out(fair.truth, fair.predicted, fair.day, 0.01)
    assert not bears_out(weighted.truth, weighted.predicted, weighted.day, 0.01)
    few = np.arange(100)
    assert bears_out(fair.truth[few], fair.predicted[few], fair.day[few], 0.01)
