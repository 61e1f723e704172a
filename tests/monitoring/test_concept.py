"""Page-Hinkley and ADWIN on losses: the numbers of river 0.26.1, and what is shown of them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from gitml.monitoring.harm.adwin import adwin
from gitml.monitoring.harm.concept import bounded_losses, concept_changes
from gitml.monitoring.harm.judge import HarmPlan, Labelled, Own, judge_harm
from gitml.monitoring.harm.pagehinkley import page_hinkley


def stream(seed: int) -> NDArray[np.float64]:
    """Means of .2, .5 and .25, from 1,500 and 3,000 on."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.random(1500) * 0.4, rng.random(1500) * 0.4 + 0.3, rng.random(2000) * 0.5])


# Computed with river 0.26.1: drift.ADWIN(), drift.PageHinkley(threshold=20.0), and drift.ADWIN(delta=0.1, clock=1,
# grace_period=30) on whether a value is above .35.
@pytest.mark.parametrize(
    ("seed", "of_adwin", "of_page_hinkley", "of_binary"),
    [
        (0, [1535, 3039], [1565, 3081], [1511]),
        (1, [1535, 3071], [1569, 3096], [1515]),
        (2, [1567, 3071], [1572, 3078], [1518]),
    ],
)
def test_changes_in_both_directions_are_noticed_where_river_notices_them(
    seed: int, of_adwin: list[int], of_page_hinkley: list[int], of_binary: list[int]
) -> None:
    values = stream(seed)
    assert [*adwin(values)] == of_adwin
    assert [*page_hinkley(values, threshold=20.0)] == of_page_hinkley
    binary = (values[:1600] > 0.35).astype(float)
    assert [*adwin(binary, delta=0.1, clock=1, grace_period=30)] == of_binary


def test_nothing_is_noticed_where_nothing_changes() -> None:
    values = np.random.default_rng(0).random(5_000)
    assert [*adwin(values), *page_hinkley(values)] == []
    assert [*adwin([]), *page_hinkley([])] == []


def test_a_change_is_told_with_its_day_and_way() -> None:
    day = 20_000 + np.arange(5_000) // 100
    shuffled = np.random.default_rng(5).permutation(len(day))
    found = concept_changes(stream(0)[shuffled], day[shuffled].tolist(), ["adwin", "page-hinkley"])
    assert [one.method for one in found] == ["adwin", "page-hinkley"]
    assert found[0].changes == 2
    assert found[0].day == "2024-11-03"
    assert str(found[0]) == "adwin: losses smaller since 2024-11-03 (0.487 → 0.25)"
    assert str(concept_changes(stream(0)[:900], [0] * 900, ["adwin"])[0]) == "adwin: no change of the losses"


@pytest.mark.parametrize(
    ("metric", "evaluated", "losses"),
    [
        ("accuracy", 0.8, [0.0, 1.0]),
        ("brier", 0.2, [0.01, 0.81]),
        ("auc", 0.8, [0.01, 0.81]),
        ("mae", 0.1, [0.25, 1.0]),
        ("rmse", 0.5, [0.01, 0.81]),
        ("mse", 0.0, [0.01, 0.81]),
        ("r2", 0.2, [0.0125, 1.0]),
        ("macro_f1", 0.8, [0.0, 1.0]),
    ],
)
def test_losses_lie_between_nought_and_one(metric: str, evaluated: float, losses: list[float]) -> None:
    found = bounded_losses(metric, np.array([0.0, 1.0]), np.array([0.1, 0.1]), evaluated)
    assert found == pytest.approx(losses)


def test_they_are_shown_beside_the_metric_and_change_no_verdict() -> None:
    rng = np.random.default_rng(0)
    day = np.repeat(np.arange(60), 100)
    predicted = rng.random(len(day))
    truth = (rng.random(len(day)) < np.where(day < 40, predicted, 1 - predicted)).astype(float)
    labels = Labelled(truth, predicted, (59 - day) // 7 + 1, day + 20_000)
    plan = HarmPlan("brier", Own(0.167, 0.155, 0.179), 0.01, 53, changes=("page-hinkley", "adwin"))
    verdict, found = judge_harm(labels, plan)
    assert found is not None
    assert [change.changes for change in found.changes] == [1, 1]
    assert {change.day for change in found.changes} <= {"2024-11-13", "2024-11-14", "2024-11-15"}
    assert judge_harm(labels, HarmPlan("brier", plan.own, 0.01, 53))[0] == verdict
