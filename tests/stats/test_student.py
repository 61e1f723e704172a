"""Quantiles of Student's t, against scipy's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, t

from gitml.stats.student import quantile


@given(st.floats(0.51, 0.99999), st.integers(1, 1000))
def test_quantiles_are_scipys(share: float, freedom: int) -> None:
    assert quantile(share, freedom) == pytest.approx(float(t.ppf(share, freedom)), rel=1e-3)


@given(st.floats(0.51, 0.99999))
def test_without_degrees_of_freedom_it_is_the_normal_distribution(share: float) -> None:
    assert quantile(share) == pytest.approx(float(norm.ppf(share)), rel=1e-9)
