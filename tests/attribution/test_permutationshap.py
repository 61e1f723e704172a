"""Sampled Shapley values: what they promise of their sum, their seed and their error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gitml.attribution.permutationshap import permutation_shap
from gitml.errors import UsageError

ROW = np.array([1.0, -2.0, 0.5, 3.0])
BACKGROUND = np.random.Generator(np.random.PCG64(3)).normal(size=(40, 4))


def mixed(rows: Any) -> Any:
    """One pair acts together, one input not at all."""
    return np.stack([rows[:, 0] + rows[:, 1] * rows[:, 3], np.exp(rows[:, 0])], axis=1)


def test_values_add_up_to_the_answer_and_an_input_without_effect_has_none() -> None:
    found = permutation_shap(mixed, ROW, BACKGROUND, 2000, seed=7)
    np.testing.assert_allclose(found.base + found.values.sum(axis=0), mixed(ROW[None, :])[0], rtol=1e-12)
    assert found.values[2].tolist() == [0.0, 0.0]
    assert found.calls <= 2000


def test_the_same_seed_gives_the_same_values_and_another_one_others() -> None:
    first, again, other = (permutation_shap(mixed, ROW, BACKGROUND, 400, seed=s) for s in (1, 1, 2))
    assert first.values.tolist() == again.values.tolist()
    assert first.values.tolist() != other.values.tolist()


def test_its_standard_error_covers_the_exact_value() -> None:
    """Of the product x·y the exact contribution of x is (x - E x)(y + E y) / 2, where E is over independent rows; here
    the background's rows stay whole, so it is the mean of (x - b)(y + c) / 2 over its rows (b, c)."""
    _, y, _, w = ROW
    b, c = BACKGROUND[:, 1], BACKGROUND[:, 3]
    exact = float(((y - b) * (w + c) / 2).mean())
    inside = 0
    for seed in range(200):
        found = permutation_shap(mixed, ROW, BACKGROUND, 8 * 2 * 10, seed)
        inside += bool(abs(found.values[1, 0] - exact) <= 2.1 * found.errors[1, 0])
    assert inside >= 180


def test_too_few_calls_and_no_rows_to_compare_with_are_refused() -> None:
    with pytest.raises(UsageError, match="too few") as few:
        permutation_shap(mixed, ROW, BACKGROUND, 50, seed=1)
    assert "64 calls" in few.value.hint
    with pytest.raises(UsageError, match="no rows to compare"):
        permutation_shap(mixed, ROW, BACKGROUND[:0], 500, seed=1)


def test_words_without_categories_are_rows_too() -> None:
    row, background = np.array(["late", 2.0], object), np.array([["on time", 1.0]], object)
    found = permutation_shap(
        lambda rows: np.array([[(r[0] == "late") * r[1]] for r in rows], float), row, background, 100, seed=1
    )
    assert found.values[:, 0].tolist() == [1.5, 0.5]
