"""How far two distributions are apart: the measure, and what two profiles know exactly."""

from __future__ import annotations

import math
import random
from bisect import bisect_left

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from gitml.stats.profile import Column, Untold, of_categories, of_numbers
from gitml.stats.shift import Bin, chance, coarser, jensen_shannon, shift

# SciPy halves the sum of two shares, so the smallest subnormal number becomes 0 there and the distance infinite.
shares = st.floats(0, 1, allow_subnormal=False)
weights = st.integers(1, 8).flatmap(
    lambda n: st.tuples(*[st.lists(shares, min_size=n, max_size=n).filter(lambda w: sum(w) > 0.01)] * 2)
)
values = st.floats(-1e3, 1e3)
columns = st.lists(values | st.sampled_from([0.0, 1.0, 7.0]), min_size=1, max_size=60).map(sorted)
words = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(20, 99), min_size=1)


def numbers(ordered: list[float], rows: int = 0) -> Column:
    return of_numbers(ordered, rows or len(ordered), whole=False, mean=0.0, deviation=0.0)


@given(weights)
@example(([1.0, 1.0], [1.0, 0.9999999999999999]))
def test_the_distance_is_that_of_scipy(pair: tuple[list[float], list[float]]) -> None:
    p, q = ([w / sum(side) for w in side] for side in pair)
    # Of shares that differ in their last digit SciPy takes the root of a rounding error below 0.
    with np.errstate(invalid="ignore"):
        theirs = float(np.nan_to_num(jensenshannon(p, q, base=2)))
    assert jensen_shannon(p, q) == pytest.approx(theirs, abs=1e-6)


def test_the_smallest_of_shares_is_as_good_as_none() -> None:
    assert jensen_shannon([5e-324, 1.0], [0.0, 1.0]) == 0
    assert jensen_shannon([0.0, 1.0], [5e-324, 1.0]) == 0


@given(weights)
def test_it_is_symmetric_and_bounded_and_no_larger_over_fewer_bins(pair: tuple[list[float], list[float]]) -> None:
    p, q = ([w / sum(side) for w in side] for side in pair)
    found = jensen_shannon(p, q)
    assert found == pytest.approx(jensen_shannon(q, p), abs=1e-9)
    assert 0 <= found <= 1
    assert jensen_shannon([sum(p[:2]), *p[2:]], [sum(q[:2]), *q[2:]]) <= found + 1e-7


@given(columns, columns)
def test_shares_of_ranges_are_those_of_the_rows_on_both_sides(old: list[float], new: list[float]) -> None:
    found = shift(numbers(old), numbers(new))
    assert found is not None
    for b in found.bins:
        for side, share in ((old, b.old), (new, b.new)):
            first = 0 if b.low is None else bisect_left(side, b.low)
            last = len(side) if b.high is None else bisect_left(side, b.high)
            assert share == pytest.approx((last - first) / len(side), abs=0.005)


@given(columns, columns)
def test_a_column_is_nowhere_from_itself_and_as_far_in_both_directions(old: list[float], new: list[float]) -> None:
    same, there, back = shift(numbers(old), numbers(old)), shift(numbers(old), numbers(new)), None
    back = shift(numbers(new), numbers(old))
    assert same is not None
    assert there is not None
    assert back is not None
    assert same.distance == 0
    assert there.distance == pytest.approx(back.distance, abs=1e-9)


@given(words, words)
def test_shares_of_values_are_those_of_the_rows(old: dict[str, int], new: dict[str, int]) -> None:
    found = shift(of_categories(old, sum(old.values())), of_categories(new, sum(new.values())))
    assert found is not None
    assert {b.value for b in found.bins} == set(old) | set(new)
    p, q = ([counts.get(w, 0) / sum(counts.values()) for w in sorted({*old, *new})] for counts in (old, new))
    assert found.distance == pytest.approx(jensen_shannon(p, q), abs=0.02)


def test_a_value_that_one_side_does_not_name_is_among_its_rest_on_both() -> None:
    old = of_categories({"a": 900, "b": 90, "rare": 10}, 1000)
    new = of_categories({"a": 900, "b": 50, "rare": 50}, 1000)
    found = shift(old, new)
    assert found is not None
    assert found.bins == (
        Bin("value", 0.9, 0.9, value="a"),
        Bin("value", 0.09, 0.05, value="b"),
        Bin("rest", 0.01, 0.05),
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([5.0] * 40, [7.0] * 40),
        ([0.0] * 40, [5e-324] * 40),
        ([-1.0] * 40, [1.0] * 40),
        ([float(n) for n in range(40)], [n + 0.5 + 1000 for n in range(40)]),
        ([1e308] * 40, [1.1e308] * 40),
    ],
)
def test_columns_without_a_common_value_are_as_far_apart_as_can_be(old: list[float], new: list[float]) -> None:
    found = shift(numbers(old), numbers(new))
    assert found is not None
    assert found.distance == pytest.approx(1.0)


def test_missing_values_count_and_a_column_that_lost_all_its_values_is_compared() -> None:
    half, none = numbers([1.0] * 50, 100), numbers([], 100)
    found = shift(numbers([1.0] * 100), half)
    assert found is not None
    assert found.distance == pytest.approx(jensen_shannon([1.0, 0.0], [0.5, 0.5]))
    gone = shift(half, none)
    assert gone is not None
    assert gone.bins == (Bin("present", 0.5, 0.0), Bin("missing", 0.5, 1.0))
    assert shift(none, none) is None


def test_what_cannot_be_compared_is_not() -> None:
    number, word = numbers([1.0] * 30), of_categories({"a": 30}, 30)
    assert shift(number, word) is None
    assert shift(number, Untold(why="text", missing=0.0)) is None
    assert shift(Untold(why="private"), Untold(why="private")) is None


@pytest.mark.parametrize("rows", [200, 2000])
def test_two_samples_of_the_same_data_are_hardly_ever_beyond_chance(rows: int) -> None:
    rng = random.Random(5)
    beyond = 0
    for _ in range(150):
        a, b = (sorted(rng.gauss(0, 1) for _ in range(rows)) for _ in range(2))
        found = shift(numbers(a), numbers(b))
        assert found is not None
        beyond += found.distance > chance(len(found.bins), rows, rows)
    assert beyond <= 2


def test_a_real_shift_of_two_samples_is_beyond_chance_and_grows_with_its_size() -> None:
    rng = random.Random(6)
    base = numbers(sorted(rng.gauss(0, 1) for _ in range(2000)))
    found = [shift(base, numbers(sorted(rng.gauss(by, 1) for _ in range(2000)))) for by in (0.3, 1.0, 3.0)]
    distances = [s.distance for s in found if s]
    assert distances == sorted(distances)
    assert distances[0] > chance(20, 2000, 2000)


@settings(max_examples=50)
@given(columns, columns, words, words, st.integers(3, 12))
def test_fewer_bins_for_people_hold_the_same_rows(
    a: list[float], b: list[float], c: dict[str, int], d: dict[str, int], most: int
) -> None:
    pairs = (numbers(a, 80), numbers(b, 70)), (of_categories(c, 1000), of_categories(d, 1000))
    for old, new in pairs:
        found = shift(old, new)
        assert found is not None
        fewer = coarser(found.bins, most)
        assert len(fewer) <= most
        for side in ("old", "new"):
            assert math.isclose(sum(getattr(x, side) for x in fewer), sum(getattr(x, side) for x in found.bins))
