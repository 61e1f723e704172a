"""What is told of a column's distribution: enough to see it, and nothing that points to anybody."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitml.monitoring.drift.shapes import ENOUGH, Bar, shape
from gitml.sketches.grids import Grid, category_grid, number_grid
from gitml.sketches.sketch import ColumnSketch


def sketch(grid: Grid, values: object) -> ColumnSketch:
    cells, missing = grid.count(values)  # type: ignore[arg-type]
    return ColumnSketch(cells[None, :], np.array([missing]))


def numbers(reference: list[float], window: list[float]) -> tuple[Bar, ...]:
    before, now = np.array(reference, dtype=float), np.array(window, dtype=float)
    grid = number_grid(before)
    return shape(grid, sketch(grid, before), sketch(grid, now))


def words(reference: list[str | None], window: list[str | None]) -> tuple[Bar, ...]:
    grid = category_grid(reference)
    return shape(grid, sketch(grid, reference), sketch(grid, window))


@given(st.integers(0, 2**32), st.sampled_from(["normal", "skewed", "integers", "spiked"]), st.integers(30, 3000))
def test_bounds_have_many_rows_on_either_side_and_a_single_value_has_many_rows(seed: int, kind: str, n: int) -> None:
    rng = np.random.default_rng(seed)
    rows = {
        "normal": rng.normal(size=n),
        "skewed": rng.lognormal(10, 3, n),
        "integers": rng.integers(0, 30, n).astype(float),
        "spiked": np.where(rng.random(n) < 0.6, 0.0, rng.lognormal(0, 2, n)),
    }[kind]
    bars = numbers(rows.tolist(), rows[: max(30, n // 2)].tolist())
    assert sum(bar.reference for bar in bars) == pytest.approx(1)
    assert sum(bar.window for bar in bars) == pytest.approx(1)
    for bar in bars:
        if bar.of == "value":
            assert bar.reference * n >= ENOUGH
        for bound in (bar.low, bar.high):
            if bound is not None:
                # Three digits: a count at the bound as it is told may be off by the rows within its rounding.
                near = np.isclose(rows, bound, rtol=0.005).sum()
                assert min((rows <= bound).sum(), (rows >= bound).sum()) + near >= ENOUGH


def test_a_frequent_value_has_a_bar_of_its_own_and_what_lies_beyond_the_reference_has_no_bound() -> None:
    bars = numbers([0.0] * 500 + [float(i) for i in range(1, 501)], [0.0] * 20 + [-5.0] * 20 + [9999.0] * 60)
    assert bars[0] == Bar("below", 0.0, 0.2)
    assert bars[1] == Bar("value", 0.5, 0.2, low=0.0)
    assert bars[-1] == Bar("above", 0.0, 0.6)
    assert (bars[2].low, bars[-2].high) == (0.0, None)


def test_rare_words_and_new_ones_are_all_others() -> None:
    reference = ["a"] * 900 + ["b"] * 80 + ["Ada Lovelace"] * 5 + ["x"] * 15
    bars = words([*reference], [*["a"] * 50, *["Ada Lovelace"] * 20, *["new"] * 10, *[None] * 20])
    assert [(bar.of, bar.word) for bar in bars] == [("value", "a"), ("value", "b"), ("others", None), ("missing", None)]
    assert bars[2].window == pytest.approx(0.3)
    assert bars[3] == Bar("missing", 0.0, 0.2)


def test_a_word_of_a_small_reference_is_not_named_however_large_its_share() -> None:
    assert [bar.of for bar in words(["a"] * 19 + ["b"] * 21, ["a"] * 40)] == ["value", "others"]


def test_a_word_that_looks_like_a_person_is_not_named_however_many_rows_have_it() -> None:
    bars = words(["ada@example.org"] * 900 + ["b"] * 100, ["ada@example.org"] * 90 + ["b"] * 10)
    assert [(bar.of, bar.word) for bar in bars] == [("value", "b"), ("others", None)]


@pytest.mark.parametrize(("before", "now"), [(29, 100), (100, 29), (0, 0)])
def test_few_rows_have_no_distribution(before: int, now: int) -> None:
    assert numbers([float(i) for i in range(before)], [float(i) for i in range(now)]) == ()


def test_one_value_alone_and_a_column_without_any() -> None:
    assert [bar.of for bar in numbers([1.0] * 50, [1.0] * 50)] == ["value"]
    assert [bar.of for bar in numbers([np.nan] * 50, [1.0] * 50)] == ["missing"]
