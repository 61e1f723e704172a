"""The sample ratio, against Optimizely's ssrm (optimizely/ssrm, ssrm_test/test_ssrm_test.py)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import binom, multinomial

from gitml.stats.sampleratio import LEVEL, log_evalue, newcomers


def test_the_bayes_factor_as_ssrm() -> None:
    """Its test_regression: ten visitors drawn with seed 0, the default concentration of 10,000."""
    drawn = multinomial.rvs(1, [0.1, 0.49, 0.41], size=10, random_state=np.random.RandomState(0))
    found = math.exp(log_evalue(drawn.sum(axis=0), [0.1, 0.5, 0.4], concentration=10_000))
    assert found == pytest.approx(1.0017496120131435)


def test_what_comes_one_by_one_is_what_comes_together() -> None:
    """ssrm's test_accumulator: the product of predictive probabilities, here from a uniform Dirichlet distribution."""
    seen, evidence = np.zeros(3), 0.0
    for arm in (0, 1, 0, 1, 2, 2, 2, 0):
        evidence += math.log((1 + seen[arm]) / (3 + seen.sum()) / (1 / 3))
        seen[arm] += 1
    assert log_evalue(seen, [1 / 3] * 3, concentration=3) == pytest.approx(evidence)


@settings(max_examples=25)
@given(st.integers(1, 100), st.floats(0.01, 0.99), st.floats(1, 1e5))
def test_the_expected_evidence_against_the_truth_is_one(n: int, share: float, concentration: float) -> None:
    k = range(n + 1)
    shares = [share, 1 - share]
    evidence = [log_evalue([i, n - i], shares, concentration=concentration) for i in k]
    assert float(logsumexp(evidence + binom.logpmf(k, n, share))) == pytest.approx(0, abs=1e-6)


def test_epochs_add_up_and_weights_may_change() -> None:
    raised = log_evalue([[9_900, 100], [5_000, 5_000]], [[0.99, 0.01], [0.5, 0.5]])
    assert raised == pytest.approx(log_evalue([9_900, 100], [0.99, 0.01]) + log_evalue([5_000, 5_000], [0.5, 0.5]))
    assert raised < math.log(1 / LEVEL) < log_evalue([14_900, 5_100], [0.5, 0.5])


def test_an_arm_that_was_meant_to_get_nothing() -> None:
    assert log_evalue([500, 0], [1.0, 0.0]) == pytest.approx(0)
    assert log_evalue([500, 1], [1.0, 0.0]) == math.inf
    assert log_evalue([0, 0], [0.5, 0.5]) == 0


def test_nonsense_is_refused() -> None:
    for units, shares in (([1, 2], [0.5, 0.6]), ([1, 2, 3], [0.5, 0.5]), ([-1, 2], [0.5, 0.5]), ([1, 1], [1.5, -0.5])):
        with pytest.raises(ValueError, match="shares"):
            log_evalue(units, shares)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 1), st.integers(0, 3)), max_size=40))
def test_units_count_in_the_first_of_their_epochs(rows: list[tuple[int, int, int]]) -> None:
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    found = newcomers(table[:, 0], table[:, 1], table[:, 2])
    first = {unit: min(e for u, _, e in rows if u == unit) for unit, _, _ in rows}
    expected = np.zeros_like(found)
    for unit, arm, epoch in set(rows):
        expected[epoch, arm] += epoch == first[unit]
    np.testing.assert_array_equal(found, expected)


def test_units_who_return_in_every_epoch_are_no_further_evidence() -> None:
    rng = np.random.default_rng(3)
    epochs, wrong, again = 12, 0, 0
    for _ in range(60):
        arm = np.tile((rng.random(1_000) < 0.1).astype(int), epochs)
        unit, epoch = np.tile(np.arange(1_000), epochs), np.repeat(np.arange(epochs), 1_000)
        wrong += log_evalue(newcomers(unit, arm, epoch), [[0.9, 0.1]] * epochs) >= math.log(1 / LEVEL)
        every = np.stack([np.bincount(epoch[arm == a], minlength=epochs) for a in (0, 1)], axis=1)
        again += log_evalue(every, [[0.9, 0.1]] * epochs) >= math.log(1 / LEVEL)
    assert wrong == 0
    assert again > wrong
