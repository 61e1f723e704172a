"""How often harm is called where there is none: `python -m benchmarks.harm [YEARS]`.

Weekly looks at labels of quiet models: the loss of a day is a draw of its own, skewed as losses are, or like that of
the day before, and the evaluation is a sample too. Every look judges the last 1, 2, 3, 4, 8, 16 and 32 weeks. Beside
the rule in use stands what is done often: an alarm when the newest window's 95 % interval lies above the value of the
evaluation.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from gitml.monitoring.harm.judge import HarmPlan, Labelled, Own, jackknife, judge_harm
from gitml.monitoring.harm.losses import mse
from gitml.verdict import Phase

LOOKS, WEEK = 52, 7
# A rate that can be measured; what is promised is a hundredth.
RATE = 0.2
# Rows with which a day stands in the table: its mean loss, so often that it has labels enough.
TIMES = 5
Days = Callable[[np.random.Generator, int], np.ndarray]

WORLDS: dict[str, Days] = {
    "even days": lambda rng, n: np.clip(rng.normal(0.2, 0.02, n), 0.001, 1),
    "1 error in 50, 40 labels a day": lambda rng, n: rng.binomial(40, 0.02, n) / 40,
    "1 error in 50, days differ": lambda rng, n: (
        rng.binomial(200, np.minimum(0.02 * rng.lognormal(-0.5, 1, n), 1)) / 200
    ),
    "lognormal losses, 40 labels a day": lambda rng, n: rng.lognormal(-1.125, 1.5, (n, 40)).mean(axis=1),
    "one bad day in 50": lambda rng, n: np.where(rng.random(n) < 0.02, 0.8, 0.1) + 0.01 * rng.random(n),
    "days like the one before, .3": lambda rng, n: np.clip(0.2 + 0.02 * alike(rng, n, 0.3), 0.001, 1),
    "days like the one before, .5": lambda rng, n: np.clip(0.2 + 0.02 * alike(rng, n, 0.5), 0.001, 1),
}


def alike(rng: np.random.Generator, n: int, by: float) -> np.ndarray:
    """Standard normal numbers of which neighbours correlate by so much."""
    drawn = rng.normal(size=n)
    for place in range(1, n):
        drawn[place] = by * drawn[place - 1] + np.sqrt(1 - by**2) * drawn[place]
    return drawn


def rows(losses: np.ndarray, first: int, last: int) -> Labelled:
    """Days ``first`` to ``last``, of which the newest is of look 1."""
    day = np.repeat(np.arange(first, last), TIMES)
    return Labelled(np.zeros(len(day)), np.sqrt(losses[day]), (last - 1 - day) // WEEK + 1, day)


def year(rng: np.random.Generator, days: Days, own_days: int, rate: float) -> tuple[bool, bool]:
    """Whether harm was called at any look, by the rule in use and by 95 % intervals."""
    before = rows(days(rng, own_days), 0, own_days)
    value, error, _ = jackknife(mse, before.truth, before.predicted, before.day)
    own = Own(value, value - 1.96 * error, value + 1.96 * error)
    losses, used, plain = days(rng, LOOKS * WEEK), False, False
    for look in range(1, LOOKS + 1):
        last = look * WEEK
        found, _ = judge_harm(rows(losses, max(0, last - 32 * WEEK), last), HarmPlan("mse", own, rate, LOOKS, 0.0))
        used |= found.phase is Phase.FAILED
        newest = losses[last - WEEK : last]
        plain |= newest.mean() - 1.96 * newest.std(ddof=1) / np.sqrt(WEEK) > value
    return used, plain


def main() -> None:
    years = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    rng = np.random.default_rng(22)
    print(f"share of {years} quiet years of {LOOKS} weekly looks in which harm is called")
    for own_days in (21, 90):
        for name, days in WORLDS.items():
            found = np.mean([year(rng, days, own_days, RATE) for _ in range(years)], axis=0)
            told = f"in use {found[0]:.3f}   95 % interval of the week {found[1]:.3f}"
            print(f"  promised {RATE}  evaluated on {own_days} days  {name:<34} {told}", flush=True)


if __name__ == "__main__":
    main()
