"""Rates, against the unit tests of confseq (test/uniform_boundaries_unittest.cpp) and by exact expectations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import binom

from gitml.stats.asymptoticcs import Side
from gitml.stats.betabinomial import difference, interval, log_evalue

# confseq gives s = 10 at v = 100, tuned at v = 100, with g = 0.2 and h = 0.8: a rate of 0.2 with n·g·h = v.
RATE, TRIALS = 0.2, 100 / (0.2 * 0.8)


def test_evidence_as_confseq() -> None:
    successes = TRIALS * RATE + 10
    both, low = (float(log_evalue(successes, TRIALS, RATE, side=s, tuned=TRIALS)) for s in _sides("both", "low"))
    assert (both, low) == pytest.approx((-0.6941012, -0.07134019), abs=1e-5)


@pytest.mark.parametrize(("side", "bound"), [("both", 31.4308), ("low", 28.41238)])
def test_bounds_as_confseq(side: Side, bound: float) -> None:
    found = float(log_evalue(TRIALS * RATE + bound, TRIALS, RATE, side=side, tuned=TRIALS))
    assert found == pytest.approx(math.log(20), abs=1e-4)


@pytest.mark.parametrize(
    ("successes", "trials", "tuned", "low", "high"),
    [
        (700, 1000, 100, 0.651629, 0.745949),
        (15, 50, 50, 0.129556, 0.511896),
        (5, 50, 50, 0.013021, 0.269264),
        (1, 50, 50, 0.0, 0.13489),
        (1, 2, 50, 0.0, 1.0),
        (100, 200, 1, 0.328923, 0.671076),
        (0, 1, 50, 0.0, 1.0),
        (1, 1, 50, 0.0, 1.0),
    ],
)
def test_intervals_as_confseq(successes: int, trials: int, tuned: float, low: float, high: float) -> None:
    found = interval(successes, trials, 0.05, tuned=tuned)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-5)


@given(st.integers(1, 300), st.floats(0.001, 0.999), st.floats(2, 1e5), st.sampled_from(["both", "low", "high"]))
def test_the_expected_evidence_against_the_truth_is_one_at_most(n: int, rate: float, tuned: float, side: Side) -> None:
    k = np.arange(n + 1)
    evidence = log_evalue(k, n, rate, side=side, tuned=tuned)
    assert float(logsumexp(evidence + binom.logpmf(k, n, rate))) == pytest.approx(0, abs=1e-6)
    other = max(rate - 0.1, rate / 2) if side == "low" else min(rate + 0.1, (1 + rate) / 2)
    if side != "both":
        assert float(logsumexp(evidence + binom.logpmf(k, n, other))) <= 1e-9


@settings(max_examples=30)
@given(st.integers(0, 5_000), st.integers(1, 5_000), st.floats(1e-4, 0.3))
def test_intervals_hold_what_was_seen_and_one_end_is_nearer_than_two(k: int, more: int, level: float) -> None:
    n = k + more
    both, low, high = (interval(k, n, level, side=side) for side in _sides("both", "low", "high"))
    assert 0 <= both.low <= k / n <= both.high <= 1
    if min(k, more) >= 50:
        assert both.low < low.low
        assert both.high > high.high
    assert (low.high, high.low) == (1, 0)
    mirrored = interval(n - k, n, level)
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((both.low, both.high))


def test_no_trial_says_nothing_and_nonsense_is_refused() -> None:
    assert (interval(0, 0, 0.05).low, interval(0, 0, 0.05).high) == (0, 1)
    for successes, trials in ((2, 1), (-1, 5), (1, math.nan), (math.nan, 3), (1, math.inf)):
        with pytest.raises(ValueError, match="trials"):
            interval(successes, trials, 0.05)


def test_a_difference_of_two_rates_is_two_intervals() -> None:
    found = difference((50, 1_000), (80, 1_000), 0.05)
    assert found.low < 0.03 < found.high
    low = interval(80, 1_000, 0.0125, side="low").low - interval(50, 1_000, 0.0125, side="high").high
    assert found.low == pytest.approx(low)


def _sides(*sides: Side) -> tuple[Side, ...]:
    return sides
