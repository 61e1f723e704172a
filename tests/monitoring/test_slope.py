"""Answers that are probabilities, held to what the differences between them claim."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from gitml.monitoring.harm.judge import Labelled
from gitml.monitoring.harm.losses import Floats
from gitml.monitoring.harm.slope import CalibrationSlope, SlopePlan, judge_slope, own_spread, with_slope
from gitml.verdict import Phase, Verdict

ROOT = Path(__file__).parents[2]
PLAN = SlopePlan(0.1, rate=0.0033, looks=53, spread=0.3, before=24 * 7)


def answers(slope: float, weeks: int = 24, per_day: int = 200, shared: float = 0.0, seed: int = 0) -> Labelled:
    """Week 24 is the newest. Of the rows of a day ``shared`` more or less are positive, whatever was said of them."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange((24 - weeks) * 7, 24 * 7), per_day)
    predicted = rng.uniform(0.2, 0.6, len(day))
    chance = 0.4 + slope * (predicted - 0.4) + shared * rng.choice([-1.0, 1.0], 24 * 7)[day]
    return Labelled((rng.random(len(day)) < chance).astype(float), predicted, 24 - day // 7, day)


@pytest.mark.parametrize("shared", [0.0, 0.2])
def test_answers_that_tell_less_apart_than_they_say_are_found_whatever_a_day_brings(shared: float) -> None:
    one = judge_slope(answers(0.4, shared=shared), PLAN)
    assert one is not None
    assert one.value == pytest.approx(0.4, abs=0.1)
    assert one.most < 0.9
    verdict = with_slope(Verdict(Phase.INCONCLUSIVE, "too few labels"), one, 0.1)
    assert verdict.phase is Phase.FAILED
    assert "of a difference between answers of a day come true, since 1970-0" in verdict.reason
    assert verdict.reason.endswith("; too few labels")


@pytest.mark.parametrize(("slope", "shared"), [(1.0, 0.15), (0.9, 0.0), (1.5, 0.0)])
def test_days_with_more_labels_than_said_and_timid_answers_are_no_harm(slope: float, shared: float) -> None:
    one = judge_slope(answers(slope, shared=shared), PLAN)
    assert one is not None
    assert one.most >= 0.9
    before = Verdict(Phase.SUCCESSFUL, "as evaluated")
    after = with_slope(before, one, 0.1)
    assert (after.phase, after.reason) == (before.phase, before.reason)
    assert after.measurements["slope"] == one.value


def test_few_days_equal_answers_and_labels_on_their_way_tell_nothing() -> None:
    assert judge_slope(answers(0.0, weeks=2), PLAN) is None
    every = answers(0.0)
    assert judge_slope(replace(every, predicted=np.full(len(every), 0.3)), PLAN) is None
    assert judge_slope(every, replace(PLAN, before=7)) is None
    assert with_slope(Verdict(Phase.SUCCESSFUL, "fine"), None, 0.1) == Verdict(Phase.SUCCESSFUL, "fine")


def test_one_day_with_most_of_the_rows_is_worth_one_day() -> None:
    huge = answers(0.0, weeks=5, per_day=20)
    crowd = replace(huge, day=np.where(np.arange(len(huge)) % 10 < 8, huge.day.max(), huge.day))
    assert judge_slope(crowd, PLAN) is None


def test_weeks_without_a_storm_are_no_proof_that_there_are_none() -> None:
    calm = answers(0.6, weeks=4, per_day=2_000)
    certain, unsure = (judge_slope(calm, replace(PLAN, spread=spread)) for spread in (0.0, 2.0))
    assert isinstance(certain, CalibrationSlope)
    assert isinstance(unsure, CalibrationSlope)
    assert certain.most < 0.9 < unsure.most


def test_an_evaluation_that_contradicts_the_claim_or_is_short_is_not_held_to_it() -> None:
    fine, flat, short = answers(1.0), answers(0.5), answers(1.0, weeks=1)
    assert own_spread(fine.truth, fine.predicted, fine.day, 0.1) == pytest.approx(0.3, abs=0.1)
    assert own_spread(flat.truth, flat.predicted, flat.day, 0.1) is None
    assert own_spread(short.truth, short.predicted, short.day, 0.1) is None
    assert own_spread(fine.truth, fine.predicted, np.zeros(len(fine), np.int64), 0.1) is None


@pytest.fixture(scope="module")
def slopes() -> ModuleType:
    spec = importlib.util.spec_from_file_location("slopes_benchmark", ROOT / "benchmarks/slopes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_simulation_judges_as_a_look_does(slopes: ModuleType) -> None:
    world = "skewed (lognormal)"
    own, live = slopes.drawn(np.random.default_rng(3), slopes.WORLDS[world], 20, 0.3)
    first = slopes.judge_years(own, live, (0.05,), 20)[0]
    assert 0 < (first > 0).sum() < 20
    for year in (int(np.argmax(first)), int(np.argmin(first))):
        assert first[year] == first_of(own[year], live[year])


def first_of(own: Floats, live: Floats) -> int:
    """The first look of a year, from 20 on, that calls harm."""
    before = two_answers(own, 0, len(own))
    spread = own_spread(before.truth, before.predicted, before.day, 0.1)
    for look in range(20, len(live) // 7 + 1) if spread is not None else ():
        labelled = two_answers(live, max(0, (look - 32) * 7), look * 7)
        found = judge_slope(labelled, SlopePlan(0.1, 0.05, 52, spread or 0.0, look * 7))
        if found is not None and found.most < 0.9:
            return look
    return 0


def two_answers(slope: Floats, first: int, last: int) -> Labelled:
    """.4 and .6 on each of these days, with labels that are means and differ by what the day makes of it."""
    day = np.repeat(np.arange(first, last), 2)
    side = np.tile([-0.1, 0.1], last - first)
    return Labelled(0.5 + side * slope[day], 0.5 + side, (last - 1 - day) // 7 + 1, day)
