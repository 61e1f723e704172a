"""How often answers are called off that come true: `python -m benchmarks.claims [YEARS]`.

Weekly looks at labels, whose days share a chance of their own that may be like that of the day before. Beside the bets
in use stand the same bets of somebody who takes days for independent, and what is done often: an alarm when a 95 %
interval of the newest week leaves the claim out. Then weeks until answers that are off are found.

All years are played at once, which is what makes so many of them possible; a few are judged by gitml itself as well,
look by look, and have to come out the same.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

import numpy as np

from benchmarks.harm import LOOKS, WEEK, alike
from gitml.monitoring.harm.calibration import DAY_ROWS, MOST_ALIKE, MOST_BET, CalibrationPlan, judge_calibration
from gitml.monitoring.harm.judge import Labelled

TOLERANCE, RATE, PROMOTIONS, LABELS = 0.01, 0.005, 12, 100
# Looks with which sequences of bets begin, and how many of them one lasts while rows are kept.
STARTS, KEPT = (1, 8, 16, 24, 32, 40, 48), 32
Table = np.ndarray


@dataclass(frozen=True)
class World:
    """The mean answer, the standard deviation of what a day shares, how alike neighbouring days are, and the share of
    that in what they share; the rest is drawn anew."""

    said: float
    sd: float
    by: float = 0.0
    share: float = 1.0

    def came(self, rng: np.random.Generator, years: int, off: float = 0.0) -> Table:
        """Years × days: the share of positive labels. What a day shares cannot make a chance negative."""
        days = LOOKS * WEEK
        slow = np.array([alike(rng, days, self.by) for _ in range(years)])
        drawn = math.sqrt(self.share) * slow + math.sqrt(1 - self.share) * rng.normal(size=(years, days))
        spread = math.log1p((self.sd / self.said) ** 2)
        chance = self.said * np.exp(math.sqrt(spread) * drawn - spread / 2) + off
        return rng.binomial(LABELS, np.clip(chance, 0, 1)) / LABELS


WORLDS = {
    "differ by chance": World(0.22, 0.0),
    "differ by .11": World(0.22, 0.11),
    "by .11, alike by .3": World(0.22, 0.11, 0.3),
    "by .11, alike by .5": World(0.22, 0.11, 0.5),
    "by .11, alike by .7": World(0.22, 0.11, 0.7),
    "by .2, alike by .5": World(0.22, 0.2, 0.5),
    "1 in 50, by .01, alike by .5": World(0.02, 0.01, 0.5),
    "half a drift over weeks": World(0.22, 0.11, 0.9, 0.5),
}


def level() -> float:
    return plan_of(1, RATE).level


def plan_of(look: int, rate: float) -> CalibrationPlan:
    return CalibrationPlan(TOLERANCE, rate, LOOKS, PROMOTIONS, look, look < KEPT, look * WEEK)


def first_off(came: Table, said: float) -> tuple[Table, Table]:
    """The first look of each year at which answers are called off, by the bets in use and by those that take days for
    independent; 0: none."""
    used, naive = np.zeros(len(came), int), np.zeros(len(came), int)
    for start in STARTS:
        days = came[:, (start - 1) * WEEK : min(LOOKS, start + KEPT - 1 - (start == 1)) * WEEK]
        looks = np.arange(WEEK, days.shape[1] + 1, WEEK)
        won = np.maximum(stakes(days, said), stakes(1 - days, 1 - said))[:, looks - 1]
        for place, count in enumerate(looks):
            look = start + place
            for first, power in ((used, stretches(days[:, :count])), (naive, 1.0)):
                hit = (won[:, place] >= -power * math.log(level())) & ((first == 0) | (first > look))
                first[hit] = look
    return used, naive


def stakes(came: Table, said: float) -> Table:
    """`calibration.won` after each day, for all years at once."""
    count = np.arange(came.shape[1])
    gains = came - said - TOLERANCE
    totals = np.cumsum(gains, axis=1)
    means = (totals - gains) / (count + 1)
    squares = said * (1 - said) / DAY_ROWS + np.cumsum((gains - totals / (count + 2)) ** 2, axis=1)
    before = np.column_stack([np.full(len(came), said * (1 - said) / DAY_ROWS), squares[:, :-1]])
    variances = before / (count + 1)
    bets = np.minimum(np.maximum(0, means / (variances + means**2)), MOST_BET / (said + TOLERANCE))
    return np.cumsum(np.log1p(bets * gains), axis=1)


def stretches(came: Table) -> Table:
    """`calibration.stretch` of each year."""
    apart = came - came.mean(axis=1, keepdims=True)
    squares = np.maximum((apart**2).sum(axis=1), 1e-300)
    found = np.clip((apart[:, 1:] * apart[:, :-1]).sum(axis=1) / squares, 0, MOST_ALIKE)
    return np.asarray((1 + found) / (1 - found))


def weekly(came: Table, said: float) -> Table:
    """Whether a 95 % interval of any week leaves the claim out."""
    weeks = came.reshape(len(came), LOOKS, WEEK)
    error = weeks.std(axis=2, ddof=1) / math.sqrt(WEEK)
    return np.asarray((np.abs(weeks.mean(axis=2) - said) > 1.96 * error).any(axis=1))


def judged(came: Table, said: float) -> int:
    """The first look of one year at which gitml calls answers off; 0: none."""
    for look in range(1, LOOKS + 1):
        days = np.arange(max(0, (look - KEPT) * WEEK), look * WEEK)
        # What is judged are means of days, so that one row may stand for all of a day.
        labels = Labelled(came[days], np.full(len(days), said), look - days // WEEK, days)
        found = judge_calibration(labels, plan_of(look, RATE))
        if found is not None and found.surely > TOLERANCE:
            return look
    return 0


def main() -> None:
    years = int(sys.argv[1]) if len(sys.argv) > 1 else 3_000
    rng = np.random.default_rng(22)
    print(f"answers that come true are called off, of {years:,} years of {LOOKS} weekly looks; promised {RATE}")
    for name, world in WORLDS.items():
        came = world.came(rng, years)
        used, naive = first_off(came, world.said)
        told = f"in use {np.mean(used > 0):.4f}   days taken for independent {np.mean(naive > 0):.4f}"
        print(f"  {name:<30} {told}   95 % interval of the week {weekly(came, world.said).mean():.3f}", flush=True)
    same = total = 0
    for name in ("differ by .11", "by .11, alike by .3", "by .11, alike by .5"):
        for off in (0.03, 0.06, 0.12):
            came = WORLDS[name].came(rng, 400, off)
            used = first_off(came, WORLDS[name].said)[0]
            same += sum(judged(came[i], WORLDS[name].said) == used[i] for i in range(3))
            total += 3
            when = np.median(np.where(used > 0, used, LOOKS + 1))
            print(
                f"  {name:<22} off by {off}: found in {np.mean(used > 0):.0%} of years, half of them by week {when:.0f}"
            )
    print(f"gitml itself, look by look: the same in {same} of {total} years")


if __name__ == "__main__":
    main()
