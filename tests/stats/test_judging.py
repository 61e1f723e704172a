"""The simulations of `benchmarks/judging.py`, small. Those of 5,000 runs are in docs/explanation/judging.md."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from gitml.stats import asymptoticcs, contrast, rates
from gitml.stats.deltamethod import ratio
from gitml.stats.influence import mean

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def judging() -> ModuleType:
    sys.path.insert(0, str(ROOT))
    try:
        return importlib.import_module("benchmarks.judging")
    finally:
        sys.path.remove(str(ROOT))


def of(judging: ModuleType, world: str, runs: int) -> dict[str, tuple[float, float]]:
    lines = getattr(judging, world)(np.random.default_rng(7), runs)
    return {line.name.strip(): (line.ours, line.naive) for line in lines}


def test_the_simulation_judges_as_the_library(judging: ModuleType) -> None:
    """One run of epochs with arms of different size, look by look, unit by unit."""
    rng = np.random.default_rng(3)
    of_old, of_new = np.array([[900.0, 0], [900, 400]]), np.array([[90.0, 0], [90, 420]])
    ones = [rng.binomial(n.astype(int), 0.4) for n in (of_old, of_new)]
    seen = judging.shares(ones[0][None], of_old[None], ones[1][None], of_new[None])
    for look in (0, 1):
        strata = []
        for epoch in (0, 1)[: look + 1]:
            first = 10_000 * epoch
            strata.append(
                tuple(
                    mean(np.arange(first + 5_000 * arm, first + 5_000 * arm + int(n)), np.arange(n) < k)
                    for arm, (k, n) in enumerate(
                        [(ones[0][look, epoch], of_old[look, epoch]), (ones[1][look, epoch], of_new[look, epoch])]
                    )
                )
            )
        found = contrast.split(strata)
        assert found is not None
        for field in ("difference", "error", "clock", "carriers"):
            assert getattr(seen, field)[0, look] == pytest.approx(getattr(found, field), rel=0.02), field
        for null in np.linspace(-0.3, 0.3, 41):
            low = asymptoticcs.interval(found, 0.05, side="low")
            assert low is not None
            if abs(low.low - null) > 0.002:
                assert bool(seen.crossed(null, "low")[0, look]) == (low.low > null)


def test_so_does_that_of_means_and_of_lost_pairs(judging: ModuleType) -> None:
    rng = np.random.default_rng(4)
    old, new = rng.exponential(size=(2, 1, 600))
    seen = judging.means(judging.moments(old, 300), judging.moments(new, 300))
    found = contrast.split([(mean(range(600), old[0]), mean(range(600, 1_200), new[0]))])
    assert found is not None
    for field in ("difference", "error", "clock", "carriers"):
        assert getattr(seen, field)[0, 1] == pytest.approx(getattr(found, field), rel=0.01), field
    for losses, pairs in ((0, 900), (0, 1_200), (9, 1_900), (9, 2_300), (60, 7_000), (60, 9_000)):
        passed, _ = judging.lost_pairs(np.array([[[0, losses, pairs - losses]]]))
        apart = ratio(
            range(pairs), [-1.0] * losses + [0.0] * (pairs - losses), np.ones(pairs), np.arange(pairs) < losses
        )
        low = rates.paired(contrast.differences(apart, 1.0), 0, losses, pairs, 0.05, side="low").low
        assert bool(passed[0, 0]) == (low > -0.01)


def test_a_look_each_hour_promotes_too_often_and_this_does_not(judging: ModuleType) -> None:
    """Armitage, McPherson & Rowe (1969), table 2: a hundred looks at the 5 % level reject in 37 %."""
    ours, naive = of(judging, "same", 700)["10 % and 10 %: promoted as better"]
    assert ours <= 0.04
    assert naive == pytest.approx(0.374, abs=0.055)
    assert of(judging, "margin", 300)["10 % and 9 %, margin .01: promoted"][0] <= 0.05


def test_what_a_verdict_costs(judging: ModuleType) -> None:
    found = of(judging, "power", 150)
    assert found["10 % and 12 %, at most 10,000 an arm: promoted"][0] >= 0.93
    assert found["what it takes on average"][0] <= 4_700
    found = of(judging, "pairs", 60)
    assert found["what it takes on average"][0] <= 1_650
    assert found["pairs, 3 % and 3 %: promoted"][0] <= 0.05
    assert found["pairs, none and 1 %, margin .01: promoted"][0] <= 0.05


def test_users_are_one_draw(judging: ModuleType) -> None:
    ours, naive = of(judging, "users", 250)["20 requests a user, no difference: promoted"]
    assert ours <= 0.05
    assert naive >= 0.2


def test_neither_late_labels_nor_a_bad_week_are_the_candidates_fault(judging: ModuleType) -> None:
    late = of(judging, "late", 300)
    assert late["late labels, identical: called worse in 28 days"][0] <= 0.05
    assert late["on the fifth day, the champion's 14th"] == (0, pytest.approx(1, abs=0.05))
    ours, naive = of(judging, "raised", 300)["weight raised 1 to 50 % in a bad week: either end"]
    assert ours <= 0.05
    assert naive > 0.9


def test_rare_errors_and_a_broken_split(judging: ModuleType) -> None:
    rare = of(judging, "rare", 60)
    assert rare["errors of .1 % in both arms: called worse"][0] <= 0.05
    assert rare["errors of .1 % and .3 %, 20,000 an arm: called worse"][0] >= 0.85
    split = of(judging, "ratio", 20)
    assert split["sample ratio 50/50: called broken"][0] == 0
    assert split["sample ratio 52/48, 20,000 units: called broken"][0] >= 0.85


# By day tests/rollout/test_judge.py judges each of these worlds once.
@pytest.mark.nightly
def test_the_whole_judgement_rarely_errs_at_any_look(judging: ModuleType) -> None:
    """Rows, sample ratio, guardrails and metric together: in a few tests of forty looks none goes wrong."""
    found = dict(judging.wrong(np.random.default_rng(7), 2, 40))
    assert set(found.values()) == {0.0}, found
    assert len(found) == 3
