"""Rows added up by unit: in any order, in any batches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.stats import contrast
from gitml.stats.influence import Influence, mean
from gitml.stats.unitsums import UnitSums, unit_sums

ROWS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(-1, 2), st.integers(-9, 9)), min_size=1, max_size=60
)


def summed(rows: list[tuple[int, int, int, int]]) -> UnitSums:
    unit, arm, epoch, value = (np.array(column) for column in zip(*rows, strict=True))
    return unit_sums(unit, arm, epoch, value)


@given(ROWS, st.integers(0, 60))
def test_batches_in_any_order_are_the_whole(rows: list[tuple[int, int, int, int]], at: int) -> None:
    whole = summed(rows)
    parts = [summed(part) for part in (rows[at:], rows[:at]) if part]
    added = parts[0] if len(parts) == 1 else parts[0] + parts[1]
    for field in ("unit", "arm", "epoch", "count", "total", "squares"):
        np.testing.assert_array_equal(getattr(added, field), getattr(whole, field))
    assert whole.total.sum() == sum(row[3] for row in rows)
    assert whole.squares.sum() == sum(row[3] ** 2 for row in rows)


def test_the_contrast_is_that_of_the_rows() -> None:
    rng = np.random.default_rng(3)
    unit = rng.integers(0, 500, 6_000)
    arm, epoch, value = unit % 2, rng.integers(0, 2, 6_000), rng.normal(size=6_000)
    found = unit_sums(unit, arm, epoch, value).contrast()

    def of(a: int, e: int) -> Influence:
        rows = (arm == a) & (epoch == e)
        return mean(unit[rows], value[rows])

    expected = contrast.split([(of(0, e), of(1, e)) for e in (0, 1)])
    assert found is not None
    assert expected is not None
    assert found.difference == pytest.approx(expected.difference)
    assert found.error == pytest.approx(expected.error)
    assert found.clock == pytest.approx(expected.clock)
    assert found.units == expected.units


def test_one_arm_only_is_no_contrast() -> None:
    assert unit_sums([1, 2, 3], [0, 0, 0], [0, 0, 0], [1, 0, 1]).contrast() is None
    assert unit_sums([1, 2, 3, 4], [0, 0, 1, 1], [0, 0, 1, 1], [1, 0, 1, 0]).contrast() is None
    assert unit_sums([], [], [], []).contrast() is None


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="an arm is 0"):
        unit_sums([1], [2], [0], [1.0])
    with pytest.raises(ValueError, match="finite"):
        unit_sums([1], [1], [0], [np.nan])
