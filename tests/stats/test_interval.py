from __future__ import annotations

import math

import pytest

from gitml.stats.interval import Interval, p_value


def test_an_interval_has_no_nan() -> None:
    with pytest.raises(ValueError, match="NaN"):
        Interval(math.nan, 1.0)


def test_two_that_contradict_each_other_meet_in_a_point() -> None:
    assert Interval(0.0, 1.0).within(Interval(3.0, 4.0)) == Interval(2.0, 2.0)
    assert Interval().within(Interval(3.0, 4.0)) == Interval(3.0, 4.0)


def test_evidence_is_never_a_p_value_above_one() -> None:
    assert p_value(-math.inf) == 1
    assert p_value(math.inf) == 0
    assert p_value(1e6) == 0
