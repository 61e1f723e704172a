"""How often two versions are judged wrongly, and what a right verdict costs: `python -m benchmarks.judging [RUNS]`.

Every line is a world that is lived through RUNS times, with 100 looks each where it says nothing else. Beside the
method in use stands what is done often in its place. A share of wrong verdicts is to be .05 or less.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri, ndtri

from benchmarks.manylooks import LEVEL, Floats, Seen, cost, ever, means, moments, shares
from benchmarks.wholejudge import wrong
from gitml.stats import anytimet, asymptoticcs, betabinomial, contrast, delong, discordance, rates, sampleratio
from gitml.stats.eventcounts import EventCounts
from gitml.stats.eventcounts import log_evalue as more_events

LOOKS = 100
ONE_SIDE, TWO_SIDES = float(ndtri(1 - LEVEL)), float(ndtri(1 - LEVEL / 2))
WANTED = math.log(1 / LEVEL)
Random = np.random.Generator


@dataclass(frozen=True)
class Line:
    """``ours`` and ``naive``: shares of runs, or observations where ``unit`` says so; ``bar``: what ours is held to."""

    name: str
    ours: float
    bar: str
    naively: str = ""
    naive: float = math.nan
    unit: str = ""

    def __str__(self) -> str:
        mine, other = (f"{v:,.0f}" if self.unit else f"{v:.3f}" for v in (self.ours, self.naive))
        aside = f"{self.naively}: {other}" if self.naively else ""
        return f"  {self.name:<62} {mine:>7} {self.unit:<8} {self.bar:<9} {aside}".rstrip()


def arms(rng: Random, runs: int, old: float, new: float, ratio: int = 1) -> Seen:
    """Both arms grow by 100 units a look, the champion by ``ratio`` times as many."""
    n = 100 * np.arange(1.0, LOOKS + 1)[None, :, None] * np.ones((runs, 1, 1))
    ones = [rng.binomial(100 * r, p, (runs, LOOKS)).cumsum(1)[..., None] for r, p in ((ratio, old), (1, new))]
    return shares(ones[0], n * ratio, ones[1], n)


def same(rng: Random, runs: int) -> Iterator[Line]:
    seen = arms(rng, runs, 0.1, 0.1)
    naive = ever(np.abs(seen.z()) >= TWO_SIDES)
    yield Line("10 % and 10 %: promoted as better", ever(seen.crossed(0, "low")), "<= .05", "z-test each look", naive)
    for name, ratio, rate in (("9 times the champion", 9, 0.1), ("99 times the champion, 2 %", 99, 0.02)):
        seen = arms(rng, runs, rate, rate, ratio)
        wrong, naive = max(map(ever, seen.either())), ever(np.abs(seen.z()) >= TWO_SIDES)
        yield Line(f"the same with {name}: either end", wrong, "<= .05", "z-test each look", naive)


def margin(rng: Random, runs: int) -> Iterator[Line]:
    seen = arms(rng, runs, 0.10, 0.09)
    naive = ever(seen.z(-0.01) >= ONE_SIDE)
    ours = ever(seen.crossed(-0.01, "low"))
    yield Line("10 % and 9 %, margin .01: promoted", ours, "<= .05", "z-test each look", naive)
    passed = arms(rng, runs, 0.10, 0.10).crossed(-0.02, "low")
    yield Line("10 % and 10 %, margin .02: promoted", ever(passed), ">= .93")
    yield Line("  what it takes on average", cost(passed, 100), unit="an arm", bar="")


def power(rng: Random, runs: int) -> Iterator[Line]:
    seen = arms(rng, runs, 0.10, 0.12)
    passed, last = seen.crossed(0, "low"), float((seen.z()[:, -1] >= ONE_SIDE).mean())
    yield Line("10 % and 12 %, at most 10,000 an arm: promoted", ever(passed), ">= .93", "one look at the end", last)
    yield Line("  what it takes on average", cost(passed, 100), "<= 4,700", "one look at the end", 10_000, "an arm")


def pairs(rng: Random, runs: int) -> Iterator[Line]:
    def drawn(wins: float, losses: float) -> tuple[Floats, Floats, Floats]:
        x = rng.multinomial(100, [wins, losses, 1 - wins - losses], (runs, LOOKS)).cumsum(1)
        z = (x[..., 0] - x[..., 1]) / np.sqrt(np.maximum(x[..., 0] + x[..., 1], 1))
        e = betabinomial.log_evalue(x[..., 0], x[..., 0] + x[..., 1], 0.5, side="low", tuned=discordance.TUNED)
        return x, e, z

    passed = drawn(0.04, 0.02)[1] >= WANTED
    yield Line("pairs, only one right in 4 % and 2 %: promoted", ever(passed), ">= .93")
    yield Line("  what it takes on average", cost(passed, 100), "<= 1,650", unit="pairs")
    _, evidence, z = drawn(0.03, 0.03)
    naive = ever(z >= ONE_SIDE)
    yield Line("pairs, 3 % and 3 %: promoted", ever(evidence >= WANTED), "<= .05", "McNemar each look", naive)
    wrong, naive = (ever(v) for v in lost_pairs(drawn(0.0, 0.01)[0]))
    yield Line("pairs, none and 1 %, margin .01: promoted", wrong, "<= .05", "z-test each look", naive)


def lost_pairs(x: Floats) -> tuple[Floats, Floats]:
    """``rates.paired`` against a margin of .01 where the candidate never wins, and a z-test of the same."""
    losses, n = x[..., 1].astype(float), x.sum(-1).astype(float)
    p = losses / n
    carriers = losses * (1 - p) / ((1 - p) ** 3 + p**3)
    seen = Seen(-p, np.sqrt(p * (1 - p) / (n - 1)), n, carriers, n)
    exactly = betabinomial.log_evalue(losses, n, 0.01, side="high") >= math.log(2 / (rates.EXACT * LEVEL))
    naive = (seen.z(-0.01) >= ONE_SIDE) & (losses > 0)
    return exactly | seen.crossed(-0.01, "low", (1 - rates.EXACT) * LEVEL), naive


def users(rng: Random, runs: int) -> Iterator[Line]:
    """20 requests of each user, whose rate of success is a draw of its own, 10 % on average."""
    by_user, by_request = [], []
    n = np.broadcast_to(400.0 * np.arange(1, LOOKS + 1), (1, LOOKS))[..., None]
    for part in _parts(runs, 250):
        rows = [rng.binomial(20, rng.beta(0.4, 3.6, (part, 20 * LOOKS))) for _ in range(2)]
        old, new = (moments(r / 20, 20) for r in rows)
        by_user.append(means(old, new).crossed(0, "low"))
        by_request.append(shares(old[0][..., None] * n, n, new[0][..., None] * n, n).crossed(0, "low"))
    ours, naive = (ever(np.concatenate(v)) for v in (by_user, by_request))
    yield Line("20 requests a user, no difference: promoted", ours, "<= .05", "same method by request", naive)


def returning(rng: Random, runs: int) -> Iterator[Line]:
    """No new units, and more known of each: four requests a day."""
    days, size, ours, naive = np.arange(1.0, 51), 200, [], []
    for part in _parts(runs, 250):
        rate = rng.beta(2, 18, (2, part, size))[..., None]
        so_far = rng.binomial(4, rate, (2, part, size, len(days))).cumsum(-1) / (4 * days)
        p = so_far.mean(2)
        spread = (so_far - p[:, :, None]) ** 2
        variance = (spread.sum(2) / (size - 1) / size).sum(0)
        alone = (p * (1 - p) / (4 * size * days - 1)).sum(0)
        carriers = (spread.sum(2) ** 2 / np.maximum((spread**2).sum(2), 1e-30)).min(0)
        clock = 2 * size * days * variance / alone
        seen = Seen(p[1] - p[0], np.sqrt(variance), clock, carriers, np.full(clock.shape, float(size)))
        ours.append(seen.crossed(0, "low"))
        naive.append(np.abs(p[1] - p[0]) / np.sqrt(alone) >= TWO_SIDES)
    wrong, naively = (ever(np.concatenate(v)) for v in (ours, naive))
    yield Line("200 users who return on 50 days: promoted", wrong, "<= .05", "z-test by request", naively)


def ratio(rng: Random, runs: int) -> Iterator[Line]:
    found = {}
    for share in (0.5, 0.52):
        ones = rng.binomial(200, share, (runs, LOOKS)).cumsum(1)
        n = 200 * np.arange(1, LOOKS + 1)
        evidence = np.stack([_each(_uneven(int(m)), ones[:, i]) for i, m in enumerate(n)], axis=1)
        squared = (ones - n / 2) ** 2 / (n / 4) >= chdtri(1, sampleratio.LEVEL)
        found[share] = evidence >= math.log(1 / sampleratio.LEVEL), squared
    wrong, naive = map(ever, found[0.5])
    yield Line("sample ratio 50/50: called broken", wrong, "<= .005", "chi-squared each look", naive)
    yield Line("sample ratio 52/48, 20,000 units: called broken", ever(found[0.52][0]), ">= .93")
    yield Line("  what it takes on average", cost(found[0.52][0], 200), "", unit="units")


def _uneven(n: int) -> Callable[[int], float]:
    return lambda k: sampleratio.log_evalue([[k, n - k]], [[0.5, 0.5]])


def _each(function: Callable[[int], float], values: Floats) -> Floats:
    different, places = np.unique(values, return_inverse=True)
    return np.array([function(int(v)) for v in different])[places]


def late(rng: Random, runs: int) -> Iterator[Line]:
    """10 % convert, three days later on average. The champion was exposed for nine days when the candidate came.

    A unit counts when seven days have gone by since it was exposed, with what it did in these.
    """
    days, started, window, a_day = 28, 9, 7, 500
    done = 0.1 * (1 - np.exp(-np.arange(1, days + started + 1) / 3))
    shape = (2, runs, days + started)
    converted = rng.multinomial(a_day, [*np.diff(done, prepend=0.0), 1 - done[-1]], shape)[..., :-1].cumsum(-1)
    all_labels, matured = [], []
    for look in range(started + 1, days + started + 1):
        so_far = np.stack([converted[..., day, look - day - 1] for day in range(look)], axis=-1)
        all_labels.append((so_far[0].sum(-1), look, so_far[1][:, started:].sum(-1), look - started))
        last = max(look - window + 1, started)
        ripe = converted[..., started:last, window - 1].sum(-1)
        matured.append((ripe[0], last - started, ripe[1], last - started))
    ours = _of_looks(matured, runs, a_day).crossed(0, "high")
    naive = _of_looks(all_labels, runs, a_day).z() <= -TWO_SIDES
    yield Line("late labels, identical: called worse in 28 days", ever(ours), "<= .05", "all labels", ever(naive))
    yield Line("  on the fifth day, the champion's 14th", ever(ours[:, :5]), "0", "all labels", ever(naive[:, 4:5]))


def _of_looks(looks: list[tuple[Floats, int, Floats, int]], runs: int, a_day: int) -> Seen:
    ones = [np.stack([look[arm] for look in looks], axis=1)[..., None] for arm in (0, 2)]
    n = [
        np.broadcast_to(a_day * np.array([float(look[arm]) for look in looks]), (runs, len(looks)))[..., None]
        for arm in (1, 3)
    ]
    return shares(ones[0], n[0], ones[1], n[1])


def raised(rng: Random, runs: int) -> Iterator[Line]:
    """Fifty looks at a weight of 1 % and 10 % errors, then fifty at 50 % in a week with 20 %; 1,000 units a look."""
    weight, rate = (np.repeat(pair, LOOKS // 2) for pair in ([0.01, 0.5], [0.1, 0.2]))
    epochs = np.repeat([[1.0, 0.0], [0.0, 1.0]], LOOKS // 2, axis=0)
    units = rng.binomial(1_000, weight, (runs, LOOKS))
    columns = (rng.binomial(1_000 - units, rate), 1_000 - units, rng.binomial(units, rate), units)
    old, of_old, new, of_new = ((column[..., None] * epochs).cumsum(1) for column in columns)
    wrong = max(map(ever, shares(old, of_old, new, of_new).either()))
    together = shares(*(column.sum(-1, keepdims=True) for column in (old, of_old, new, of_new)))
    naive = ever(together.crossed(0, "low"))
    yield Line("weight raised 1 to 50 % in a bad week: either end", wrong, "<= .05", "same without epochs", naive)


def rare(rng: Random, runs: int) -> Iterator[Line]:
    """Errors of .1 % of 200 units a look and arm; a candidate that is no worse, and one that is three times as bad."""
    found = {}
    for times in (1, 3):
        old, new = (rng.binomial(200, p, (runs, LOOKS)).cumsum(1) for p in (0.001, 0.001 * times))
        fewer, more = (range(int(counts.max()) + 1) for counts in (old, new))
        evidence = np.array([[more_events(EventCounts(i, j, 1, 1)) for j in more] for i in fewer])
        z = (new - old) / np.sqrt(np.maximum(old + new, 1))
        found[times] = evidence[old, new] >= WANTED, np.abs(z) >= TWO_SIDES
    wrong, naive = map(ever, found[1])
    yield Line("errors of .1 % in both arms: called worse", wrong, "<= .05", "z-test each look", naive)
    yield Line("errors of .1 % and .3 %, 20,000 an arm: called worse", ever(found[3][0]), ">= .93")
    yield Line("  what it takes on average", cost(found[3][0], 200), "", unit="an arm")


def by_days(rng: Random, runs: int) -> Iterator[Line]:
    """Costs of 900 pairs a day, looked at each day: the candidate gains on some days and loses on others, ``apart``
    dollars; noise of a pair is 8 dollars. ``alike``: how much a day is like the one before."""
    day = np.arange(1.0, 29)
    by_pair = np.array([asymptoticcs.radius(900 * n, LEVEL, side="low") for n in day])
    reach = np.array([anytimet.radius(int(n), LEVEL) for n in day])
    for name, gain, apart, alike in (
        ("no difference", 0.0, 0.8, 0.0),
        ("no difference, twice as far apart", 0.0, 1.6, 0.0),
        ("no difference, each like the one before by .4", 0.0, 0.8, 0.4),
        ("a gain of 1 dollar", 1.0, 0.8, 0.0),
    ):
        moved = rng.standard_normal((runs, len(day)))
        for n in range(1, len(day)):
            moved[:, n] = alike * moved[:, n - 1] + math.sqrt(1 - alike**2) * moved[:, n]
        seen = gain + apart * moved + 8 / 30 * rng.standard_normal((runs, len(day)))
        mean = seen.cumsum(1) / day
        spread = np.maximum((seen**2).cumsum(1) / day - mean**2, 1e-300) / np.maximum(day - 1, 1)
        alone = np.sqrt((64 + apart**2) / (900 * day))
        naive = mean > alone * by_pair
        ours = naive & (mean > np.sqrt(spread) * reach)
        bar = ">= .93" if gain else "" if alike else "<= .05"
        yield Line(f"days are apart, {name}: promoted", ever(ours), bar, "same method by pair", ever(naive))
        if gain:
            yield Line("  what it takes on average", cost(ours, 1), "", unit="days")


def skewed(rng: Random, runs: int) -> Iterator[Line]:
    """Values of which a few are huge; nine times as many of the champion, which is the harder case."""
    draws: dict[str, Callable[[tuple[int, int]], Floats]] = {
        "exponential": lambda size: rng.standard_exponential(size),
        "lognormal, sigma 1.5": lambda size: np.exp(1.5 * rng.standard_normal(size)),
        "Pareto, index 2.5": lambda size: rng.pareto(2.5, size),
        "5 % buy, lognormal": lambda size: np.exp(rng.standard_normal(size)) * (rng.random(size) < 0.05),
    }
    for name, draw in draws.items():
        either, naive = [], []
        for part in _parts(runs, 250):
            seen = means(moments(draw((part, 18_000)), 180), moments(draw((part, 2_000)), 20))
            either.append(seen.either())
            naive.append(np.abs(seen.z()) >= TWO_SIDES)
        wrong = max(ever(np.concatenate(end)) for end in zip(*either, strict=True))
        naively = ever(np.concatenate(naive))
        yield Line(f"{name}, 2,000 and 18,000: either end", wrong, "<= .05", "z-test each look", naively)


def areas(rng: Random, runs: int) -> Iterator[Line]:
    """Two models as good as each other, on the same rows, at five looks of 400."""
    ours, naive = [], []
    for _ in range(runs):
        truth = (rng.random(2_000) < 0.2).astype(float)
        scores = truth + rng.normal(size=2_000) + 0.7 * rng.normal(size=(2, 2_000))
        looks = [[delong.auc(np.arange(n), truth[:n], s[:n]) for s in scores] for n in range(400, 2_001, 400)]
        seen = [contrast.paired(*both) for both in looks]
        ends = [asymptoticcs.interval(c, LEVEL, side="low") for c in seen]
        ours.append([end is not None and end.low > 0 for end in ends])
        naive.append([abs(c.difference) >= TWO_SIDES * c.error for c in seen])
    wrong, naively = (ever(np.array(v)) for v in (ours, naive))
    yield Line("area under the ROC curve, pairs, 5 looks: promoted", wrong, "<= .05", "DeLong each look", naively)


def whole(rng: Random, runs: int) -> Iterator[Line]:
    """A fiftieth of the runs: each is a hundred judgements of rows."""
    for name, share in wrong(rng, max(1, runs // 50), LOOKS):
        yield Line(f"whole: {name}", share, "<= .05")


def _parts(runs: int, size: int) -> list[int]:
    return [min(size, runs - done) for done in range(0, runs, size)]


WORLDS: tuple[Callable[[Random, int], Iterator[Line]], ...] = (
    same,
    margin,
    power,
    pairs,
    users,
    returning,
    ratio,
    late,
    raised,
    rare,
    skewed,
    areas,
    whole,
    by_days,
)


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    print(f"{runs} runs, level {LEVEL}")
    for number, world in enumerate(WORLDS):
        for line in world(np.random.default_rng(20261130 + number), runs):
            print(line, flush=True)


if __name__ == "__main__":
    main()
