"""The suitability filter: Welch's numbers, and how often it calls a model suitable that is not."""

from __future__ import annotations

import numpy as np
import pytest

from gitml.monitoring.estimates.answers import Suitability
from gitml.monitoring.estimates.rows import Evaluated, Rows
from gitml.monitoring.estimates.suitability import Mean, suitability, welch


def calibrated(count: int, seed: int, sharp: float = 2.0, days: int = 0, effect: float = 0.0) -> Evaluated:
    """Chances that hold; the accuracy falls with ``sharp``, and varies with an ``effect`` of the day."""
    rng = np.random.default_rng(seed)
    day = np.sort(rng.integers(0, days, count)) if days else np.arange(count)
    spread = sharp * (np.exp(effect * rng.normal(size=days))[day] if days else 1.0)
    p = 1 / (1 + np.exp(-spread * rng.normal(size=count)))
    return Evaluated(Rows(np.zeros((count, 0)), p, p[:, None], day), (rng.random(count) < p).astype(float), "binary")


def judged(evaluated: Evaluated, live: Rows, margin: float = 0.05) -> Suitability:
    found = suitability(evaluated, live, margin)
    assert not isinstance(found, str), found
    return found


@pytest.mark.parametrize("margin", [0.0, 0.05])
def test_p_values_are_those_of_welch_in_scipy(margin: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    user, test = rng.random(40) * 0.9, rng.random(90)
    wanted = stats.ttest_ind(user + margin, test, equal_var=False, alternative="greater").pvalue
    mine = welch(Mean(user.mean(), user.var(ddof=1), 40), Mean(test.mean(), test.var(ddof=1), 90), margin)
    assert mine == pytest.approx(wanted)


def test_a_model_that_is_as_sure_as_before_is_suitable_and_one_that_is_less_sure_is_not() -> None:
    evaluated = calibrated(8_000, 0)
    same, unsure = judged(evaluated, calibrated(4_000, 1).rows), judged(evaluated, calibrated(4_000, 1, sharp=0.7).rows)
    assert same.suitable
    assert same.accuracy == pytest.approx(same.evaluated, abs=0.02)
    assert not unsure.suitable
    assert unsure.p_value > 0.9


def test_few_rows_do_not_show_that_a_model_is_suitable() -> None:
    evaluated = calibrated(8_000, 0)
    assert not judged(evaluated, calibrated(40, 1).rows, margin=0.01).suitable


@pytest.mark.slow
@pytest.mark.parametrize("effect", [0.0, 0.6])
def test_at_the_margin_it_errs_in_one_of_twenty_windows_also_where_rows_of_a_day_are_alike(effect: float) -> None:
    """The margin is by how much windows lie below the evaluation on average: `suitable` is an error."""
    evaluated = calibrated(3_000, 0, days=60, effect=effect)
    windows = [calibrated(400, seed, days=20, effect=effect).rows for seed in range(1, 41)]
    once = [judged(evaluated, live) for live in windows]
    below = np.mean([found.evaluated - found.accuracy for found in once])
    found = [judged(evaluated, live, float(below)).suitable for live in windows]
    assert np.mean(found) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 40)


@pytest.mark.parametrize(
    ("evaluated", "live", "words"),
    [
        (calibrated(8, 0), calibrated(500, 1).rows, "too little"),
        (calibrated(500, 0), calibrated(8, 1).rows, "too little"),
        (Evaluated(calibrated(500, 0).rows, np.zeros(500), "numbers"), calibrated(500, 1).rows, "no chances"),
        (
            Evaluated(
                Rows(np.zeros((500, 0)), np.full(500, 2.0), np.full((500, 1), 2.0), np.arange(500)),
                np.ones(500),
                "binary",
            ),
            calibrated(500, 1).rows,
            "outside 0 to 1",
        ),
        (
            Evaluated(calibrated(500, 0).rows, (calibrated(500, 0).rows.predicted >= 0.5).astype(float), "binary"),
            calibrated(500, 1).rows,
            "all evaluated answers are right",
        ),
    ],
)
def test_what_it_cannot_tell(evaluated: Evaluated, live: Rows, words: str) -> None:
    found = suitability(evaluated, live, 0.05)
    assert isinstance(found, str)
    assert words in found


def test_scores_that_do_not_vary_are_no_error() -> None:
    p = np.full(400, 0.7)
    rows = Rows(np.zeros((400, 0)), p, p[:, None], np.arange(400))
    truth = (np.arange(400) % 10 < 7).astype(float)
    assert judged(Evaluated(rows, truth, "binary"), rows).suitable
