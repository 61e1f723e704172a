"""How often a KPI is said to have changed when nothing happened, and how often a change is seen:
`python -m benchmarks.impact [RUNS] [DAYS]`. Then what is found in series that others published.

A share of false claims is to be .06 or less for each kind of noise. Beside it stands what a comparison of the means
before and after claims, and what CausalImpact's assumption of a level that hardly moves does.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ttest_ind

from gitml.spec.kpis import Kpi
from gitml.success.design import Lacking, design_of
from gitml.success.impact import HORIZONS, agree, estimates, level_estimate, series_estimate
from gitml.success.interrupted import EffectEstimate, interrupted_ar1
from gitml.success.series import KpiDay, KpiSeries
from gitml.success.structural import structural_level

Floats = NDArray[np.float64]
BEFORE = 70
BAR = 0.06
FIRST = date(2026, 1, 5)
PUBLISHED = Path(__file__).parent / "published"


def noise(kind: str, count: int, seed: int) -> Floats:
    """Of variance 1 where it has one; a trend rises by 3 % of it a day, a walk by steps of .3."""
    rng = np.random.default_rng(seed)
    shocks = rng.normal(size=count + 200)
    if kind == "random walk":
        return np.cumsum(0.3 * shocks[200:])
    rho = float(kind[2:]) if kind.startswith("AR") else 0.0
    for n in range(1, len(shocks)):
        shocks[n] = rho * shocks[n - 1] + np.sqrt(1 - rho**2) * shocks[n]
    return shocks[200:] + (0.03 * np.arange(count) if kind == "trend" else 0.0)


KINDS = ("iid", "AR.5", "AR.8", "trend", "random walk")


def series_of(values: Floats) -> KpiSeries:
    days = (KpiDay(FIRST + timedelta(days=n), float(value), 1, 1) for n, value in enumerate(values))
    return KpiSeries("k", Kpi(event="paid"), datetime(2027, 1, 1, tzinfo=UTC), tuple(days))


def claims(kind: str, effect: float, days: int, seed: int) -> tuple[bool, ...]:
    """Whether each way of looking says that something changed: both methods, each alone, CausalImpact's assumption,
    and the means before and after."""
    values = noise(kind, BEFORE + 1 + days, seed)
    values[BEFORE + 1 :] += effect
    design = design_of(series_of(values), (), FIRST + timedelta(days=BEFORE), days)
    assert not isinstance(design, Lacking)
    series, structural = estimates(design)
    still = structural_level(design.y, design.x, BEFORE, level_sd=0.01)
    before, after = values[:BEFORE], values[BEFORE + 1 :]
    naive = bool(ttest_ind(before, after, equal_var=False).pvalue < 0.05)
    return agree(series, structural), series.excludes_zero, structural.excludes_zero, still.excludes_zero, naive


def shares(kind: str, effect: float, days: int, runs: int) -> Floats:
    return np.mean([claims(kind, effect, days, seed) for seed in range(runs)], axis=0)


def horizons(kind: str, effect: float, seed: int) -> tuple[bool, ...]:
    """Whether a change is claimed after 7, 14 and 28 days of one series. The second method is asked only where the
    first claims: without that nothing is said."""
    values = noise(kind, BEFORE + 1 + max(HORIZONS), seed)
    values[BEFORE + 1 :] += effect
    return tuple(_claimed(values[: BEFORE + 1 + days], days) for days in HORIZONS)


def _claimed(values: Floats, days: int) -> bool:
    design = design_of(series_of(values), (), FIRST + timedelta(days=BEFORE), days)
    assert not isinstance(design, Lacking)
    series = series_estimate(design)
    return series.excludes_zero and agree(series, level_estimate(design))


def horizon_table(runs: int, kinds: Sequence[str] = KINDS) -> Iterator[tuple[str, Floats]]:
    """Shares of claims at each of HORIZONS, and at any of them; then the power as in ``table``, of a fifth as many."""
    cases = [*((k, k, 0.0, runs) for k in kinds), *((f"power {k}", k, 1.5, runs // 5) for k in KINDS[:2])]
    for name, kind, effect, count in cases:
        found = np.array([horizons(kind, effect, seed) for seed in range(count)])
        yield name, np.array([*found.mean(axis=0), found.any(axis=1).mean()])


def table(runs: int, days: int) -> Iterator[tuple[str, Floats]]:
    """Shares of claims by kind of noise; ``power …`` with an effect of 1.5 standard deviations."""
    for kind in KINDS:
        yield kind, shares(kind, 0.0, days, runs)
    for kind in KINDS[:2]:
        yield f"power {kind}", shares(kind, 1.5, days, runs)


def read(name: str) -> dict[str, list[str]]:
    with (PUBLISHED / f"{name}.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return {key: [row[key] for row in rows] for key in rows[0]}


def numbers(values: list[str]) -> Floats:
    return np.array([float(value) for value in values])


def of_causalimpact(name: str, first: int, level_sd: float | None = 0.01) -> tuple[EffectEstimate, float]:
    """With its own assumption unless told otherwise; and what is told for the days after."""
    told = read(name)
    y = numbers(told["y"])
    x = np.column_stack([numbers(told[key]) for key in told if key.lower() in ("x", "x1", "x2")])
    standard = (x - x[:first].mean(axis=0)) / x[:first].std(axis=0)
    found = structural_level(y, standard, first, level_sd=level_sd)
    return found, float(y[first:].mean()) - found.effect


def of_sicily(*, season: bool) -> tuple[float, float, float]:
    """The rate ratio of the smoking ban with its interval."""
    told = {key: numbers(values) for key, values in read("sicily").items()}
    waves: tuple[Callable[[Floats], Floats], ...] = (np.sin, np.cos)
    turns = [wave(2 * np.pi * k * told["month"] / 12) for k in (1, 2) for wave in waves] if season else []
    x = np.column_stack([np.ones(len(told["time"])), told["time"] / 10, *turns])
    found = interrupted_ar1(told["time"], np.log(told["aces"] / told["stdpop"]), x, told["smokban"])
    return float(np.exp(found.effect)), float(np.exp(found.low)), float(np.exp(found.high))


def main() -> None:
    runs, days = (int(word) for word in (*sys.argv[1:3], *("200", "28")[len(sys.argv[1:3]) :]))
    print(f"{runs} runs, {BEFORE} days before and {days} after; false claims, bar <= {BAR}")
    print(f"  {'':<22} {'both':>6} {'ITS':>6} {'level':>6} {'level still':>12} {'means':>6}")
    for name, found in table(runs, days):
        print(
            f"  {name:<22} {found[0]:>6.3f} {found[1]:>6.3f} {found[2]:>6.3f} {found[3]:>12.3f} {found[4]:>6.3f}",
            flush=True,
        )
    print(f"{5 * runs} runs, the same by horizon: {', '.join(map(str, HORIZONS))} days, any of them")
    for name, found in horizon_table(5 * runs):
        print(f"  {name:<22} " + " ".join(f"{share:>6.3f}" for share in found), flush=True)
    for name, first, effect, told in (("arma", 70, 26.67 / 30, 3610 / 30), ("google", 61, 804 / 30, 3883 / 30)):
        one, prediction = of_causalimpact(name, first)
        learned, _ = of_causalimpact(name, first, None)
        print(f"{name}: effect {one.effect:.3f} (CausalImpact {effect:.3f}), prediction {prediction:.1f} ({told:.1f})")
        print(f"  with the level's movement learned: {learned.effect:.3f} ({learned.low:.2f} to {learned.high:.2f})")
    for season, published in ((False, "0.89 (0.84 to 0.95)"), (True, "0.885 (0.839 to 0.933)")):
        ratio, low, high = of_sicily(season=season)
        print(f"Sicily: RR {ratio:.3f} ({low:.3f} to {high:.3f}), the paper's model {published}")


if __name__ == "__main__":
    main()
