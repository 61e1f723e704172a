"""What is shown beside an effect: which way, in units and σ, and the stability index with what chance alone makes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from scipy import stats

from gitml.monitoring.drift.direction import Movement, movement
from gitml.monitoring.drift.psi import psi
from gitml.sketches.gather import RowCounter
from gitml.sketches.reference import ReferenceSketch, reference_of


def moved(before: object, now: object) -> Movement:
    reference = _reference(pa.table({"x": before}))
    live = RowCounter(reference.layout).of(pa.table({"x": now}).to_batches())
    return movement(reference.layout.columns["x"], reference.sketch.columns["x"], live.columns["x"])


def _reference(table: pa.Table) -> ReferenceSketch:
    return reference_of(lambda: iter(table.to_batches()), ["x"])


def test_numbers_move_in_units_and_in_sigma() -> None:
    rng = np.random.default_rng(0)
    found = moved(rng.normal(10, 2, 20_000), rng.normal(11, 3, 20_000))
    assert found.mean == pytest.approx((10, 11), abs=0.05)
    assert found.sigma == pytest.approx(2, rel=0.05)
    for q, z in (("0.1", -1.2816), ("0.5", 0.0), ("0.9", 1.2816)):
        assert found.quantiles[q] == pytest.approx((10 + 2 * z, 11 + 3 * z), abs=0.3)
    assert str(found) == "mean 10.01 → 11 (+0.50 σ)"


def test_quantiles_beyond_the_reference_or_of_few_rows_are_not_told() -> None:
    spike = np.repeat([0.0, 5.0], [900, 100])
    beyond = moved(spike, np.full(500, 100.0))
    # Where all rows lie beyond, quantiles would tell the largest one.
    assert (beyond.quantiles, beyond.mean) == ({}, pytest.approx((0.5, 100.0)))
    assert moved(spike, np.repeat([0.0, 5.0], [400, 100])).quantiles["0.5"] == pytest.approx((0.0, 0.0))
    few = moved(np.arange(1000.0), np.arange(0.0, 1000.0, 20.0))
    assert [*few.quantiles] == ["0.5"]
    assert moved(np.zeros(50), np.full(50, np.nan)) == Movement()
    assert str(moved(np.zeros(50), np.zeros(50))) == "mean 0 → 0 (+0.00 σ)"


def test_categories_that_are_new_and_that_vanished_are_told() -> None:
    found = moved(["a"] * 600 + ["b"] * 300 + ["c"] * 100, ["a"] * 900 + ["z"] * 50)
    assert found.category == "a"
    assert found.share == pytest.approx((0.6, 900 / 950))
    assert found.unseen == pytest.approx((0.0, 50 / 950))
    assert found.vanished == ("b", "c")
    assert str(found) == "a 60.0% → 94.7%; none of b, c"
    few = moved(["a"] * 600 + ["b"] * 300 + ["c"] * 100, ["a"] * 12 + ["b"] * 8)
    assert few.vanished == ()


def _uneven(cells: int) -> NDArray[np.float64]:
    return np.arange(1, cells + 1) / (cells * (cells + 1) / 2)


@pytest.mark.parametrize(("cells", "m", "n"), [(100, 5_000, 500), (100, 5_000, 5_000), (12, 2_000, 1_000)])
def test_by_chance_the_stability_index_is_as_large_as_said(cells: int, m: int, n: int) -> None:
    rng, truth = np.random.default_rng(0), _uneven(cells)
    found = [psi(*(rng.multinomial(k, truth) / k for k in (m, n)), m, n) for _ in range(600)]
    values = np.array([one.value for one in found if one])
    expected = np.mean([one.expected for one in found if one])
    assert values.mean() == pytest.approx(expected, rel=0.06)
    above = np.mean([one.value > one.by_chance for one in found if one])
    assert abs(above - 0.05) < 0.035
    assert stats.kstest([one.p for one in found if one], "uniform").statistic < 0.08


def test_the_usual_thresholds_are_about_the_number_of_rows() -> None:
    """Most windows of 60 rows lie above .1 with nothing changed."""
    rng, truth = np.random.default_rng(1), np.full(10, 0.1)
    found = [psi(*(rng.multinomial(k, truth) / k for k in (100_000, 60)), 100_000, 60) for _ in range(400)]
    assert np.mean([one.value > 0.1 for one in found if one]) > 0.5
    assert not any(one.value > one.by_chance * 3 for one in found if one)


def test_nothing_to_compare_has_no_index() -> None:
    assert psi(np.ones(1), np.ones(1), 100, 100) is None
    assert psi(np.full(4, 0.25), np.full(4, 0.25), 100, 0) is None
