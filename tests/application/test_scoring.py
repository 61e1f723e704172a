"""Metrics agree with scikit-learn, intervals hold the value, replicates pair up."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, confusion_matrix, log_loss, roc_auc_score

from files import rounded, write_json
from scoring import (
    Cost,
    Scored,
    auc,
    best_threshold,
    calibration_error,
    draws,
    equal_bins,
    intervals,
    metrics,
    replicates,
    rows_digest,
)

COST = Cost(missed=60, false_alert=20)


def scored(*, rows: int = 600, days: int = 12, seed: int = 0, threshold: float = 0.3) -> Scored:
    draw = np.random.default_rng(seed)
    # Two digits only, so that there are ties.
    predicted = np.round(draw.beta(2, 5, rows), 2)
    truth = (draw.random(rows) < predicted).astype(float)
    return Scored(truth, predicted, equal_bins(predicted, 10), np.arange(rows) % days, threshold, COST)


def test_metrics_agree_with_scikit_learn() -> None:
    data = scored()
    found = metrics(data)
    (quiet, false), (missed, hit) = confusion_matrix(data.truth, data.predicted >= 0.3)
    assert found["auc"] == pytest.approx(roc_auc_score(data.truth, data.predicted))
    assert found["log_loss"] == pytest.approx(log_loss(data.truth, data.predicted))
    assert found["brier"] == pytest.approx(brier_score_loss(data.truth, data.predicted))
    assert found["recall"] == pytest.approx(hit / (hit + missed))
    assert found["precision"] == pytest.approx(hit / (hit + false))
    assert found["false_alarm_rate"] == pytest.approx(false / (false + quiet))
    assert found["cost_per_flight"] == pytest.approx((60 * missed + 20 * false) / 600)


def test_calibration_error_agrees_with_the_curve_of_scikit_learn() -> None:
    draw = np.random.default_rng(5)
    predicted = draw.random(1000)
    truth = (draw.random(1000) < predicted**2).astype(float)
    data = Scored(truth, predicted, equal_bins(predicted, 10), np.zeros(1000, int), 0.5, COST)
    observed, expected = calibration_curve(truth, predicted, n_bins=10, strategy="quantile")
    assert calibration_error(data, np.ones(1000)) == pytest.approx(np.abs(observed - expected).mean())


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9), st.integers(0, 4)), min_size=2, max_size=40))
def test_weights_mean_repeated_rows(rows: list[tuple[int, int, int]]) -> None:
    truth, digit, count = (np.array(column) for column in zip(*rows, strict=True))
    predicted = digit / 10
    repeated_truth = np.repeat(truth, count)
    found = auc(truth.astype(float), predicted, count.astype(float))
    if len(set(repeated_truth)) < 2:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(roc_auc_score(repeated_truth, np.repeat(predicted, count)))


def test_cheapest_threshold_is_found_by_trying_all() -> None:
    data = scored(seed=2)
    tried = {
        step / 100: metrics(Scored(data.truth, data.predicted, data.bins, data.days, step / 100, COST))
        for step in range(1, 100)
    }
    assert best_threshold(data.truth, data.predicted, COST) == min(tried, key=lambda t: tried[t]["cost_per_flight"])


def test_certain_and_wrong_predictions_still_have_a_finite_loss() -> None:
    data = Scored(np.array([0.0, 1.0]), np.array([1.0, 0.0]), np.array([1, 0]), np.array([0, 0]), 0.5, COST)
    assert np.isfinite(metrics(data)["log_loss"])
    assert metrics(data)["cost_per_flight"] == pytest.approx(40)


@pytest.mark.parametrize("seed", range(8))
def test_intervals_hold_the_value_and_have_a_width(seed: int) -> None:
    data = scored(seed=seed)
    found, undefined = intervals(metrics(data), replicates(data, draws(12, 100, seed)))
    assert undefined == []
    for interval in found.values():
        assert interval["low"] <= interval["value"] <= interval["high"]
        assert interval["low"] < interval["high"]


def test_days_that_go_together_widen_the_interval() -> None:
    draw = np.random.default_rng(1)
    days = np.repeat(np.arange(20), 50)
    stormy = draw.random(20) < 0.3
    truth = (draw.random(1000) < np.where(stormy[days], 0.8, 0.1)).astype(float)
    predicted = np.full(1000, 0.3)
    bins = np.zeros(1000, int)

    def width(of_day: np.ndarray) -> float:
        data = Scored(truth, predicted, bins, of_day, 0.5, COST)
        brier = intervals(metrics(data), replicates(data, draws(of_day.max() + 1, 200, 1)))[0]["brier"]
        return brier["high"] - brier["low"]

    assert width(days) > 2 * width(np.arange(1000))


def test_a_metric_that_is_not_defined_is_left_out_not_written_as_nan() -> None:
    nobody = scored(threshold=0.995)
    found, undefined = intervals(metrics(nobody), replicates(nobody, draws(12, 20, 1)))
    assert undefined == ["precision"]
    assert "precision" not in found
    one_class = Scored(np.zeros(50), np.linspace(0, 1, 50), np.zeros(50, int), np.arange(50) % 5, 0.5, COST)
    found, undefined = intervals(metrics(one_class), replicates(one_class, draws(5, 20, 1)))
    assert undefined == ["auc", "recall"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_two_models_on_the_same_rows_are_resampled_alike() -> None:
    first = scored(seed=4)
    better = Scored(first.truth, 0.5 * first.predicted + 0.5 * first.truth, first.bins, first.days, 0.3, first.cost)
    drawn = draws(12, 100, 9)
    np.testing.assert_array_equal(drawn, draws(12, 100, 9))
    assert not np.array_equal(drawn, draws(12, 100, 10))
    one, two = replicates(first, drawn), replicates(better, drawn)
    # What depends on the rows alone is the same number in each replicate; the paired difference has less noise.
    difference = two["brier"] - one["brier"]
    assert np.all(difference < 0)
    assert difference.std() < one["brier"].std() + two["brier"].std()


def test_rows_digest_knows_rows_and_labels() -> None:
    ids, truth = pd.Series(["a", "b"]), pd.Series([0, 1])
    digest = rows_digest(ids, truth)
    assert digest.startswith("sha256:")
    assert digest == rows_digest(ids.copy(), truth.copy())
    assert digest != rows_digest(ids, 1 - truth)
    assert digest != rows_digest(ids[::-1], truth[::-1])


def test_nan_is_never_written(tmp_path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"auc": float("nan")})
    with pytest.raises(ValueError, match="nan"):
        rounded(float("nan"))
    assert list(tmp_path.iterdir()) == []
