"""How often answers that tell rows apart as they say are called worse: `python -m benchmarks.slopes [YEARS]`.

Weekly looks at quiet models, of which as much of a difference between answers comes true as nobody minds (.9), and at
ones of which less does. What a day adds is a draw of its own, skewed, or like that of the day before; calm and rough
months take turns; storms in which answers are worth much more are rare, so that all other days lie a little lower. The
evaluation of three weeks is a sample of the same days. Beside the rule in use stands what is done often: an alarm when
a 95 % interval of the newest four weeks lies below .9.

A rate of .0033 shows in thousands of years alone, so all years of a world are judged at once: `judge_years` is the
arithmetic of `judge_slope` for days of equal weight, and `tests/monitoring/test_slope.py` holds one against the other.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from scipy.special import betaincinv, stdtrit

from gitml.monitoring.harm.slope import LEAST_DAYS, MANY_DAYS
from gitml.monitoring.promise import WINDOWS

LOOKS, WEEK = 52, 7
TOLERANCE, OWN_DAYS = 0.1, 21
# What is promised of one monitor, and a rate that a few hundred years show.
RATES = (0.0033, 0.2)
AT_ONCE = 1_000
Years = np.ndarray  # of shape (years, days)
Days = Callable[[np.random.Generator, tuple[int, int]], Years]


def alike(rng: np.random.Generator, shape: tuple[int, int], by: float) -> Years:
    """Standard normal numbers of which neighbours in a year correlate by so much."""
    drawn = rng.normal(size=shape)
    for day in range(1, shape[1]):
        drawn[:, day] = by * drawn[:, day - 1] + np.sqrt(1 - by**2) * drawn[:, day]
    return drawn


def _rough_months(rng: np.random.Generator, shape: tuple[int, int]) -> Years:
    years, days = shape
    sd = np.repeat(np.where(rng.random((years, days // 30 + 1)) < 0.5, 0.15, 0.6), 30, axis=1)[:, :days]
    found: Years = sd * rng.normal(size=shape)
    return found


# What a day adds to the slope, 0 in the mean: flights differ by .46.
WORLDS: Mapping[str, Days] = {
    "differ by .46": lambda rng, shape: 0.46 * rng.normal(size=shape),
    "alike by .3": lambda rng, shape: 0.46 * alike(rng, shape, 0.3),
    "alike by .5": lambda rng, shape: 0.46 * alike(rng, shape, 0.5),
    "alike by .7": lambda rng, shape: 0.46 * alike(rng, shape, 0.7),
    "skewed (lognormal)": lambda rng, shape: 0.46 * (rng.lognormal(-0.5, 1, shape) - 1),
    "a storm of 3 in 1 of 20 days": lambda rng, shape: np.where(rng.random(shape) < 0.05, 3.0, -0.15 / 0.95),
    "calm and rough months": _rough_months,
    "half a drift over weeks": lambda rng, shape: (
        0.46 * np.sqrt(0.5) * (alike(rng, shape, 0.9) + rng.normal(size=shape))
    ),
}


def judge_years(own: Years, live: Years, rates: tuple[float, ...], from_look: int = 1) -> np.ndarray:
    """Of each rate and year the first look that calls harm, 0 for none.

    ``own`` has the slope of each evaluated day, ``live`` that of each day since.
    """
    first = np.zeros((len(rates), len(own)), dtype=np.int64)
    own_error = _spread(own) / np.sqrt(own.shape[1])
    held = own.mean(axis=1) + 1.96 * own_error >= 1 - TOLERANCE
    for look in range(from_look, live.shape[1] // WEEK + 1):
        parts = [*_windows(live, look)]
        if not parts:
            continue
        longest = parts[-1][1]
        spread, persistent = np.maximum(_spread(own), _spread(longest)), _persistence(longest)
        for window, days in parts:
            count = days.shape[1]
            alike = _persistence(days)
            if count < MANY_DAYS:
                alike = np.maximum(alike, persistent)
            error = np.sqrt((1 + alike) / (1 - alike)) * np.maximum(_spread(days), spread) / np.sqrt(count)
            for place, rate in enumerate(rates):
                quantile = float(-stdtrit(count - 1, rate * WINDOWS[window] / LOOKS))
                called = held & (days.mean(axis=1) + quantile * error < 1 - TOLERANCE)
                first[place, called & (first[place] == 0)] = look
    return first


def _windows(live: Years, look: int) -> Iterator[tuple[int, Years]]:
    """As many looks as there are of each window that begins earlier than the one before."""
    shorter = 0
    for window in WINDOWS:
        days = live[:, max(0, (look - window) * WEEK) : look * WEEK]
        if look > shorter and days.shape[1] >= LEAST_DAYS:
            yield window, days
        shorter = window


def _spread(days: Years) -> np.ndarray:
    found: np.ndarray = days.std(axis=1, ddof=1)
    return found


def _persistence(days: Years) -> np.ndarray:
    apart = days - days.mean(axis=1, keepdims=True)
    square = (apart**2).sum(axis=1)
    near = np.divide((apart[:, 1:] * apart[:, :-1]).sum(axis=1), square, out=np.zeros(len(days)), where=square > 0)
    found: np.ndarray = np.clip(near + 1 / np.sqrt(days.shape[1]), 0.0, 0.9)
    return found


def naive(live: Years) -> np.ndarray:
    """Whether 95 % intervals of the newest four weeks call harm at any look."""
    called = np.zeros(len(live), dtype=bool)
    for look in range(4, LOOKS + 1):
        days = live[:, (look - 4) * WEEK : look * WEEK]
        called |= days.mean(axis=1) + 1.96 * _spread(days) / np.sqrt(days.shape[1]) < 1 - TOLERANCE
    return called


def drawn(rng: np.random.Generator, days: Days, years: int, off: float) -> tuple[Years, Years]:
    """Slopes of evaluated days, and of those since, which are lower by ``off``."""
    return 1 + days(rng, (years, OWN_DAYS)), 1 - off + days(rng, (years, LOOKS * WEEK))


def rates_of(name: str, years: int) -> tuple[np.ndarray, float]:
    """How many years call harm at each rate, and the share in which the naive rule does."""
    rng, called, plain = np.random.default_rng(22), np.zeros(len(RATES), dtype=np.int64), 0
    for start in range(0, years, AT_ONCE):
        own, live = drawn(rng, WORLDS[name], min(AT_ONCE, years - start), TOLERANCE)
        called += (judge_years(own, live, RATES) > 0).sum(axis=1)
        plain += int(naive(live).sum())
    return called, plain / years


def main() -> None:
    years = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    print(f"answers called worse than they say, of {years:,} quiet years of {LOOKS} weekly looks (at most, at 95 %)")
    for name in WORLDS:
        called, plain = rates_of(name, years)
        told = [
            f"promised {rate}: {hits / years:.4f} ({betaincinv(hits + 1, years - hits, 0.95):.4f})"
            for rate, hits in zip(RATES, called.tolist(), strict=True)
        ]
        print(f"  {name:<30} {'   '.join(told)}   95 % interval of four weeks {plain:.2f}", flush=True)
    for name in ("differ by .46", "alike by .3", "alike by .5"):
        for off in (0.3, 0.5, 0.7):
            first = judge_years(*drawn(np.random.default_rng(23), WORLDS[name], 400, off), RATES[:1])[0]
            when = np.median(np.where(first > 0, first, LOOKS + 1))
            found = f"found in {(first > 0).mean():.0%}, half by week {when:.0f}"
            print(f"  {name:<30} {off:.0%} of a difference is lost: {found}", flush=True)


if __name__ == "__main__":
    main()
