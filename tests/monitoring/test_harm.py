"""Harm: labels against the version's own evaluation, with days as what is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from gitml.monitoring.harm.judge import HarmPlan, Labelled, Own, judge_harm
from gitml.monitoring.harm.losses import SCORES
from gitml.verdict import Phase

PLAN = HarmPlan("brier", Own(0.167, 0.155, 0.179), rate=0.01, looks=53)


def days(count: int, per_day: int = 60, *, effect: float = 0.0, seed: int = 0, bias: float = 0.0) -> Labelled:
    """Labels follow the predictions, but for a ``bias`` and an ``effect`` that the rows of a day share."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(count), per_day)
    predicted = rng.random(len(day))
    chance = np.clip(predicted + bias + effect * rng.normal(size=count)[day], 0, 1)
    truth = (rng.random(len(day)) < chance).astype(float)
    return Labelled(truth, predicted, (count - 1 - day) // 7 + 1, day)


def test_a_model_that_answers_as_evaluated_is_told_so() -> None:
    verdict, found = judge_harm(days(56, 600), PLAN)
    assert verdict.phase is Phase.SUCCESSFUL
    assert found is not None
    assert found.low < 0.167 < found.high
    assert found.surely == 0


def test_a_model_that_got_worse_is_found_and_said_by_how_much() -> None:
    verdict, found = judge_harm(days(56, bias=0.4), PLAN)
    assert verdict.phase is Phase.FAILED
    assert found is not None
    assert 0.012 < found.surely < found.value - 0.167
    assert verdict.reason.startswith("worse than its evaluation: brier 0.")


def test_what_days_share_widens_the_interval() -> None:
    plain, shared = (judge_harm(days(56, 400, effect=e), PLAN)[1] for e in (0.0, 0.3))
    assert plain is not None
    assert shared is not None
    assert shared.high - shared.low > 2 * (plain.high - plain.low)


def test_days_like_the_one_before_widen_the_interval() -> None:
    some = days(56, 400, effect=0.3)
    order = np.argsort(np.bincount(some.day, some.truth), kind="stable")  # good weeks first, then bad ones
    rank = np.argsort(order)[some.day]
    alike = Labelled(some.truth, some.predicted, (55 - rank) // 7 + 1, rank)
    mixed, one = (judge_harm(rows, PLAN)[1] for rows in (some, alike))
    assert mixed is not None
    assert one is not None
    assert one.high - one.low > 1.5 * (mixed.high - mixed.low)


def test_quiet_looks_do_not_alarm_though_days_differ() -> None:
    own = judge_harm(days(400, effect=0.2, seed=9), PLAN)[1]
    assert own is not None
    plan = HarmPlan("brier", Own(own.value, own.value - 0.004, own.value + 0.004), 0.01, 53, worse_by=0.0)
    phases = [judge_harm(days(28, effect=0.2, seed=seed), plan)[0].phase for seed in range(40)]
    assert Phase.FAILED not in phases


def test_more_is_needed() -> None:
    few, _ = judge_harm(days(4), PLAN)
    assert (few.phase, few.reason) == (
        Phase.INCONCLUSIVE,
        "too little: 240 labels of 4 days; 30 labels of 5 days are needed",
    )
    none, _ = judge_harm(days(0), PLAN)
    assert none.reason.startswith("no labels have come yet")
    unsure, _ = judge_harm(days(7, per_day=8), HarmPlan("brier", PLAN.own, 0.01, 53, worse_by=0.0))
    assert unsure.phase is Phase.INCONCLUSIVE


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (HarmPlan("profit", PLAN.own, 0.01, 53), "profit cannot be computed"),
        (HarmPlan("brier", None, 0.01, 53), "no brier with an interval"),
        (HarmPlan("brier", Own(0.167), 0.01, 53), "no brier with an interval"),
    ],
)
def test_without_something_to_compare_with(plan: HarmPlan, words: str) -> None:
    verdict, _ = judge_harm(days(28), plan)
    assert verdict.phase is Phase.INCONCLUSIVE
    assert words in verdict.reason


def test_labels_that_are_numbers_are_not_for_every_metric() -> None:
    some = days(28)
    fares = Labelled(some.truth * 100, some.predicted, some.look, some.day)
    assert "not all 0 or 1" in judge_harm(fares, PLAN)[0].reason
    assert judge_harm(fares, HarmPlan("mae", Own(50.0, 49.0, 51.0), 0.01, 53, 10.0))[0].phase is Phase.SUCCESSFUL
    one = Labelled(np.zeros(len(some.truth)), some.predicted, some.look, some.day)
    assert judge_harm(one, HarmPlan("auc", Own(0.8, 0.7, 0.9), 0.01, 53))[0].phase is Phase.INCONCLUSIVE


@pytest.mark.parametrize("name", SCORES)
def test_metrics_agree_with_those_of_scikit_learn(name: str) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    some = days(3)
    score, _, _ = SCORES[name]
    weight = np.arange(len(some.truth), dtype=float)
    theirs = {
        "auc": metrics.roc_auc_score,
        "log_loss": metrics.log_loss,
        "brier": metrics.brier_score_loss,
        "accuracy": lambda t, p, sample_weight: metrics.accuracy_score(t, p >= 0.5, sample_weight=sample_weight),
        "mae": metrics.mean_absolute_error,
        "mse": metrics.mean_squared_error,
        "rmse": metrics.root_mean_squared_error,
        "r2": metrics.r2_score,
        "macro_f1": lambda t, p, sample_weight: metrics.f1_score(
            t, p >= 0.5, average="macro", sample_weight=sample_weight
        ),
    }[name]
    wanted = theirs(some.truth, some.predicted, sample_weight=weight)
    assert score(some.truth, some.predicted, weight) == pytest.approx(wanted)


def test_a_class_that_no_label_names_is_a_wrong_answer_and_no_chance() -> None:
    truth, predicted = np.array([0.0, 1, 1, 0]), np.array([0.0, 1, 2, 2])
    every = np.ones(4)
    assert SCORES["accuracy"][0](truth, predicted, every) == 0.5
    assert SCORES["macro_f1"][0](truth, predicted, every) == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


def test_three_classes_and_r2_are_held_to_their_evaluation_in_the_direction_that_is_better() -> None:
    rng = np.random.default_rng(0)
    day = np.repeat(np.arange(28), 60)
    look = (27 - day) // 7 + 1
    classes = rng.integers(0, 3, len(day)).astype(float)
    answered = np.where(rng.random(len(day)) < 0.9, classes, (classes + 1) % 3)
    value = rng.normal(size=len(day)) * 10
    told = value + rng.normal(size=len(day)) * 5
    for metric, labels, at in (
        ("macro_f1", Labelled(classes, answered, look, day), 0.9),
        ("r2", Labelled(value, told, look, day), 0.75),
    ):
        same = judge_harm(labels, HarmPlan(metric, Own(at, at - 0.02, at + 0.02), 0.01, 53, 0.1))[0]
        worse = judge_harm(labels, HarmPlan(metric, Own(at + 0.2, at + 0.19, at + 0.21), 0.01, 53, 0.1))[0]
        better = judge_harm(labels, HarmPlan(metric, Own(at - 0.2, at - 0.21, at - 0.19), 0.01, 53, 0.1))[0]
        assert (same.phase, worse.phase, better.phase) == (Phase.SUCCESSFUL, Phase.FAILED, Phase.SUCCESSFUL)
    constant = Labelled(np.ones(len(day)), told, look, day)
    assert judge_harm(constant, HarmPlan("r2", Own(0.7, 0.6, 0.8), 0.01, 53))[0].phase is Phase.INCONCLUSIVE
