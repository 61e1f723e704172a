"""False alarms and looks until a change is noticed, simulated: `python -m benchmarks.alarms [YEARS]`.

A year of looks at 40 columns of which nothing changes, for live rows and reference rows of several sizes. Beside the
window scan stand what most tools do: an alarm when any column's Kolmogorov-Smirnov test says p < .05, and the same
corrected for the number of columns. Then one column is shifted, and the looks until it is noticed are counted.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from gitml.monitoring.drift.bounds import distance_p
from gitml.monitoring.drift.scan import Baseline, Floors, scan
from gitml.monitoring.promise import Promise
from gitml.sketches.counts import Counts
from gitml.sketches.grids import NumberGrid

COLUMNS, CELLS = 40, 100
NONE = Floors(numbers=0.0, categories=0.0, missing=0.0)


@dataclass(frozen=True)
class World:
    """References of ``m`` rows; the true shares of their cells are what a sample of that size leaves open."""

    baselines: dict[str, Baseline]
    truth: np.ndarray


def world(rng: np.random.Generator, m: int) -> World:
    # Cells of equal counts: the true share between two order statistics of m uniform numbers is a Dirichlet's.
    counts = np.full(CELLS, m // CELLS, dtype=np.int64)
    grid = NumberGrid(tuple(float(i) for i in range(1, CELLS)), (0, CELLS - 1))
    truth = rng.dirichlet(counts, size=COLUMNS)
    return World({f"c{i}": Baseline(grid, Counts(counts, 0)) for i in range(COLUMNS)}, truth)


def shifted(truth: np.ndarray, by: float) -> np.ndarray:
    """The shares when the column, a normal one, moves by so many standard deviations."""
    ends = np.concatenate([[0.0], np.minimum(np.cumsum(truth), 1.0)])
    moved = np.diff(ndtr(ndtri(ends) - by))
    return moved / moved.sum()


def year(rng: np.random.Generator, m: int, n: int, looks: int, floors: Floors, by: float = 0.0) -> dict[str, int]:
    """The first look at which each rule alarms; more than ``looks``: never. ``by`` shifts one column from the start."""
    here = world(rng, m)
    truth = here.truth.copy()
    if by:
        truth[0] = shifted(truth[0], by)
    promise = Promise(looks, COLUMNS, promotions=1)
    history: dict[str, list[Counts]] = {name: [] for name in here.baselines}
    first = dict.fromkeys(("scan", "any p < .05", "Bonferroni"), looks + 1)
    for look in range(1, looks + 1):
        drawn = rng.multinomial(n, truth)
        for i, name in enumerate(history):
            history[name] = [*history[name][-31:], Counts(drawn[i], 0)]
        p = naive(drawn, n, m)
        happened = {
            "scan": any(e.drifted for e in scan(history, here.baselines, promise, floors)),
            "any p < .05": p < 0.05,
            "Bonferroni": p < 0.05 / COLUMNS,
        }
        first = {rule: min(at, look) if happened[rule] else at for rule, at in first.items()}
        if first["scan"] <= look and (by or all(at <= look for at in first.values())):
            break
    return first


def naive(drawn: np.ndarray, n: int, m: int) -> float:
    """The smallest p-value of a Kolmogorov-Smirnov test of this look's rows (asymptotic, two samples)."""
    distances = np.abs(np.cumsum(drawn / n, axis=1) - np.arange(1, CELLS + 1) / CELLS).max(axis=1)
    return min(distance_p(float(d), 0.0, n, m, np.inf) for d in distances)


def main() -> None:
    years = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    rng = np.random.default_rng(20261130)
    print(f"share of {years} quiet years of 52 looks at {COLUMNS} columns with any alarm, floor 0")
    for m in (2_000, 20_000, 200_000):
        for n in (100, 1_000, 10_000):
            firsts = [year(rng, m, n, 52, NONE) for _ in range(years)]
            rates = {rule: sum(f[rule] <= 52 for f in firsts) / years for rule in firsts[0]}
            print(f"  m={m:>7} n={n:>6}  " + "  ".join(f"{rule} {rate:.3f}" for rule, rate in rates.items()))
    print("mean looks until one shifted column of 40 is noticed, 1,000 rows a look, at most 52")
    for m in (20_000, 200_000):
        for by in (0.1, 0.2, 0.5):
            for floors in (NONE, Floors()):
                seen = [year(rng, m, 1_000, 52, floors, by)["scan"] for _ in range(years)]
                print(f"  m={m:>7} {by} sigma, floor {floors.numbers}: {np.mean(seen):.2f}")


if __name__ == "__main__":
    main()
