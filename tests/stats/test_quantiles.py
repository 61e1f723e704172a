"""Quantiles, by the bounds of confseq's unit tests and as in its demo/quantiles.py."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.stats.quantiles import difference, interval


def test_places_as_confseq() -> None:
    """With g = 0.2 and h = 0.8 the bounds at v = 100 are 31.4308 (two sides) and 28.41238 (one)."""
    values = np.arange(1, 626)
    assert interval(values, 0.2, 0.05, tuned=625).high == math.ceil(125 + 31.4308)
    assert interval(values, 0.2, 0.05, side="high", tuned=625).high == math.ceil(125 + 28.41238)
    assert interval(values, 0.8, 0.05, tuned=625).low == math.floor(500 - 31.4308 + 1)
    assert interval(values, 0.8, 0.05, side="low", tuned=625).low == math.floor(500 - 28.41238 + 1)


def test_too_few_values_leave_an_end_open() -> None:
    found = interval(range(100), 0.99, 0.05)
    assert found.high == math.inf
    assert 0 < found.low < 99
    assert (interval([], 0.5, 0.05).low, interval([5.0], 0.5, 0.05).high) == (-math.inf, math.inf)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=400), st.floats(0.01, 0.99))
def test_order_does_not_matter_and_the_sample_quantile_is_inside(values: list[float], share: float) -> None:
    found = interval(values, share, 0.05, tuned=100)
    assert found == interval(values[::-1], share, 0.05, tuned=100)
    assert found.low <= np.quantile(values, share, method="inverted_cdf") <= found.high
    mirrored = interval([-v for v in values], 1 - share, 0.05, tuned=100)
    assert mirrored.low <= -np.quantile(values, share, method="higher") <= mirrored.high


def test_equal_values_and_a_slower_candidate() -> None:
    same = interval(np.full(5_000, 7.5), 0.9, 0.05)
    assert (same.low, same.high) == (7.5, 7.5)
    rng = np.random.default_rng(6)
    old, new = rng.exponential(10, 20_000), rng.exponential(14, 20_000)
    found = difference(old, new, 0.99, 0.05)
    assert 0 < found.low < (14 - 10) * math.log(100) < found.high


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="a quantile at 1 is none"):
        interval([1.0], 1, 0.05)
    with pytest.raises(ValueError, match="finite"):
        interval([math.nan], 0.5, 0.05)
