"""Rates that are exact while events are rare."""

from __future__ import annotations

import numpy as np

from gitml.stats import asymptoticcs, rates
from gitml.stats.contrast import paired, split
from gitml.stats.influence import mean


def test_two_versions_that_never_disagree_pass_under_a_margin() -> None:
    """With no disagreement there is no variance; the exact part says how small it must be."""
    lows = []
    for n in (300, 1_000, 3_000, 10_000):
        same = mean(range(n), [1.0] * n)
        lows.append(rates.paired(paired(same, same), 0, 0, n, 0.05, side="low").low)
    assert lows == sorted(lows)
    assert lows[0] < -0.01 < lows[1] < -0.003 < lows[2] < -0.001 < lows[3] < 0


def test_with_enough_events_the_asymptotic_end_is_the_nearer_one() -> None:
    rng = np.random.default_rng(2)
    old, new = (rng.random(10_000) < 0.1).astype(float), (rng.random(10_000) < 0.12).astype(float)
    found = split([(mean(range(10_000), old), mean(range(20_000, 30_000), new))])
    assert found is not None
    sums = (float(old.sum()), 10_000.0), (float(new.sum()), 10_000.0)
    both = rates.split(found, *sums, 0.05)
    alone, lavish = (asymptoticcs.interval(found, level) for level in (0.04, 0.05))
    assert alone is not None
    assert lavish is not None
    assert both == alone
    # What the exact part costs: less than 3 % of the width.
    assert both.high - both.low < 1.03 * (lavish.high - lavish.low)


def test_few_events_have_an_interval_too() -> None:
    champion, candidate = mean(range(5_000), [1.0] * 3 + [0.0] * 4_997), mean(range(6_000, 11_000), [0.0] * 5_000)
    found = split([(champion, candidate)])
    assert found is not None
    assert asymptoticcs.interval(found, 0.05) is None
    assert -0.004 < rates.split(found, (3, 5_000), (0, 5_000), 0.05, side="low").low < 0
    assert rates.split(None, (3, 5_000), (0, 5_000), 0.05) == rates.split(found, (3, 5_000), (0, 5_000), 0.05)
