"""Ratios of rare events."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import binom

from gitml.stats.asymptoticcs import Side
from gitml.stats.eventcounts import EventCounts, interval, log_evalue


@settings(max_examples=25)
@given(st.integers(1, 60), st.floats(0.01, 100), st.floats(0.2, 5), st.sampled_from(["low", "high", "both"]))
def test_the_expected_evidence_against_the_truth_is_one(events: int, odds: float, ratio: float, side: Side) -> None:
    """Given so many events, the candidate's are binomial."""
    k = np.arange(events + 1)
    evidence = [log_evalue(EventCounts(events - i, i, 1.0, odds), ratio, side=side) for i in k.tolist()]
    share = odds * ratio / (1 + odds * ratio)
    assert float(logsumexp(evidence + binom.logpmf(k, events, share))) == pytest.approx(0, abs=1e-6)


def test_it_works_from_zero() -> None:
    assert log_evalue(EventCounts(0, 0, 5_000, 5_000)) == pytest.approx(0)
    assert (interval(EventCounts(0, 0, 5, 5), 0.05).low, interval(EventCounts(0, 0, 5, 5), 0.05).high) == (0, math.inf)
    assert interval(EventCounts(0, 8, 5_000, 5_000), 0.05, side="low").low > 1
    assert interval(EventCounts(8, 0, 5_000, 5_000), 0.05, side="high").high < 1
    # Eight events where a hundredth of the traffic went are far more than eight where half of it went.
    assert interval(EventCounts(0, 8, 9_900, 100), 0.05, side="low").low > 40


def test_a_bad_week_with_more_of_the_traffic_is_no_difference() -> None:
    """Simpson: 1 in 1,000 in a quiet week at 1 %, 1 in 50 in a bad one at 50 %."""
    counts = EventCounts([99, 1_000], [1, 1_000], [99_000, 50_000], [1_000, 50_000])
    together = EventCounts(1_099, 1_001, 149_000, 51_000)
    assert log_evalue(counts) < 0
    assert interval(together, 0.05).low > 2
    found = interval(counts, 0.05)
    assert found.low < 1 < found.high


def test_an_epoch_without_one_arm_says_nothing() -> None:
    both = EventCounts([3, 50], [9, 0], [900, 4_000], [900, 0])
    assert log_evalue(both) == log_evalue(EventCounts(3, 9, 900, 900))


@settings(max_examples=25)
@given(st.integers(0, 200), st.integers(0, 200), st.floats(0.01, 100))
def test_the_sides_mirror_each_other(lost: int, won: int, odds: float) -> None:
    found = interval(EventCounts(lost, won, 1.0, odds), 0.05)
    other = interval(EventCounts(won, lost, odds, 1.0), 0.05)
    if found.low > 0:
        assert other.high == pytest.approx(1 / found.low, rel=1e-6)
    if lost and won:
        assert found.low <= won / lost / odds * (1 + 1e-9)
        assert found.high >= won / lost / odds * (1 - 1e-9)


def test_nonsense_is_refused() -> None:
    for counts in (EventCounts(-1, 0, 1, 1), EventCounts(0, 0, -1, 1), EventCounts(math.nan, 0, 1, 1)):
        with pytest.raises(ValueError, match=r"negative|finite"):
            log_evalue(counts)
    with pytest.raises(ValueError, match="a ratio of 0 is none"):
        log_evalue(EventCounts(0, 0, 1, 1), 0)
