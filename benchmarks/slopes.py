"""How often answers that tell rows apart as they say are called worse: `python -m benchmarks.slopes [YEARS]`.

Weekly looks at quiet models, of which as much of a difference between answers comes true as nobody minds (.9), and at
ones of which less does. What a day adds is a draw of its own, skewed, or like that of the day before; calm and rough
months take turns; storms in which answers are worth much more are rare, so that all other days lie a little lower. The
evaluation of three weeks is a sample of the same days. Beside the rule in use stands what is done often: an alarm when
a 95 % interval of the newest four weeks lies below .9.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

from benchmarks.harm import LOOKS, WEEK, alike
from gitml.monitoring.harm.judge import Labelled
from gitml.monitoring.harm.slope import DayAnswers, SlopePlan, judge_slope, own_spread

TOLERANCE, OWN_DAYS, KEPT = 0.1, 21, 32
# What is promised of one monitor, and a rate that can be measured.
RATES = (0.0033, 0.2)
Days = Callable[[np.random.Generator, int], np.ndarray]


def _rough_months(rng: np.random.Generator, n: int) -> np.ndarray:
    sd = np.repeat(np.where(rng.random(n // 30 + 1) < 0.5, 0.15, 0.6), 30)[:n]
    return sd * rng.normal(size=n)


# What a day adds to the slope, 0 in the mean: flights differ by .46.
WORLDS: dict[str, Days] = {
    "differ by .46": lambda rng, n: 0.46 * rng.normal(size=n),
    "alike by .3": lambda rng, n: 0.46 * alike(rng, n, 0.3),
    "alike by .5": lambda rng, n: 0.46 * alike(rng, n, 0.5),
    "alike by .7": lambda rng, n: 0.46 * alike(rng, n, 0.7),
    "skewed (lognormal)": lambda rng, n: 0.46 * (rng.lognormal(-0.5, 1, n) - 1),
    "a storm of 3 in 1 of 20 days": lambda rng, n: np.where(rng.random(n) < 0.05, 3.0, -0.15 / 0.95),
    "calm and rough months": _rough_months,
    "half a drift over weeks": lambda rng, n: 0.46 * np.sqrt(0.5) * (alike(rng, n, 0.9) + rng.normal(size=n)),
}


def rows(added: np.ndarray, first: int, last: int) -> Labelled:
    """Two rows a day, of answers .4 and .6, whose labels are means: they differ by what the day makes of it."""
    day = np.repeat(np.arange(first, last), 2)
    side = np.tile([-0.1, 0.1], last - first)
    return Labelled(0.5 + side * (1 + added[day]), 0.5 + side, (last - 1 - day) // WEEK + 1, day)


def year(rng: np.random.Generator, days: Days, rate: float, off: float = 0.0) -> tuple[int, bool]:
    """The first look at which harm is called, 0 for none, and whether 95 % intervals of four weeks do at any."""
    own = rows(days(rng, OWN_DAYS), 0, OWN_DAYS)
    spread = own_spread(own.truth, own.predicted, own.day, TOLERANCE)
    added, first = days(rng, LOOKS * WEEK) - off, 0
    naive = any(_naive(added[(look - 4) * WEEK : look * WEEK]) for look in range(4, LOOKS + 1))
    for look in range(4, LOOKS + 1) if spread is not None else ():
        last = look * WEEK
        plan = SlopePlan(TOLERANCE, rate, LOOKS, spread or 0.0, last)
        found = judge_slope(rows(added, max(0, last - KEPT * WEEK), last), plan)
        if found is not None and found.most < 1 - TOLERANCE:
            return look, naive
    return first, naive


def _naive(added: np.ndarray) -> bool:
    found = DayAnswers(1 + added, np.ones(len(added)))
    return found.slope + 1.96 * found.error < 1 - TOLERANCE


def main() -> None:
    years = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    rng = np.random.default_rng(22)
    print(f"answers called worse than they say, of {years:,} quiet years of {LOOKS} weekly looks")
    for name, days in WORLDS.items():
        told = []
        for rate in RATES:
            found = [year(rng, days, rate, TOLERANCE) for _ in range(years)]
            told.append(f"promised {rate}: {np.mean([first > 0 for first, _ in found]):.3f}")
        naive = np.mean([often for _, often in found])
        print(f"  {name:<30} {'   '.join(told)}   95 % interval of four weeks {naive:.2f}", flush=True)
    for name in ("differ by .46", "alike by .3", "alike by .5"):
        for off in (0.3, 0.5, 0.7):
            seen = [first for first, _ in (year(rng, WORLDS[name], RATES[0], off) for _ in range(years // 4))]
            when = np.median([first or LOOKS + 1 for first in seen])
            share = np.mean([first > 0 for first in seen])
            print(f"  {name:<30} {off:.0%} of a difference is lost: found in {share:.0%}, half by week {when:.0f}")


if __name__ == "__main__":
    main()
