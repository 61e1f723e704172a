"""Differences of metrics: intervals that cover, and noise that reads as noise."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.stats.comparison import Estimate, Reading, difference, differences, percentile

numbers = st.floats(-1e6, 1e6)


@given(st.lists(numbers, min_size=1, max_size=50), st.floats(0, 1))
def test_percentile_is_numpys(values: list[float], share: float) -> None:
    assert percentile(values, share) == pytest.approx(float(np.quantile(values, share)), rel=1e-9, abs=1e-6)


def estimates(rng: random.Random, shift: float) -> tuple[Estimate, Estimate]:
    """The accuracy of two classifiers on the same 400 rows, with 200 paired bootstrap replicates."""
    rows = [(rng.random() < 0.8, rng.random() < 0.8 + shift) for _ in range(400)]
    draws = [[rng.randrange(400) for _ in range(400)] for _ in range(200)]

    def estimate(side: int) -> Estimate:
        hits = [row[side] for row in rows]
        replicates = [sum(hits[i] for i in draw) / 400 for draw in draws]
        value = sum(hits) / 400
        return Estimate(value, percentile(replicates, 0.025), percentile(replicates, 0.975), replicates)

    return estimate(1), estimate(0)


@pytest.mark.slow
@pytest.mark.nightly
def test_no_change_reads_as_noise_in_about_95_percent_of_trials() -> None:
    rng = random.Random(7)
    readings = [difference("accuracy", *estimates(rng, 0.0), better="higher", paired=True).reading for _ in range(200)]
    assert readings.count(Reading.NOISE) >= 180


def test_a_large_change_is_seen() -> None:
    rng = random.Random(7)
    found = difference("accuracy", *estimates(rng, 0.15), better="higher", paired=True)
    assert found.paired
    assert found.reading is Reading.BETTER
    worse = difference("loss", *estimates(rng, 0.15), better="lower", paired=True)
    assert worse.reading is Reading.WORSE


@given(numbers, numbers, st.floats(0, 10), st.floats(0, 10))
def test_unpaired_intervals_hold_the_difference(new: float, old: float, a: float, b: float) -> None:
    found = difference(
        "m", Estimate(new, new - a, new + b), Estimate(old, old - b, old + a), better="higher", paired=True
    )
    assert not found.paired
    assert found.low is not None
    assert found.high is not None
    assert found.low <= new - old <= found.high


def test_without_intervals_nothing_is_read() -> None:
    assert difference("m", Estimate(1), Estimate(0), better="higher", paired=True).reading is Reading.UNKNOWN
    assert difference("m", Estimate(1, 0, 2), Estimate(0, 0, 1), better=None, paired=False).reading is Reading.UNKNOWN


def test_metrics_of_one_side_alone_are_listed_and_the_order_is_the_owners() -> None:
    found = differences(
        {"b": Estimate(1), "a": Estimate(1), "z": Estimate(1)},
        {"old": Estimate(2)},
        better={"z": "higher", "b": "lower"},
        paired=False,
    )
    assert [d.metric for d in found] == ["z", "b", "a", "old"]
    assert all(d.value is None for d in found)
