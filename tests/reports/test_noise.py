"""The word of a report: noise is called noise, a real change is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from gitml.reports.noise import Word, contained, judge
from gitml.reports.rowfacts import Row
from gitml.stats.comparison import Estimate, Reading, differences

Floats = NDArray[np.float64]
BETTER = {"auc": "higher", "log_loss": "lower", "brier": "lower", "cost": "lower", "recall": "higher"}
REPLICATES = 200


def auc(truth: Floats, predicted: Floats) -> float:
    ranks = np.empty(len(truth))
    ranks[np.argsort(predicted, kind="stable")] = np.arange(1, len(truth) + 1)
    late = truth.sum()
    return float((ranks[truth == 1].sum() - late * (late + 1) / 2) / (late * (len(truth) - late)))


def metrics(truth: Floats, predicted: Floats) -> dict[str, float]:
    alert = predicted >= 0.25
    return {
        "auc": auc(truth, predicted),
        "log_loss": -float(np.mean(np.where(truth == 1, np.log(predicted), np.log(1 - predicted)))),
        "brier": float(np.mean((predicted - truth) ** 2)),
        "cost": float(np.mean(np.where(alert, 20 * (1 - truth), 60 * truth))),
        "recall": float(alert[truth == 1].mean()),
    }


def compared(rng: np.random.Generator, truth: Floats, old: Floats, new: Floats) -> list[Row]:
    """Two models' predictions for the same rows on the way to a report: bootstrap, differences, facts."""
    draws = [rng.integers(0, len(truth), len(truth)) for _ in range(REPLICATES)]
    sides = []
    for predicted in (new, old):
        values = metrics(truth, predicted)
        drawn = [metrics(truth[rows], predicted[rows]) for rows in draws]
        sides.append({n: Estimate(values[n], replicates=[d[n] for d in drawn]) for n in BETTER})
    return [Row.of(d) for d in differences(*sides, better=BETTER, paired=True)]


def population(rng: np.random.Generator, rows: int) -> tuple[Floats, Floats]:
    signal = rng.normal(-1, 1.2, rows)
    return signal, (rng.random(rows) < 1 / (1 + np.exp(-signal))).astype(float)


def simulated(rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Two fits that differ by their seed alone: the same signal, each with noise of its own."""
    signal, truth = population(rng, 500)
    old, new = (1 / (1 + np.exp(-(0.8 * signal + rng.normal(0, 0.3, 500)))) for _ in range(2))
    return truth, old, new


@pytest.mark.slow
@pytest.mark.nightly
def test_an_unchanged_model_reads_as_noise_in_at_least_95_percent() -> None:
    rng = np.random.default_rng(11)
    found = [compared(rng, *simulated(rng)) for _ in range(200)]
    for metrics_read in (1, len(BETTER)):
        words = [judge(rows[:metrics_read]).word for rows in found]
        assert words.count(Word.NOISE) >= 0.95 * len(found)
        assert words.count(Word.UNKNOWN) == 0


@pytest.mark.slow
@pytest.mark.nightly
def test_a_model_that_sees_more_reads_as_better_and_the_other_way_round_as_worse() -> None:
    rng = np.random.default_rng(11)
    found = []
    for _ in range(20):
        signal, truth = population(rng, 2000)
        good, poor = (1 / (1 + np.exp(-(0.9 * signal + rng.normal(0, noise, 2000)))) for noise in (0.1, 1.2))
        found.append(tuple(judge(compared(rng, truth, *pair)).word for pair in ((poor, good), (good, poor))))
    assert found.count((Word.BETTER, Word.WORSE)) >= 18


def row(reading: Reading, value: float, low: float, high: float) -> Row:
    return Row("m", value, 0.0, value, low, high, True, reading)


def test_one_of_many_metrics_must_be_clearer_than_one_alone() -> None:
    hint = row(Reading.BETTER, 0.01, 0.002, 0.018)
    noise = row(Reading.NOISE, 0.0, -0.1, 0.1)
    assert judge([hint]).word is Word.BETTER
    among = judge([hint, noise, noise, noise, noise])
    assert among.word is Word.NOISE
    assert among.hints == (hint,)


def test_both_directions_are_mixed_and_unknown_is_never_noise() -> None:
    up, down = row(Reading.BETTER, 0.5, 0.4, 0.6), row(Reading.WORSE, -0.5, -0.6, -0.4)
    assert judge([up, down]).word is Word.MIXED
    assert judge([Row("m", 1.0, None)]).word is Word.UNKNOWN
    assert judge([Row("m", 1.0, 0.5, 0.5, reading=Reading.BETTER)]).word is Word.NOISE, "no interval, no claim"


def test_an_interval_of_few_refits_must_be_clearer_among_many() -> None:
    clear = row(Reading.BETTER, 0.01, 0.0035, 0.0165)
    noise = row(Reading.NOISE, 0.0, -0.1, 0.1)
    others = [noise] * 4
    assert judge([clear, *others]).word is Word.BETTER
    assert judge([replace(clear, freedom=100), *others]).word is Word.BETTER
    assert judge([replace(clear, freedom=4), *others]).word is Word.NOISE
    assert judge([replace(clear, freedom=4)]).word is Word.BETTER


def test_a_report_says_which_chance_its_intervals_count() -> None:
    alone = row(Reading.NOISE, 0.0, -0.1, 0.1)
    told = replace(alone, metric="a|`<b>@x", freedom=8)
    assert "not that of training" in contained([alone])
    assert contained([told]).endswith("and that of training, from fits with other seeds.")
    assert contained([alone, told]).endswith("training only for ``a|`<b>@x``.")
    assert contained([alone, *[told] * 9]).endswith(" and 4 more.")
    assert contained([Row("m", 1.0, None)]) == ""
