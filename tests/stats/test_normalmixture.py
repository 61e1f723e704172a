"""The normal mixture, against confseq's unit tests (gostevehoward/confseq, test/uniform_boundaries_unittest.cpp)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.stats.normalmixture import Sides, best_rho, bound, log_mixture


def test_two_sides_as_confseq() -> None:
    rho = best_rho(100, 0.05, sides=2)
    assert rho == pytest.approx(12.60056, abs=1e-5)
    assert float(log_mixture(10, 100, rho, sides=2)) == pytest.approx(-0.6510052, abs=1e-5)
    assert float(bound(100, 0.05, rho, sides=2)) == pytest.approx(30.35209, abs=1e-5)


def test_one_side_as_confseq() -> None:
    rho = best_rho(100, 0.05, sides=1)
    assert float(log_mixture(10, 100, rho, sides=1)) == pytest.approx(-0.06502391, abs=1e-5)
    assert float(bound(100, 0.05, rho, sides=1)) == pytest.approx(27.66071, abs=1e-5)


@given(st.floats(1, 1e7), st.floats(1e-6, 0.3), st.floats(1e-2, 1e6), st.sampled_from([1, 2]))
def test_the_bound_is_where_the_evidence_reaches_the_level(v: float, level: float, rho: float, sides: Sides) -> None:
    reached = float(log_mixture(bound(v, level, rho, sides), v, rho, sides))
    assert reached == pytest.approx(math.log(1 / level), rel=1e-6)


def test_the_side_that_is_not_tested_is_no_evidence() -> None:
    found = log_mixture(np.array([-30.0, -3_000.0]), 100.0, best_rho(100, 0.05))
    assert (found < -1).all()
    assert not np.isnan(found).any()


@given(st.floats(0, 3))
def test_the_mean_evidence_of_a_fair_sum_is_one(rho: float) -> None:
    """Under the null hypothesis an e-value has an expectation of 1 (here of a normal sum, by quadrature)."""
    s = np.linspace(-12, 12, 20_001)
    density = np.exp(-(s**2) / 2) / math.sqrt(2 * math.pi)
    for sides in (1, 2):
        mean = float(np.sum(np.exp(log_mixture(s, 1.0, 10.0**rho, sides)) * density) * (s[1] - s[0]))
        assert mean <= 1 + 1e-6
        assert mean == pytest.approx(1, abs=0.01)
