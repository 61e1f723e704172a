"""Losses of answers: watching and judging read the same ones."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as theirs

from gitml.monitoring.harm.concept import bounded_losses
from gitml.monitoring.harm.losses import SCORES
from gitml.rollout.metrics import METRICS

TRUTH = np.array([0.0, 1, 1, 0, 1, 0])
SHARES = np.array([0.1, 0.8, 0.4, 0.6, 1.0, 0.0])
THEIRS = {
    "log_loss": theirs.log_loss(TRUTH, SHARES), "brier": theirs.brier_score_loss(TRUTH, SHARES),
    "accuracy": theirs.accuracy_score(TRUTH, SHARES >= 0.5), "mae": theirs.mean_absolute_error(TRUTH, SHARES),
    "mse": theirs.mean_squared_error(TRUTH, SHARES), "rmse": theirs.root_mean_squared_error(TRUTH, SHARES),
    "auc": theirs.roc_auc_score(TRUTH, SHARES),
}  # fmt: skip


@pytest.mark.parametrize("name", THEIRS)
def test_a_look_and_a_canary_agree_with_scikit_learn(name: str) -> None:
    watched = SCORES[name][0](TRUTH, SHARES, np.ones(6))
    judged = METRICS[name].influence(np.arange(6), TRUTH, SHARES).value
    assert watched == pytest.approx(THEIRS[name]), "a look"
    assert judged == pytest.approx(THEIRS[name]), "a canary"


@pytest.mark.parametrize("truth", [[0, 1, 2, 1], [0, 1, 0, 1]], ids=["of three classes", "two of three seen"])
def test_a_class_that_no_label_has_is_wrong_and_changes_no_other(truth: list[float]) -> None:
    real, said = np.array(truth, float), np.array([0.0, 1, 2, 3])
    right = float((real == said).mean())
    assert SCORES["accuracy"][0](real, said, np.ones(4)) == right
    assert METRICS["accuracy"].influence(np.arange(4), real, said).value == right
    assert bounded_losses("accuracy", real, said, 0.9).tolist() == (real != said).astype(float).tolist()
