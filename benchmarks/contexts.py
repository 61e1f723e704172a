"""Contexts that change and contexts that stay, simulated: `python -m benchmarks.contexts [YEARS]`.

Weekly looks at columns whose distribution depends on the hour. First nothing changes but the mix of hours, every week
anew; then one column moves within every hour as well. Beside the stratified scan stand the same scan without contexts,
which takes a change of the mix for drift, and the stratified distance with the weighted sum of the strata's bands,
which is valid and hardly sees anything.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from gitml.monitoring.drift.looks import comparable, windowed
from gitml.monitoring.drift.scan import Floors, scan_windows
from gitml.monitoring.promise import Promise
from gitml.sketches.grids import NumberGrid
from gitml.sketches.layout import Layout
from gitml.sketches.reference import ReferenceSketch
from gitml.sketches.sketch import ColumnSketch, Sketch

COLUMNS, STRATA, CELLS, LOOKS = 20, 12, 100, 52
PROMISE = Promise(LOOKS, COLUMNS, promotions=1)
EDGES = np.linspace(-4, 4, CELLS - 1)
GRID = NumberGrid(tuple(EDGES), (0, CELLS - 1))
LAYOUT = Layout({f"c{i}": GRID for i in range(COLUMNS)}, ("hour",), tuple((str(h),) for h in range(STRATA)))
# How far the hours of a column lie apart, in σ within an hour.
SWING = 1.0


@dataclass(frozen=True)
class Result:
    """First look with an alarm by each rule; more than there are: none."""

    stratified: int
    marginal: int
    sum_of_bands: int


def truth(rng: np.random.Generator) -> np.ndarray:
    """Mean of each column in each hour."""
    phase = rng.uniform(0, 2 * np.pi, COLUMNS)
    return SWING * np.sin(2 * np.pi * np.arange(STRATA)[:, None] / STRATA + phase)


def drawn(rng: np.random.Generator, rows: np.ndarray, means: np.ndarray) -> Sketch:
    """The sketch of so many rows of each hour."""
    cells = np.zeros((COLUMNS, STRATA + 1, CELLS), dtype=np.int64)
    for hour, count in enumerate(rows):
        ends = ndtr(EDGES[None, :] - means[hour][:, None])
        shares = np.diff(ends, axis=1, prepend=0.0, append=1.0)
        cells[:, hour] = rng.multinomial(count, shares)
    none = np.zeros(STRATA + 1, dtype=np.int64)
    columns = {f"c{i}": ColumnSketch(cells[i], none) for i in range(COLUMNS)}
    return Sketch("", np.append(rows, 0), columns)


def year(rng: np.random.Generator, m: int, n: int, floor: float, by: float, spread: float) -> Result:
    """``spread``: how much the mix changes from week to week; ``by`` moves the first column from the start."""
    means = truth(rng)
    reference = ReferenceSketch(LAYOUT, drawn(rng, rng.multinomial(m, np.full(STRATA, 1 / STRATA)), means))
    means = means + by * (np.arange(COLUMNS) == 0)
    floors, first, looks = Floors(floor, floor, floor), {}, []
    for look in range(1, LOOKS + 1):
        mix = rng.dirichlet(np.full(STRATA, 1 / spread)) if spread else np.full(STRATA, 1 / STRATA)
        looks = [*looks[-31:], drawn(rng, rng.multinomial(n, mix), means)]
        windows = windowed(looks)
        for rule in {"stratified", "marginal"} - first.keys():
            live, bases = comparable(reference, windows, (), stratified=rule == "stratified")
            if any(e.drifted for e in scan_windows(live, bases, PROMISE, floors)):
                first[rule] = look
        if "sum_of_bands" not in first and summed(reference, windows, floor):
            first["sum_of_bands"] = look
        if (by and "stratified" in first) or len(first) == 3:
            break
    return Result(**{rule: first.get(rule, LOOKS + 1) for rule in ("stratified", "marginal", "sum_of_bands")})


def summed(reference: ReferenceSketch, windows: dict[int, Sketch], floor: float) -> bool:
    """The distance with bands of Dvoretzky, Kiefer and Wolfowitz for each stratum, added up with its weight."""
    for size, window in windows.items():
        n, m = window.rows[:-1], reference.sketch.rows[:-1]
        some = n > 0
        c = math.log(2 * STRATA / PROMISE.level(size, 1.0))
        band = float((n[some] / n.sum()) @ np.sqrt(c / 2 * (1 / n[some] + 1 / m[some])))
        for name, column in window.columns.items():
            x, y = (np.cumsum(s.cells[:-1], axis=1) for s in (column, reference.sketch.columns[name]))
            apart = (n[some] / n.sum()) @ (x[some] / n[some, None] - y[some] / m[some, None])
            if np.abs(apart).max() - band > floor:
                return True
    return False


def main() -> None:
    years = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    rng = np.random.default_rng(13)
    print(f"{COLUMNS} columns, {STRATA} hours, {LOOKS} looks a year, {years} years a line; mix of hours changes weekly")
    print("share of years with any alarm, nothing changed within an hour")
    for m, n, floor, spread in (
        (20_000, 1_000, 0.0, 0.0), (20_000, 1_000, 0.0, 0.1), (20_000, 1_000, 0.0, 0.5), (2_000, 1_000, 0.0, 0.1),
        (20_000, 10_000, 0.0, 0.1), (20_000, 1_000, 0.05, 0.1), (20_000, 10_000, 0.05, 0.5),
    ):  # fmt: skip
        print(f"  m={m:>6} n={n:>6} floor {floor:<4} mix {spread:<3} " + told(rng, years, m, n, floor, 0.0, spread))
    print("mean looks until one column is noticed that moves within every hour, at most 52")
    for by in (0.2, 0.5):
        for floor in (0.0, 0.05):
            for spread in (0.0, 0.1):
                found = [year(rng, 20_000, 1_000, floor, by, spread).stratified for _ in range(max(years // 4, 1))]
                print(f"  m=20000 n=1000 floor {floor:<4} mix {spread:<3} {by} sigma: {np.mean(found):.2f}")


def told(rng: np.random.Generator, years: int, *world: float) -> str:
    found = [year(rng, *world) for _ in range(years)]  # type: ignore[arg-type]
    rules = ("stratified", "marginal", "sum_of_bands")
    return "  ".join(f"{rule} {np.mean([getattr(f, rule) <= LOOKS for f in found]):.3f}" for rule in rules)


if __name__ == "__main__":
    main()
