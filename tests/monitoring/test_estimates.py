"""Performance without labels: each method where its assumption holds, and refusals where none does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from gitml.models.fields import Field
from gitml.monitoring.estimates.answers import Estimated
from gitml.monitoring.estimates.backtest import backtest, periods
from gitml.monitoring.estimates.density_ratio import density_ratio, overlap
from gitml.monitoring.estimates.estimate import estimator
from gitml.monitoring.estimates.methods import METHODS
from gitml.monitoring.estimates.rows import Evaluated, Rows, expected
from gitml.monitoring.estimates.table import evaluated_of
from gitml.monitoring.harm.losses import SCORES

METRICS = ("auc", "log_loss", "brier", "accuracy")


def binary(count: int, seed: int = 0, mean: float = 0.0, days: int = 12) -> Evaluated:
    """Two inputs; the model sees the first only, and is wrong about the second: so a score means something else where
    the second one has moved."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(count, 2)) + np.array([0.0, mean])
    chance = 1 / (1 + np.exp(-1.5 * inputs[:, 0] - inputs[:, 1]))
    predicted = 1 / (1 + np.exp(-1.2 * inputs[:, 0]))
    truth = (rng.random(count) < chance).astype(float)
    return Evaluated(
        Rows(inputs, predicted, predicted[:, None], np.sort(rng.integers(0, days, count))), truth, "binary"
    )


def numbers(count: int, seed: int = 0, mean: float = 0.0) -> Evaluated:
    """The model's error grows with the input."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(count, 1)) + mean
    truth = inputs[:, 0] + rng.normal(size=count) * np.exp(0.5 * inputs[:, 0])
    day = np.sort(rng.integers(0, 12, count))
    return Evaluated(Rows(inputs, inputs[:, 0], np.zeros((count, 0)), day), truth, "numbers")


def classes(count: int, seed: int = 0, mean: float = 0.0) -> Evaluated:
    """Three classes whose chances the model knows but for a temperature."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(count, 3)) + np.array([mean, 0.0, 0.0])
    odds = np.exp(inputs)
    chances = odds / odds.sum(axis=1, keepdims=True)
    told = chances**2 / (chances**2).sum(axis=1, keepdims=True)
    truth = (rng.random((count, 1)) > chances.cumsum(axis=1)).sum(axis=1).clip(0, 2).astype(float)
    day = np.sort(rng.integers(0, 12, count))
    return Evaluated(Rows(inputs, told.argmax(axis=1).astype(float), told, day), truth, "classes")


def estimates(reference: Evaluated, live: Evaluated, metrics: tuple[str, ...] = METRICS) -> dict[str, Estimated]:
    made = estimator(reference, metrics, 1)
    assert not isinstance(made, str), made
    found = made.of(live.rows)
    assert not isinstance(found, str), found
    return {one.metric: one for one in found}


def test_r2_is_estimated_from_rows_that_are_alike() -> None:
    reference, live = numbers(900), numbers(900, seed=1, mean=0.5)
    found = estimates(reference, live, ("r2",))["r2"]
    assert found.method != "DLE"
    assert found.low <= live.metric("r2") <= found.high


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "metrics"),
    [(binary, METRICS), (classes, ("accuracy", "macro_f1")), (numbers, ("mae", "rmse"))],
    ids=lambda one: one,
)
def test_under_covariate_shift_an_estimate_is_nearer_than_saying_nothing_has_changed(
    make: Callable[..., Evaluated], metrics: tuple[str, ...]
) -> None:
    reference, live = make(3_000), make(6_000, seed=1, mean=0.8)
    for name, one in estimates(reference, live, metrics).items():
        real = live.metric(name)
        # Of so many rows an AUC is known to .02 and no better, with labels too.
        assert abs(one.value - real) < max(abs(one.evaluated - real) / 2, 0.03), name
        assert one.low <= real <= one.high, name
        assert one.error <= one.as_before * 1.5
        assert one.overlap > 0.1


def test_a_score_that_means_something_else_now_is_calibrated_anew_by_pape_alone() -> None:
    reference, live = binary(20_000), binary(20_000, seed=1, mean=0.8)
    ratio = density_ratio(reference.rows, live.rows)
    off = {m.name: abs(m.estimate("brier", reference, ratio, live.rows) - live.metric("brier")) for m in METHODS[:2]}
    assert off["PAPE"] < off["CBPE"] / 3


def test_without_a_shift_calibrated_chances_give_the_metric_that_scikit_learn_gives_for_labels() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    some = binary(2_000)
    ones = np.ones(len(some))
    found = METHODS[0].estimate("auc", some, ones, some.rows)
    # Isotonic chances keep the order of scores: the expected AUC is that of the calibrated chances themselves.
    assert found == pytest.approx(metrics.roc_auc_score(some.truth, some.rows.predicted), abs=0.02)


def test_chances_of_zero_and_one_are_labels() -> None:
    some = binary(500)
    for name in METRICS:
        assert expected(name, some.truth[:, None], some.rows.predicted) == pytest.approx(some.metric(name))


def test_the_density_ratio_is_that_of_two_normal_distributions() -> None:
    """N(1, 1) over N(0, 1) is exp(x - 1/2); the effective size of the weighted sample is then exp(-1)."""
    reference, live = numbers(20_000), numbers(20_000, seed=1, mean=1.0)
    ratio = density_ratio(reference.rows, live.rows)
    wanted = np.exp(reference.rows.inputs[:, 0] - 0.5)
    assert np.corrcoef(np.log(ratio), np.log(wanted))[0, 1] > 0.99
    assert ratio.mean() == pytest.approx(1, abs=0.1)
    assert overlap(ratio) == pytest.approx(np.exp(-1), abs=0.08)


def test_what_a_day_shares_is_no_reason_to_see_no_overlap() -> None:
    rng = np.random.default_rng(0)
    day = np.repeat(np.arange(30), 200)
    weather = rng.normal(size=(30, 6))[day] + 0.05 * rng.normal(size=(len(day), 6))
    p = rng.random(len(day))
    rows = Rows(weather, p, p[:, None], day)
    week, rest = rows[day >= 23], rows[day < 23]
    plain = density_ratio(Rows(rest.inputs, rest.predicted, rest.scores, np.arange(len(rest))), week)
    assert overlap(density_ratio(rest, week)) > 3 * overlap(plain)


def test_rows_that_nothing_evaluated_is_like_are_not_answered() -> None:
    made = estimator(binary(3_000), METRICS, 1)
    assert not isinstance(made, str)
    for mean in (5.0, 500.0):
        found = made.of(binary(3_000, seed=1, mean=mean).rows)
        assert isinstance(found, str)
        assert found.startswith("overlap: ")


def test_weather_beyond_all_that_was_evaluated_is_not_answered_however_alike_days_are() -> None:
    rng = np.random.default_rng(0)
    day = np.repeat(np.arange(30), 200)
    sight = np.minimum(rng.normal(9, 2, 30), 10)[day]
    p = rng.random(len(day))
    reference = Evaluated(Rows(sight[:, None], p, p[:, None], day), (rng.random(len(day)) < p).astype(float), "binary")
    made = estimator(reference, METRICS, 7)
    assert not isinstance(made, str)
    week = day < 7
    assert not isinstance(made.of(Rows(sight[week, None], p[week], p[week, None], day[week])), str)
    found = made.of(Rows(sight[week, None] * 0 + 10.5, p[week], p[week, None], day[week]))
    assert "overlap: the evaluated rows are worth 0.0% of their number" in str(found)


def test_the_back_test_takes_whole_days_and_the_method_that_errs_least() -> None:
    number = periods(np.repeat(np.arange(21), 5), 7)
    assert [set(number[np.repeat(np.arange(21), 5) // 7 == week]) for week in range(3)] == [{0}, {1}, {2}]
    some = binary(3_000)
    found = backtest(some, METHODS[:2], ["brier"], 3)
    assert found is not None
    assert (found.periods, found.days) == (4, 3.0)
    assert found.best("brier") == min(found.errors, key=lambda name: found.errors[name]["brier"])


def test_equal_rows_give_equal_numbers() -> None:
    reference, live = binary(600), binary(600, seed=1, mean=0.3)
    assert estimates(reference, live) == estimates(reference, live)


def _few_days(some: Evaluated) -> Evaluated:
    return Evaluated(
        Rows(some.rows.inputs, some.rows.predicted, some.rows.scores, some.rows.day // 6), some.truth, some.task
    )


def _scored(some: Evaluated, score: np.ndarray) -> Evaluated:
    return Evaluated(Rows(some.rows.inputs, score, score[:, None], some.rows.day), some.truth, some.task)


@pytest.mark.parametrize(
    ("reference", "metrics", "words"),
    [
        (binary(8), METRICS, "too little: 8 evaluated rows"),
        (_few_days(binary(500)), METRICS, "fewer than 3 days"),
        (Evaluated(binary(500).rows, np.zeros(500), "binary"), METRICS, "all of one kind"),
        (_scored(binary(500), np.full(500, 0.3)), METRICS, "the same answer"),
        (_scored(binary(500), binary(500).rows.predicted * 3), ("brier",), "outside 0 to 1"),
        (binary(500), ("mae",), "mae can be estimated"),
        (numbers(500), ("auc",), "auc can be estimated"),
        (binary(500), (), "its metrics can be estimated"),
    ],
)
def test_references_that_nothing_can_be_estimated_from(
    reference: Evaluated, metrics: tuple[str, ...], words: str
) -> None:
    found = estimator(reference, metrics, 1)
    assert isinstance(found, str)
    assert words in found


def test_eight_rows_are_too_few_and_scores_beyond_one_still_have_an_auc() -> None:
    some = binary(1_000)
    made = estimator(some, METRICS, 1)
    assert not isinstance(made, str)
    assert made.of(binary(8).rows) == "too little: 8 rows, 30 are needed"
    beyond = _scored(some, some.rows.predicted * 3)
    assert [*estimates(beyond, beyond)] == ["auc"]


def test_tables_become_rows_by_the_kind_of_labels_and_answers() -> None:
    table = pa.table(
        {
            "x": [1.0, None, 3.0, 4.0],
            "w": ["a", "b", "a", None],
            "p": [0.1, float("nan"), 0.3, 0.9],
            "kind": ["cat", "dog", "eel", "dog"],
            "kind_cat": [0.7, 0.1, 0.2, 0.1],
            "kind_dog": [0.3, 0.9, 0.8, 0.9],
            "late": [0, 1, 1, 0],
            "fare": [10.0, 20.0, 30.0, None],
            "is": ["cat", "dog", "cat", None],
        }
    )
    two = evaluated_of(table, ["x", "w"], [Field("p", "float64")], "late")
    assert not isinstance(two, str)
    assert (two[0].task, len(two[0]), two[0].rows.inputs.shape) == ("binary", 3, (3, 3))
    fares = evaluated_of(table, ["x"], [Field("p", "float64")], "fare")
    assert not isinstance(fares, str)
    assert (fares[0].task, len(fares[0])) == ("numbers", 2)
    outputs = [Field("kind", "string"), Field("kind_cat", "float64"), Field("kind_dog", "float64")]
    words = evaluated_of(table, ["x"], outputs, "is")
    assert not isinstance(words, str)
    assert (words[0].task, words[1].classes, words[1].scores) == ("classes", ("cat", "dog", "eel"), ())
    assert len(words[0]) == 3
    assert evaluated_of(table, ["x"], [Field("p", "float64")], "is") == (
        "no evaluated row has both an answer and a label that fits it"
    )
    assert isinstance(evaluated_of(table, ["x"], [Field("gone", "float64")], "late"), str)
    unseen, sound = words[1].rows(table.set_column(3, "kind", [["cat", "gnu", "dog", None]]), np.arange(4))
    assert (len(unseen), sound.tolist()) == (2, [True, False, True, False])


def test_every_metric_that_labels_tell_belongs_to_a_kind_of_answers() -> None:
    from gitml.monitoring.estimates.rows import suited

    assert {name for task in ("binary", "classes", "numbers") for name in suited(task, [*SCORES])} == {*SCORES}  # type: ignore[arg-type]
