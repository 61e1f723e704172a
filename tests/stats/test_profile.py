"""What a profile tells of a column, and what it keeps to itself."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gitml.stats.profile import MOST_NAMED, Categories, Numbers, Profile, Untold, of_categories, of_numbers


def test_no_value_is_named_that_few_rows_share() -> None:
    found = of_categories({"red": 5000, "blue": 400, "odd": 19, "even": 20}, 6000)
    assert isinstance(found, Categories)
    assert list(found.shares) == ["red", "blue", "even"]
    assert found.rest == pytest.approx(19 / 5439, abs=1e-4)
    assert found.missing == pytest.approx(561 / 6000, abs=1e-4)
    assert "odd" not in found.model_dump_json()


@pytest.mark.parametrize(
    "value",
    ["ada@example.org", "+49 170 1234567", "4711-0815-1234", "90210", "(212) 555-0199", "a" * 41, "Ada, @ada"],
)
def test_a_column_with_a_value_like_a_persons_tells_none(value: str) -> None:
    found = of_categories({"red": 5000, value: 400}, 6000)
    assert found == Untold(why="text", missing=0.1)


def test_keys_and_columns_of_rare_values_are_told_as_text() -> None:
    assert of_categories({f"k{n}": 30 for n in range(300)}, 9000) == Untold(why="text", missing=0.0)
    assert of_categories({f"k{n}": 19 for n in range(9)}, 171) == Untold(why="text", missing=0.0)
    assert of_categories({}, 50) == Untold(why="empty", missing=1.0)


def test_the_most_frequent_are_named_in_an_order_that_never_changes() -> None:
    counts = {f"v{n:02}": 50 for n in range(40)}
    shuffled = list(counts.items())
    random.Random(3).shuffle(shuffled)
    one, other = of_categories(counts, 2000), of_categories(dict(shuffled), 2000)
    assert isinstance(one, Categories)
    assert isinstance(other, Categories)
    assert one.model_dump_json() == other.model_dump_json()
    assert list(one.shares) == [f"v{n:02}" for n in range(MOST_NAMED)]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=60).map(sorted))
def test_numbers_always_make_a_profile_that_can_be_read_again(ordered: list[float]) -> None:
    mean = float(sum(map(Fraction, ordered)) / len(ordered)) if ordered else math.nan
    found = of_numbers(ordered, 60, whole=False, mean=mean, deviation=math.inf)
    profile = Profile(rows=60, columns={"x": found})
    assert Profile.model_validate_json(profile.model_dump_json(exclude_none=True)) == profile


@pytest.mark.parametrize(
    "wrong",
    [
        {"edges": (1.0,)},
        {"edges": (2.0, 1.0), "shares": (0.5, 0.25, 0.25)},
        {"edges": (1.0, 1.0), "shares": (0.5, 0.25, 0.25)},
        {"shares": (0.5,)},
        {"shares": (math.nan,)},
        {"mean": math.inf},
        {"missing": 1.5},
        {"edges": tuple(float(n) for n in range(500)), "shares": (1 / 501,) * 501},
        {"more": 1},
    ],
)
def test_a_profile_that_does_not_hold_together_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Categories(missing=0.0, values=0, shares={}, rest=0.0)
    good: dict[str, Any] = {"missing": 0.0, "edges": (), "shares": (1.0,)}
    Numbers(**good)
    with pytest.raises(ValidationError):
        Numbers(**{**good, **wrong})
