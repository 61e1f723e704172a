"""Contrasts: units as one draw, epochs compared within, and all streams that are no evidence refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.stats import asymptoticcs, contrast
from gitml.stats.contrast import Contrast, differences, paired, split
from gitml.stats.deltamethod import ratio
from gitml.stats.influence import Influence, mean


def halves(rate: float, n: int, first: int = 0) -> Influence:
    ones = round(rate * n)
    return mean(range(first, first + n), [1.0] * ones + [0.0] * (n - ones))


def judged(strata: list[tuple[Influence, Influence]]) -> Contrast:
    found = split(strata)
    assert found is not None
    return found


def test_two_arms_are_welchs() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.normal(3, 1, 400), rng.normal(3.2, 2, 300)
    found = judged([(mean(range(400), a), mean(range(1_000, 1_300), b))])
    assert found.difference == pytest.approx(b.mean() - a.mean())
    assert found.error == pytest.approx(math.sqrt(a.var(ddof=1) / 400 + b.var(ddof=1) / 300))
    assert found.clock == pytest.approx(400 * 300 / 700)


def test_a_bad_week_with_more_of_the_traffic_is_no_difference() -> None:
    """Simpson: 10 % in a quiet week at a weight of 1 %, 40 % in a bad one at 50 %; the model is the same."""
    quiet = halves(0.1, 9_900), halves(0.1, 100, 20_000)
    bad = halves(0.4, 5_000, 30_000), halves(0.4, 5_000, 40_000)
    assert judged([quiet, bad]).difference == pytest.approx(0, abs=1e-12)
    together = halves(0.2007, 14_900), halves(0.3941, 5_100, 20_000)
    assert judged([together]).difference > 0.19


def test_rows_of_a_unit_are_one_draw() -> None:
    rng = np.random.default_rng(8)
    unit = np.repeat(np.arange(200), 20)
    same = np.repeat(rng.integers(0, 2, 200).astype(float), 20)
    other = np.repeat(rng.integers(0, 2, 200).astype(float), 20)
    found = judged([(mean(unit, same), mean(unit + 1_000, other))])
    once = judged([(mean(range(200), same[::20]), mean(range(1_000, 1_200), other[::20]))])
    assert found.error == pytest.approx(once.error)
    assert found.units == (200, 200)
    assert found.clock == pytest.approx(20 * 2_000, rel=0.01)  # 20 equal requests a unit: a design effect of 20


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4), st.integers(0, 1_000))
def test_the_order_of_rows_and_the_names_of_units_do_not_matter(names: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    unit, old, new = rng.choice(names, 50), *rng.normal(size=(2, 50))
    order = np.argsort(unit, kind="stable")
    plain, ordered = (paired(mean(unit[at], old[at]), mean(unit[at], new[at])) for at in (np.arange(50), order))
    assert ordered.units == plain.units == (len(set(unit.tolist())),) * 2
    assert ordered.error == pytest.approx(plain.error, abs=1e-12)


def test_a_unit_that_returns_in_another_epoch_stays_one_draw() -> None:
    rng = np.random.default_rng(9)
    a, b = (rng.integers(0, 2, 300).astype(float) for _ in range(2))
    once = (mean(range(300), a), mean(range(1_000, 1_300), b))
    assert judged([once, once]).error == pytest.approx(judged([once]).error)
    fresh = (mean(range(5_000, 5_300), a), mean(range(6_000, 6_300), b))
    assert judged([once, fresh]).error == pytest.approx(judged([once]).error / math.sqrt(2))


def test_epochs_with_too_few_units_are_left_out() -> None:
    whole = halves(0.3, 500), halves(0.4, 500, 1_000)
    lone = halves(0.0, 500, 5_000), halves(1.0, 1, 9_000)
    assert judged([whole, lone]) == judged([whole])
    assert split([lone]) is None
    assert split([]) is None


def test_relative_to_nothing_is_not_a_number() -> None:
    assert split([(halves(0.0, 100), halves(0.5, 100, 500))], relative=True) is None


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e9, -3.3e-7])
def test_arms_in_which_nothing_varies_are_not_judged(value: float) -> None:
    constant = mean(range(3_000), np.full(3_000, value))
    other = mean(range(5_000, 8_000), np.full(3_000, value * 1.1))
    assert asymptoticcs.unusable(judged([(constant, other)])) == "nothing varies"
    assert asymptoticcs.unusable(paired(constant, mean(range(3_000), np.full(3_000, value * 1.1)))) == "nothing varies"


def test_one_arm_that_never_varies_is_not_judged() -> None:
    assert "0 effective units" in asymptoticcs.unusable(judged([(halves(0.0, 9_000), halves(0.2, 9_000, 10_000))]))


@given(st.floats(-1e12, 1e12), st.floats(1e-6, 1e6))
def test_a_shift_changes_nothing_and_a_scale_only_the_unit(shift: float, scale: float) -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=200), rng.normal(size=200)
    if abs(shift) > 1e4 * scale:
        shift = math.copysign(1e4 * scale, shift)
    plain = judged([(mean(range(200), a), mean(range(300, 500), b))])
    found = judged([(mean(range(200), a * scale + shift), mean(range(300, 500), b * scale + shift))])
    assert found.difference / scale == pytest.approx(plain.difference, rel=1e-6)
    assert found.error / scale == pytest.approx(plain.error, rel=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="1 values that are not finite"):
        mean([1, 2, 3], [0.0, bad, 1.0])


def test_units_must_be_integers_and_pairs_rows() -> None:
    with pytest.raises(ValueError, match="must be integers"):
        mean(["a", "b"], [0.0, 1.0])
    with pytest.raises(ValueError, match="the same rows"):
        paired(mean([1, 2], [0, 1]), mean([1, 3], [0, 1]))
    with pytest.raises(ValueError, match="one for each observation"):
        paired(ratio([1], [1], [2]), ratio([1], [1], [2]))


def test_pairs_added_up_by_unit_are_the_pairs() -> None:
    rng = np.random.default_rng(2)
    unit = rng.integers(0, 300, 4_000)
    old, new = rng.normal(size=(2, 4_000))
    rows = paired(mean(unit, old), mean(unit, new))
    d = new - old
    sums = [np.bincount(unit, x, 300) for x in (d, np.ones(4_000), d**2)]
    added = differences(ratio(np.arange(300), *sums), float(old.mean()))
    assert (added.difference, added.error) == pytest.approx((rows.difference, rows.error))
    assert (added.clock, added.carriers) == pytest.approx((rows.clock, rows.carriers))


def test_a_flooding_unit_is_one_draw_and_holds_the_verdict_back() -> None:
    """A labeller who sends 10,000 wrong answers of one unit into one arm decides nothing."""
    rng = np.random.default_rng(1)
    unit = np.concatenate([np.arange(1_000), np.full(10_000, 77)])
    wrong = np.concatenate([rng.integers(0, 2, 1_000).astype(float), np.ones(10_000)])
    found = judged([(halves(0.5, 1_000, 5_000), mean(unit, wrong))])
    assert found.difference > 0.4
    assert "effective units" in asymptoticcs.unusable(found)


def test_least_units_is_of_units_not_of_rows() -> None:
    few = mean(np.arange(4_000) % 40, np.arange(4_000) % 7)
    assert "40 units" in asymptoticcs.unusable(judged([(few, halves(0.5, 1_000, 5_000))]))
    assert contrast.split([(few, few)]) is not None
