"""Asymptotic confidence sequences, against the tests of GrowthBook and the paper's closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gitml.stats.asymptoticcs import interval, log_evalue, needed, radius, unusable
from gitml.stats.contrast import Contrast, split
from gitml.stats.influence import Influence, mean


def arm(n: int, total: float, squares: float, first: int) -> Influence:
    """Values with exactly these sums: a mean, and as many above it as below."""
    center, pairs = total / n, n // 2
    apart = math.sqrt((squares - total**2 / n) / (2 * pairs))
    values = np.concatenate([np.full(pairs, center + apart), np.full(pairs, center - apart), np.full(n % 2, center)])
    return mean(np.arange(first, first + n), values)


# GrowthBook, packages/stats/tests/frequentist/test_tests.py. It counts the units of both arms, we n·m / (n + m).
GROWTHBOOK = (arm(3_000, 1_396.87, 52_377.9767, 0), arm(3_461, 2_422.7, 134_698.29, 10_000))
AS_OURS = 3_000 * 3_461 / 6_461**2


def test_two_sides_as_growthbook() -> None:
    found = split([GROWTHBOOK], relative=True)
    assert found is not None
    assert (found.difference, found.error) == pytest.approx((0.50336, 0.33341), abs=1e-5)
    both = interval(found, 0.05, tuned=1_000 * AS_OURS)
    assert both is not None
    assert (both.low, both.high) == pytest.approx((-0.55844, 1.56516), abs=1e-5)


def test_proportions_as_growthbook() -> None:
    arms = (mean(range(3_000), [1] * 1_396 + [0] * 1_604), mean(range(5_000, 8_461), [1] * 2_422 + [0] * 1_039))
    found = split([arms], relative=True)
    assert found is not None
    both = interval(found, 0.05, tuned=5_000 * AS_OURS)
    assert both is not None
    # They divide a share's variance by n, we by n - 1.
    assert (both.low, both.high) == pytest.approx((0.40098, 0.60675), abs=3e-5)


@pytest.mark.parametrize(("relative", "theirs"), [(True, -0.42356), (False, -0.12657)])
def test_one_side_is_solved_exactly_where_growthbook_takes_the_papers_upper_bound(
    relative: bool, theirs: float
) -> None:
    found = split([GROWTHBOOK], relative=relative)
    assert found is not None
    low = interval(found, 0.05, side="low", tuned=5_000 * AS_OURS)
    high = interval(found, 0.05, side="high", tuned=5_000 * AS_OURS)
    assert low is not None
    assert high is not None
    rho2, n = (-2 * math.log(0.1) + math.log(-2 * math.log(0.1) + 1)) / 5_000, 6_461
    closed = math.sqrt(2 * (n * rho2 + 1) / (n * rho2) * math.log(1 + math.sqrt(n * rho2 + 1) / (2 * 0.05)))
    assert found.difference - closed * found.error == pytest.approx(theirs, abs=1e-5)
    assert found.difference - low.low == pytest.approx(high.high - found.difference)
    assert 0.98 * closed < (found.difference - low.low) / found.error < closed


def test_the_growthbook_standard_errors() -> None:
    """TestTwoSidedTTest: relative .70732 and .37879; absolute with a standard error of .12478 for two shares."""
    found = split([(arm(3_407, 1_396.87, 52_377.9767, 0), GROWTHBOOK[1])], relative=True)
    assert found is not None
    assert (found.difference, found.error) == pytest.approx((0.70732, 0.37879), abs=1e-5)


def test_a_closer_look_costs_more() -> None:
    assert radius(1_000, 0.05, side="low") < radius(1_000, 0.05) < radius(1_000, 0.01)
    # Armitage et al. (1969): one look needs 1.96 standard errors. Any number of looks need less than twice that.
    assert 1.96 < radius(1_000, 0.05) < 3.1
    assert radius(100_000, 0.05) < 3.7


def seen(difference: float = 0.01, **other: float) -> Contrast:
    rest = {"error": 0.002, "clock": 5_000.0, "carriers": 500.0} | other
    return Contrast(0.1, 0.1 + difference, difference, units=(9_000, 9_000), **rest)


def test_evidence_and_interval_agree() -> None:
    for side in ("low", "high", "both"):
        found = interval(seen(), 0.05, side=side)
        assert found is not None
        for end in (found.low, found.high):
            if math.isfinite(end):
                at = log_evalue(seen(), end, 0.05, side=side)
                assert at == pytest.approx(math.log(20), rel=1e-9)


def test_what_is_needed_is_where_the_interval_ends() -> None:
    for null in (0.0, 0.004, 0.009):
        times = needed(seen(), null, 0.05)
        assert times is not None
        later = seen(error=0.002 / math.sqrt(times), clock=5_000 * times)
        found = interval(later, 0.05, side="low")
        assert found is not None
        assert found.low == pytest.approx(null, abs=1e-9)
    assert needed(seen(), 0.011, 0.05) is None
    assert needed(seen(-0.01), 0.0, 0.05) is None
    assert needed(seen(-0.01), 0.0, 0.05, side="high") == pytest.approx(needed(seen(), 0.0, 0.05))
    assert needed(seen(), 0.0, 0.05, side="both") is not None


@pytest.mark.parametrize(
    ("contrast", "why"),
    [
        (Contrast(0, 1, 1, 0.1, 20, (49, 9_000), 500), "49 units"),
        (Contrast(1, 1, 0, 0.0, 20, (900, 900), 0), "nothing varies"),
        (Contrast(0, 1, 1, 0.1, 20, (900, 900), 3.2), "3 effective units"),
    ],
)
def test_there_is_no_interval_before_the_central_limit_theorem(contrast: Contrast, why: str) -> None:
    assert why in unusable(contrast)
    assert interval(contrast, 0.05) is None
    assert log_evalue(contrast, 0.0, 0.05) is None
    assert needed(contrast, 0.0, 0.05) is None
