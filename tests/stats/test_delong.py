"""The area under the ROC curve, against scikit-learn's and DeLong's own sums over pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from gitml.stats.contrast import paired, split
from gitml.stats.delong import auc


@given(st.integers(0, 10_000), st.integers(2, 60), st.integers(1, 30))
def test_the_area_is_scikit_learns(seed: int, n: int, ties: int) -> None:
    rng = np.random.default_rng(seed)
    truth = np.append(rng.integers(0, 2, n), [0, 1])
    score = rng.integers(0, ties, n + 2).astype(float)
    found = auc(np.arange(n + 2), truth, score)
    assert found.value == pytest.approx(roc_auc_score(truth, score))
    assert found.rows.sum() == pytest.approx(0, abs=1e-12)


def delong(truth: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Difference of two areas and its standard error, by all pairs (DeLong et al. 1988, equations 5 to 7)."""
    above = [np.sign(s[truth == 1][:, None] - s[truth == 0][None, :]) / 2 + 0.5 for s in scores]
    difference = above[1] - above[0]
    of_positive, of_negative = difference.mean(axis=1), difference.mean(axis=0)
    variance = of_positive.var(ddof=1) / len(of_positive) + of_negative.var(ddof=1) / len(of_negative)
    return float(difference.mean()), math.sqrt(variance)


def test_the_paired_error_is_delongs() -> None:
    rng = np.random.default_rng(11)
    truth = (rng.random(1_500) < 0.3).astype(float)
    common = truth + rng.normal(size=1_500)
    scores = np.stack([common + rng.normal(size=1_500), common + 0.7 * rng.normal(size=1_500)]).round(1)
    found = paired(*(auc(np.arange(1_500), truth, score) for score in scores))
    difference, error = delong(truth, scores)
    assert found.difference == pytest.approx(difference)
    assert found.error == pytest.approx(error, rel=2e-3)
    apart = split([(auc(np.arange(1_500), truth, scores[0]), auc(np.arange(9_000, 10_500), truth, scores[1]))])
    assert apart is not None
    assert apart.error > 1.3 * found.error


def test_one_class_is_no_area() -> None:
    for truth in ([1, 1], [0, 0], []):
        with pytest.raises(ValueError, match="both classes"):
            auc(np.arange(len(truth)), truth, np.zeros(len(truth)))
    with pytest.raises(ValueError, match="truth must be 0 or 1"):
        auc([1, 2], [0, 2], [0.1, 0.2])
