"""Days as draws: a candidate that gains on some days and loses on others is not promoted because of its rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from gitml.rollout.holding import DifferenceGoal, held
from gitml.rollout.observed import Observed, TimedInfluence
from gitml.rollout.primary import Enough, judged
from gitml.rollout.trial import TrialRules
from gitml.stats.influence import mean
from gitml.verdict import Phase

DAY = 86_400_000_000
ASKED = DifferenceGoal(higher=False, margin=0.2, passing=0.05, failing=0.05)
END = datetime(2026, 3, 30, tzinfo=UTC)


def flights(seed: int, days: int, *, gain: float = 0.0, apart: float = 1.0, paired: bool = False) -> Observed:
    """300 flights a day, whose costs the candidate changes by the same on all flights of a day: ``gain`` less on
    average, ``apart`` from that by days."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), 300)
    cost = 10 + 2 * rng.normal(size=days)[day] + 5 * rng.normal(size=len(day))
    new = cost - gain + apart * rng.normal(size=days)[day] + 0.5 * rng.normal(size=len(day))
    unit, known = np.arange(len(day)), day * DAY
    lot = rng.random(len(day)) < 0.5
    sides = [(cost, slice(None)), (new, slice(None))] if paired else [(cost, ~lot), (new, lot)]
    old, other = (TimedInfluence(mean(unit[rows], of[rows]), known[rows]) for of, rows in sides)
    return Observed(((old, other),), paired, by_day=True)


@pytest.mark.parametrize("paired", [True, False])
def test_it_is_as_wide_as_days_are_apart(paired: bool) -> None:
    observed = flights(1, 14, gain=3.0, paired=paired)
    by_day, by_unit = (held(replace(observed, by_day=on), ASKED) for on in (True, False))
    assert by_day.low is not None
    assert by_day.high is not None
    assert by_unit.low is not None
    assert by_unit.high is not None
    assert by_day.low < by_unit.low < by_unit.high < by_day.high
    assert by_day.phase is Phase.SUCCESSFUL
    few = held(flights(1, 4, gain=3.0, paired=paired), ASKED)
    assert (few.phase, few.why) == (Phase.INCONCLUSIVE, "its days count as one draw each: 4 of 5 are there")


def test_the_report_says_by_how_many_days_or_that_they_should_be_asked_for() -> None:
    def told(*, by_day: bool, apart: float) -> str:
        observed = replace(flights(2, 14, gain=3.0, apart=apart), by_day=by_day)
        found = judged("primary", "cost", observed, ASKED, (14.0, END), Enough((999, 999), 20))
        assert len(found.series) > 5
        assert found.series[0].low is None or found.series[0].low <= (found.part.low or 0)
        return found.part.reason

    assert told(by_day=True, apart=1.0).endswith("shown to be at most 0.2 worse, by 14 days")
    assert "Rows of a day are alike: by days its error is" in told(by_day=False, apart=3.0)
    assert "alike" not in told(by_day=False, apart=0.0)


def test_what_is_still_needed_counts_days() -> None:
    found = judged("primary", "cost", flights(3, 8, gain=1.0), ASKED, (8.0, END), Enough((999, 999), 20)).part
    assert found.phase is Phase.INCONCLUSIVE
    assert found.needed is not None
    assert found.needed.days is not None
    assert found.needed.days >= 1


def test_rules_without_it_keep_their_digest() -> None:
    assert TrialRules().digest == "9f6f2aa6eea97d9e5787aca0c7b0f9e37a9c5e74cf0e49c084efe0e2bc09ddcc"
    assert TrialRules(clusters="day").digest != TrialRules().digest


@pytest.mark.nightly
@pytest.mark.parametrize("paired", [True, False])
def test_no_better_over_days_it_is_seldom_promoted(paired: bool) -> None:
    """Exactly at the margin, at 10 looks in 28 days: by units alone several times as often as promised."""
    wrong = {True: 0, False: 0}
    for seed in range(100):
        whole = flights(seed, 28, gain=-0.2, paired=paired)
        for on in wrong:
            looks = (_until(replace(whole, by_day=on), day) for day in range(6, 29, 2))
            wrong[on] += any(held(look, ASKED).phase is Phase.SUCCESSFUL for look in looks)
    assert wrong[True] <= 100 * 0.05 + 4
    assert wrong[False] > 100 * 0.1


def _until(observed: Observed, day: int) -> Observed:
    """What was known of it then."""
    ((old, new),) = observed.strata
    pair = []
    for arm in (old, new):
        seen, told = arm.known < day * DAY, arm.influence
        costs = told.rows[seen] * told.count + told.value
        pair.append(TimedInfluence(mean(told.unit[seen], costs), arm.known[seen]))
    return replace(observed, strata=((pair[0], pair[1]),))
