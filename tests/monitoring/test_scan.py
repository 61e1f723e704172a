"""The window scan: its figures, and what it says of columns that moved, stayed, or have too few rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gitml.monitoring.drift.bounds import distance_halfwidth, distance_p, rank_halfwidth, rank_p, share_lower, share_p
from gitml.monitoring.drift.scan import Baseline, Effect, Floors, also_moved, least_reference, rows_needed, scan
from gitml.monitoring.promise import WINDOWS, Promise
from gitml.sketches.counts import Counts
from gitml.sketches.grids import CategoryGrid, category_grid, number_grid

YEAR = Promise(looks=52, columns=40, promotions=1)


def test_the_windows_and_the_reference_use_up_the_error_rate_and_no_more() -> None:
    assert sum(WINDOWS.values()) == pytest.approx(1)
    spent = 52 * 40 * sum(YEAR.level(window, 1.0) for window in WINDOWS)
    of_reference = 40 * 2 * math.exp(-2 * 1000 * YEAR.band(1000) ** 2)
    assert spent + of_reference == pytest.approx(YEAR.rate)


@pytest.mark.parametrize(
    ("floor", "target", "looks", "reference", "rows"),
    [
        (0.05, 0.10, 52, 20_000, 5_453),
        (0.05, 0.10, 365, 200_000, 4_883),
        (0.05, 0.15, 52, 2_000, 2_307),
        (0.0, 0.10, 365, 20_000, 1_267),
        (0.02, 0.05, 52, 200_000, 12_655),
        (0.05, 0.10, 52, 2_000, None),
    ],
)
def test_rows_that_it_takes(floor: float, target: float, looks: int, reference: int, rows: int | None) -> None:
    assert rows_needed(target, floor, reference, Promise(looks, 40, promotions=1)) == rows


def test_the_least_reference_is_the_one_with_which_some_number_of_rows_is_enough() -> None:
    least = least_reference(0.10, 0.05, YEAR)
    assert rows_needed(0.10, 0.05, least, YEAR) is not None
    assert rows_needed(0.10, 0.05, least - 1, YEAR) is None


@settings(max_examples=60, deadline=None)
@given(
    effect=st.floats(0.0, 1.0),
    floor=st.floats(0.0, 0.3),
    n=st.integers(30, 100_000),
    m=st.integers(30, 1_000_000),
    level=st.floats(1e-9, 0.05),
)
def test_a_lower_bound_is_above_the_floor_just_when_the_p_value_is_below_the_level(
    effect: float, floor: float, n: int, m: int, level: float
) -> None:
    band = YEAR.band(m)
    for half, p in ((distance_halfwidth, distance_p), (rank_halfwidth, rank_p)):
        low = effect - half(level, n, m, band)
        if abs(low - floor) > 1e-9:
            assert (low > floor) == (p(effect, floor, n, m, band) < level)
    low = share_lower(np.array([effect]), n, np.array([0.0]), m, level)[0]
    if abs(low - floor) > 1e-6:
        assert (low > floor) == (share_p(np.array([effect]), n, np.array([0.0]), m, floor)[0] < level)


def test_p_values_of_rare_shares_are_not_too_small() -> None:
    """The true size by enumerating all counts, where chi-squared tests are far off."""
    n = m = 50
    for share in (0.002, 0.02, 0.2):
        weights = np.array([math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)])
        for level in (0.05, 1e-3, 1e-5):
            refuted = sum(
                weights[i] * weights.dot(share_p(np.full(n + 1, i / n), n, np.arange(m + 1) / m, m, 0.0) < level)
                for i in range(n + 1)
            )
            assert refuted <= level


def numbers(values: NDArray[np.float64]) -> Baseline:
    grid = number_grid(values)
    return Baseline(grid, Counts(*grid.count(values)))


def looks_at(base: Baseline, *samples: NDArray[np.float64]) -> list[Counts]:
    return [Counts(*base.grid.count(sample)) for sample in samples]  # type: ignore[arg-type]


def only(effects: tuple[Effect, ...], of: str = "values") -> Effect:
    return next(e for e in effects if e.of == of)


def test_a_column_that_moved_is_named_with_an_interval_that_holds_the_truth() -> None:
    rng = np.random.default_rng(1)
    base = numbers(rng.normal(size=20_000))
    true = 0.1915  # Of two normal distributions half a deviation apart: 2 Phi(1/4) - 1 = .1974, less the grid.
    effect = only(scan({"x": looks_at(base, rng.normal(0.5, 1, size=2_000))}, {"x": base}, YEAR))
    assert effect.drifted
    assert effect.low < true < effect.high
    assert effect.direction > 0.1


def test_small_changes_are_seen_once_enough_looks_have_come_together() -> None:
    rng = np.random.default_rng(2)
    base = numbers(rng.normal(size=20_000))
    samples = [rng.normal(0.1, 1, size=1_000) for _ in range(16)]
    none = Floors(numbers=0.0, categories=0.0)
    first = only(scan({"x": looks_at(base, samples[0])}, {"x": base}, YEAR, none))
    later = only(scan({"x": looks_at(base, *samples)}, {"x": base}, YEAR, none))
    assert not first.drifted
    assert later.drifted
    assert later.window > 1


def test_a_hundredth_of_a_deviation_is_nobodys_business_in_a_million_rows() -> None:
    rng = np.random.default_rng(3)
    base = numbers(rng.normal(size=200_000))
    assert not only(scan({"x": looks_at(base, rng.normal(0.01, 1, size=1_000_000))}, {"x": base}, YEAR)).drifted


def test_too_few_rows_have_no_effect_at_all() -> None:
    base = numbers(np.arange(1000.0))
    assert scan({"x": looks_at(base, np.full(8, 1e9))}, {"x": base}, YEAR) == ()
    assert scan({"x": looks_at(base, np.array([]))}, {"x": base}, YEAR) == ()


def test_missing_values_are_a_finding_of_their_own() -> None:
    rng = np.random.default_rng(4)
    base = numbers(rng.normal(size=20_000))
    gone = np.where(rng.random(2_000) < 0.2, np.nan, rng.normal(size=2_000))
    effects = scan({"x": looks_at(base, gone)}, {"x": base}, YEAR)
    assert only(effects, "missing").drifted
    assert not only(effects).drifted
    assert only(effects, "missing").direction == pytest.approx(0.2, abs=0.05)


def test_values_beyond_the_reference_are_seen_though_few() -> None:
    rng = np.random.default_rng(5)
    base = numbers(rng.uniform(size=20_000))
    broken = np.where(rng.random(5_000) < 0.01, 99.0, rng.uniform(size=5_000))
    assert only(scan({"x": looks_at(base, broken)}, {"x": base}, YEAR, Floors(numbers=0.0, categories=0.0))).drifted


def test_categories_that_appear_or_vanish() -> None:
    words = ["EWR"] * 400 + ["JFK"] * 350 + ["LGA"] * 250
    grid = category_grid(words)
    assert grid == CategoryGrid(("EWR", "JFK", "LGA"))
    base = Baseline(grid, Counts(*grid.count(words * 20)))
    same = Counts(*grid.count(words))
    new = Counts(*grid.count(["EWR"] * 400 + ["JFK"] * 350 + ["STN"] * 250))
    assert not only(scan({"x": [same]}, {"x": base}, YEAR)).drifted
    moved = only(scan({"x": [new]}, {"x": base}, YEAR))
    assert moved.drifted
    assert moved.estimate == pytest.approx(0.25)


def test_rows_of_a_cluster_count_as_few() -> None:
    """Fifty days, each with a weather of its own: every value of a day is the same."""
    rng = np.random.default_rng(6)
    values = np.repeat(rng.normal(size=50), 20)
    grid = number_grid(rng.normal(size=20_000))
    reference = Counts(*grid.count(rng.normal(size=20_000)), root=math.sqrt(20_000))
    live = Counts(*grid.count(values), root=math.sqrt(50 * 20**2))
    alone = scan({"x": [live]}, {"x": Baseline(grid, reference, alike=0.0)}, YEAR, Floors(numbers=0.0, categories=0.0))
    together = scan(
        {"x": [live]}, {"x": Baseline(grid, reference, alike=1.0)}, YEAR, Floors(numbers=0.0, categories=0.0)
    )
    assert only(alone).effective == 1_000
    assert only(together).effective == pytest.approx(50)
    assert only(together).low < only(alone).low


def test_counts_add_up_over_looks_and_subtract_again() -> None:
    rng = np.random.default_rng(7)
    grid = number_grid(rng.normal(size=1_000))
    a, b = (Counts(*grid.count(rng.normal(size=300)), root=3.0) for _ in range(2))
    back = (a + b) - b
    assert back.cells.tolist() == a.cells.tolist()
    assert (back.missing, back.root) == (a.missing, a.root)


def test_a_column_of_one_value_and_one_of_none() -> None:
    for values in (np.full(1_000, 7.0), np.full(1_000, np.nan), np.array([np.inf, -np.inf] * 500)):
        base = numbers(values)
        effects = scan({"x": looks_at(base, values)}, {"x": base}, YEAR)
        assert not any(e.drifted for e in effects)
    base = numbers(np.full(1_000, 7.0))
    assert only(scan({"x": looks_at(base, np.full(1_000, 8.0))}, {"x": base}, YEAR)).drifted


def test_the_wider_list_names_more_than_the_alarm() -> None:
    rng = np.random.default_rng(8)
    bases = {f"c{i}": numbers(rng.normal(size=20_000)) for i in range(40)}
    looks = {
        name: looks_at(base, rng.normal(0.15 if i < 10 else 0.0, 1, size=1_000))
        for i, (name, base) in enumerate(bases.items())
    }
    effects = scan(looks, bases, YEAR, Floors(numbers=0.0, categories=0.0, missing=0.0))
    sure = {e.column for e in effects if e.drifted}
    wide = {e.column for e in also_moved([e for e in effects if e.of == "values"])}
    assert sure < wide
    assert {f"c{i}" for i in range(10)} <= wide
    assert len(wide) <= 12
    assert also_moved(()) == ()


def test_a_quiet_year_is_quiet() -> None:
    """Forty columns, every week: any naive test alarms every year."""
    rng = np.random.default_rng(9)
    base = numbers(rng.normal(size=20_000))
    history: list[Counts] = []
    alarms = 0
    for _ in range(52):
        history += looks_at(base, rng.normal(size=500))
        alarms += only(scan({"x": history}, {"x": base}, YEAR, Floors(numbers=0.0, categories=0.0))).drifted
    assert alarms == 0


def _of_normal(rng: np.random.Generator, m: int, n: int, by: float) -> tuple[list[Counts], Baseline]:
    values = rng.normal(size=m)
    grid = number_grid(values)
    return [Counts(*grid.count(rng.normal(size=n) + by))], Baseline(grid, Counts(*grid.count(values)))


def test_the_column_that_moved_is_named_first_of_forty() -> None:
    rng = np.random.default_rng(0)
    worlds = {f"c{i}": _of_normal(rng, 20_000, 1_000, 0.25 * (i == 7)) for i in range(40)}
    looks = {name: counts for name, (counts, _) in worlds.items()}
    found = scan(looks, {name: base for name, (_, base) in worlds.items()}, YEAR)
    assert max(found, key=lambda e: (e.low, -e.p)).column == "c7"
