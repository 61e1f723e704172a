"""The t statistic of a few draws, looked at after each: how often it is wrong, beside Student's test at every look."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gitml.stats.anytimet import least, needed, radius
from gitml.stats.student import quantile

DRAWS = 30


@pytest.mark.parametrize(("law", "bar"), [("normal", 0.05), ("t", 0.05), ("uniform", 0.05)])
def test_the_mean_lies_inside_at_all_looks_together(law: str, bar: float) -> None:
    rng = np.random.default_rng(20261201)
    laws = {"normal": rng.standard_normal, "t": lambda size: rng.standard_t(4, size), "uniform": rng.random}
    draws = laws[law]((2_000, DRAWS)) - (0.5 if law == "uniform" else 0)
    count = np.arange(1, DRAWS + 1)
    mean = draws.cumsum(1) / count
    spread = np.maximum((draws**2).cumsum(1) / count - mean**2, 0) * count / np.maximum(count - 1, 1)
    t = np.abs(mean[:, 1:]) / np.sqrt(spread[:, 1:] / count[1:])
    ours = (t > [radius(int(n), 0.05) for n in count[1:]]).any(1).mean()
    naive = (t > [quantile(0.975, int(n) - 1) for n in count[1:]]).any(1).mean()
    assert ours <= bar
    assert naive > 0.2


def test_it_begins_where_a_level_is_to_be_had_and_says_what_it_still_takes() -> None:
    assert math.isinf(radius(least(0.01) - 1, 0.01))
    assert radius(1, 0.05) == radius(0, 0.05) == math.inf
    count = needed(7, 3.0, 0.05)
    assert count is not None
    assert radius(count, 0.05) < 3 * math.sqrt(count / 7) <= radius(count - 1, 0.05) * math.sqrt(count / (count - 1))
    assert needed(7, 1e-6, 0.05) is None
