"""Functions of means, against the delta method in full, scikit-learn's metrics, and the jackknife."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score, root_mean_squared_error

from gitml.stats.deltamethod import ratio, root_mean_square, share_of
from gitml.stats.influence import Influence


def test_the_variance_of_a_ratio_is_that_of_both_sums() -> None:
    """As GrowthBook's variance_of_ratios: var(m)/d² − 2 cov·m/d³ + var(d)·m²/d⁴, over n."""
    rng = np.random.default_rng(7)
    count = rng.poisson(6, 800) + 1.0
    total = rng.binomial(count.astype(int), rng.beta(2, 8, 800)).astype(float)
    found = ratio(np.arange(800), total, count)
    m, d = total.mean(), count.mean()
    both = np.cov(total, count)
    full = (both[0, 0] / d**2 - 2 * both[0, 1] * m / d**3 + both[1, 1] * m**2 / d**4) / 800
    assert found.value == pytest.approx(total.sum() / count.sum())
    assert float(found.rows @ found.rows) * 800 / 799 == pytest.approx(full)
    assert found.independent == pytest.approx(found.value * (1 - found.value) / (count.sum() - 1))


def left_out(found: Influence, without: list[float]) -> None:
    """Each row moves the value by what leaving it out does, to first order."""
    rows = found.rows[: len(without)]
    np.testing.assert_allclose(rows, found.value - np.array(without), atol=12 / len(found.rows) ** 2)


def test_precision_recall_and_f1() -> None:
    rng = np.random.default_rng(12)
    truth, answer = rng.integers(0, 2, (2, 300))
    both = truth * answer
    for hits, chosen, score in (
        (both, answer, precision_score),
        (both, truth, recall_score),
        (2 * both, answer + truth, f1_score),
    ):
        found = share_of(np.arange(300), hits, chosen)
        assert found.value == pytest.approx(score(truth, answer))
        left_out(
            found,
            [score(np.delete(truth, i), np.delete(answer, i)) for i in range(60)] + list(found.value - found.rows[60:]),
        )


def test_root_mean_square() -> None:
    errors = np.random.default_rng(13).normal(size=200)
    found = root_mean_square(np.arange(200), errors)
    assert found.value == pytest.approx(root_mean_squared_error(errors, np.zeros(200)))
    left_out(found, [math.sqrt(np.mean(np.delete(errors, i) ** 2)) for i in range(200)])
    assert root_mean_square([1, 2], [0.0, 0.0]).rows.tolist() == [0.0, 0.0]


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="counts"):
        ratio([1, 2], [0, 0], [0, 0])
    with pytest.raises(ValueError, match="counts"):
        ratio([1, 2], [0, 0], [3, -1])
    with pytest.raises(ValueError, match="no row is chosen"):
        share_of([1, 2], [0, 0], [0, 0])
