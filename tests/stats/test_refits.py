"""The interval of a difference with the variance of training: never narrower, and Welch's where rows are certain."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from gitml.stats.comparison import Estimate, Reading, difference
from gitml.stats.refits import Refits, refits_of, widened

deviations = st.floats(0, 1e6)
sides = st.builds(Refits, st.integers(5, 100), deviations)
bounds = st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e6)).map(lambda b: (b[0], b[0] + b[1]))


@given(bounds, sides | st.none(), sides | st.none())
def test_an_interval_only_grows_and_by_as_much_on_either_side(
    found: tuple[float, float], new: Refits | None, old: Refits | None
) -> None:
    low, high, freedom = widened(*found, new, old)
    assert low <= found[0]
    assert high >= found[1]
    assert found[0] - low == pytest.approx(high - found[1], rel=1e-6, abs=1e-6)
    assert (freedom is None) == (new is None and old is None)
    if freedom is None:
        assert (low, high) == found
    assert widened(*found, old, new) == (low, high, freedom), "which side is new makes no difference"


@given(bounds, sides, st.floats(1.01, 100))
def test_fits_further_apart_give_a_wider_interval(found: tuple[float, float], side: Refits, times: float) -> None:
    wide, wider = (widened(*found, Refits(side.count, side.deviation * by), None) for by in (1, times))
    assert wider[1] >= wide[1] - 1e-12 * abs(wide[1])
    assert wider[0] <= wide[0] + 1e-12 * abs(wide[0])


@given(st.floats(0.001, 1), st.floats(0.001, 1), st.integers(5, 20), st.integers(5, 20))
def test_where_rows_are_certain_it_is_welchs_interval(a: float, b: float, n: int, m: int) -> None:
    _, high, freedom = widened(0.0, 0.0, Refits(n, a), Refits(m, b))
    welch = (a**2 + b**2) ** 2 / (a**4 / (n - 1) + b**4 / (m - 1))
    assert freedom is not None
    assert freedom == pytest.approx(welch - 0.5, abs=0.5 + 1e-6)
    assert high == pytest.approx(float(t.ppf(0.975, freedom)) * math.hypot(a, b), rel=1e-3)


@given(st.floats(-1, 1), st.floats(0.001, 1), st.integers(5, 30))
def test_one_side_stands_for_both(middle: float, deviation: float, count: int) -> None:
    side = Refits(count, deviation)
    alone, both = widened(middle, middle + 0.1, side, None), widened(middle, middle + 0.1, side, side)
    assert alone[1] >= both[1]
    assert (alone[2] or 0) <= (both[2] or 0), "it knows less"


@given(st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=50))
def test_the_deviation_is_numpys(values: list[float]) -> None:
    found = refits_of(values)
    assert found.count == len(values)
    assert found.deviation == pytest.approx(float(np.std(values, ddof=1)), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    "values",
    [[], [0.7] * 4, [0.7] * 1001, [0.7] * 5 + [math.nan], [math.inf] * 5, [1.7e308, -1.7e308] * 3, [1e308, 0] * 3],
)
def test_what_is_no_list_of_refits_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="refit"):
        refits_of(values)


def test_a_difference_that_another_seed_makes_is_noise() -> None:
    replicates = [0.0001 * i for i in range(-20, 20)]
    old, new = (Estimate(v, replicates=[v + r for r in replicates]) for v in (0.70, 0.71))
    certain = difference("auc", new, old, better="higher", paired=True)
    assert certain.reading is Reading.BETTER
    assert certain.freedom is None
    spread = refits_of([0.69, 0.70, 0.71, 0.72, 0.70])
    seen = difference(
        "auc", Estimate(new.value, replicates=new.replicates, refits=spread), old, better="higher", paired=True
    )
    assert seen.reading is Reading.NOISE
    assert seen.freedom == 4
    assert seen.value == certain.value
    without = difference(
        "auc", Estimate(0.71, refits=spread), Estimate(0.70, refits=spread), better="higher", paired=True
    )
    assert (without.low, without.reading) == (None, Reading.UNKNOWN), "refits say nothing of the rows"
