"""Which methods notice which shifts of images: `python -m benchmarks.digits [SEEDS] [--dev]`.

In the manner of S. Rabanser, S. Günnemann and Z. C. Lipton, "Failing loudly: an empirical study of methods for
detecting dataset shift", NeurIPS 2019, on the digits of scikit-learn: a reference, a window of n images, and one test
at level .05. Their single representations (pixels, principal components, random projections, the model's answers soft
and hard, a classifier of domains) stand beside gitml's methods: the scan as a monitor does it, of inputs and answers in
one test, the classifier, and both within one level. The scan of either representation alone is printed too. Parameters
were chosen on the shifts and seeds that `--dev` prints; the table without it is of others. Then two columns of numbers:
which of 40 is named first, and what is said of few rows and of very many.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy import ndimage, stats
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.random_projection import SparseRandomProjection

from gitml.monitoring.detectors.detector import DetectorRows
from gitml.monitoring.detectors.domainclassifier import DomainClassifier
from gitml.monitoring.drift.scan import Baseline, Effect, Floors, rows_needed, scan
from gitml.monitoring.promise import WINDOWS, Promise
from gitml.sketches.counts import Counts
from gitml.sketches.grids import number_grid

LEVEL, SIZES = 0.05, (50, 100, 200, 400)
SHARE = 0.2  # what gitml's detectors have of the level, as by default
NONE = Floors(0.0, 0.0, 0.0)
Images = np.ndarray
Shift = Callable[[np.random.Generator, Images, np.ndarray, int], Images]


@dataclass(frozen=True)
class World:
    """Rows for the model, for the reference, and those that windows are drawn from, each with labels."""

    fitted: tuple[Images, np.ndarray]
    reference: Images
    live: tuple[Images, np.ndarray]
    model: LogisticRegression


def world(seed: int) -> World:
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(x))
    parts = np.array_split(order, 3)
    model = LogisticRegression(max_iter=300).fit(x[parts[0]] / 16, y[parts[0]])
    return World((x[parts[0]], y[parts[0]]), x[parts[1]], (x[parts[2]], y[parts[2]]), model)


def some(rng: np.random.Generator, x: Images, n: int) -> Images:
    return x[rng.choice(len(x), n, replace=False)]


def noise(part: float, sigma: float) -> Shift:
    def of(rng: np.random.Generator, x: Images, _: np.ndarray, n: int) -> Images:
        found = some(rng, x, n)
        hit = rng.random(n) < part
        found[hit] = np.clip(found[hit] + sigma * rng.normal(size=found[hit].shape), 0, 16)
        return found

    return of


def without(digit: int, part: float) -> Shift:
    def of(rng: np.random.Generator, x: Images, y: np.ndarray, n: int) -> Images:
        return some(rng, x[(y != digit) | (rng.random(len(y)) > part)], n)

    return of


def moved(part: float, change: Callable[[Images], Images]) -> Shift:
    def of(rng: np.random.Generator, x: Images, _: np.ndarray, n: int) -> Images:
        found = some(rng, x, n)
        for place in np.flatnonzero(rng.random(n) < part):
            found[place] = np.clip(change(found[place].reshape(8, 8)), 0, 16).ravel()
        return found

    return of


def turned(by: float) -> Callable[[Images], Images]:
    return lambda image: ndimage.rotate(image, by, reshape=False, order=1)


DEV: Mapping[str, Shift] = {
    "noise 1 on all": noise(1.0, 1.0),
    "noise 4 on a tenth": noise(0.1, 4.0),
    "no 0": without(0, 1.0),
    "turned by 20 degrees, half": moved(0.5, turned(20)),
}
KEPT: Mapping[str, Shift] = {
    "noise 2 on half": noise(0.5, 2.0),
    "no 7": without(7, 1.0),
    "half of the 3 gone": without(3, 0.5),
    "turned by -15 degrees": moved(1.0, turned(-15)),
    "one pixel to the right, a fifth": moved(0.2, lambda image: np.roll(image, 1, axis=1)),
    "darker by a tenth": moved(1.0, lambda image: 0.9 * image),
    "blurred, half": moved(0.5, lambda image: ndimage.gaussian_filter(image, 0.5)),
}
NOTHING: Mapping[str, Shift] = {"nothing": noise(0.0, 0.0)}


def ks(reference: Images, live: Images) -> float:
    """The smallest p-value of a Kolmogorov-Smirnov test of each column, by Bonferroni."""
    p = [stats.ks_2samp(reference[:, i], live[:, i], method="asymp").pvalue for i in range(reference.shape[1])]
    return min(1.0, min(p) * len(p))


def representations(here: World) -> dict[str, Callable[[Images], Images]]:
    x = here.fitted[0]
    pca, srp = PCA(32, random_state=0).fit(x), SparseRandomProjection(32, random_state=0).fit(x)
    return {
        "pixels": lambda some: some,
        "principal components": pca.transform,
        "random projections": srp.transform,
        "soft answers": lambda some: here.model.predict_proba(some / 16),
    }


def hard_answers(here: World, live: Images) -> float:
    counts = [np.bincount(here.model.predict(x / 16), minlength=10) for x in (here.reference, live)]
    table = np.array(counts)[:, np.sum(counts, axis=0) > 0]
    return float(stats.chi2_contingency(table).pvalue)


def scanned(reference: Images, live: Images) -> float:
    """gitml's scan of the columns as one test: all of the level for one look at one window."""
    baselines, looks = {}, {}
    for i in range(reference.shape[1]):
        grid = number_grid(reference[:, i])
        baselines[f"{i}"] = Baseline(grid, Counts(*grid.count(reference[:, i])))
        looks[f"{i}"] = [Counts(*grid.count(live[:, i]))]
    found = scan(looks, baselines, Promise(1, len(looks), LEVEL, 1), NONE)
    return min(1.0, min(e.p for e in found if e.of == "values") * WINDOWS[1] * len(looks))


def of_domains(reference: Images, live: Images) -> float:
    rows = [DetectorRows(pa.table({f"{i}": x[:, i] for i in range(x.shape[1])})) for x in (reference, live)]
    found = DomainClassifier().judge(rows[0], rows[1], LEVEL * SHARE)
    return 1.0 if found.p_val is None else found.p_val


def p_values(here: World, live: Images) -> dict[str, float]:
    told = {f"{name}, KS": ks(of(here.reference), of(live)) for name, of in representations(here).items()}
    told["hard answers, chi-squared"] = hard_answers(here, live)
    answers = [here.model.predict_proba(x / 16) for x in (here.reference, live)]
    told["gitml: pixels"] = scanned(here.reference, live)
    told["gitml: answers"] = scanned(*answers)
    told["gitml: domain classifier"] = of_domains(here.reference, live)
    columns = scanned(*(np.hstack([x, a]) for x, a in zip((here.reference, live), answers, strict=True)))
    told["gitml: pixels and answers"] = columns
    told["gitml: all of it"] = min(columns / (1 - SHARE), told["gitml: domain classifier"] / SHARE)
    return told


def table(shifts: Mapping[str, Shift], seeds: range) -> dict[str, dict[str, float]]:
    """Shift → method → the share of windows of all sizes that it detects."""
    found: dict[str, dict[str, list[bool]]] = {name: {} for name in shifts}
    for seed in seeds:
        here = world(seed)
        for name, shift in shifts.items():
            for n in SIZES:
                rng = np.random.default_rng([seed, n])
                for method, p in p_values(here, shift(rng, here.live[0].copy(), here.live[1], n)).items():
                    found[name].setdefault(method, []).append(p <= LEVEL)
    return {name: {method: float(np.mean(hits)) for method, hits in of.items()} for name, of in found.items()}


def first_of_forty(seeds: int, by: float = 0.25, n: int = 1_000, m: int = 20_000) -> float:
    """How often the column that moved by so many σ is the first of 40 by its lower bound."""
    hits = 0
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        baselines, looks = {}, {}
        for i in range(40):
            values = rng.normal(size=m)
            grid = number_grid(values)
            baselines[f"{i}"] = Baseline(grid, Counts(*grid.count(values)))
            looks[f"{i}"] = [Counts(*grid.count(rng.normal(size=n) + by * (i == 7)))]
        found = [e for e in scan(looks, baselines, Promise(52, 40)) if e.of == "values"]
        hits += max(found, key=lambda e: (e.low, -e.p)).column == "7"
    return hits / seeds


def of_one(n: int, by: float, m: int = 200_000) -> Effect | None:
    """One column that moved, at the default floor."""
    rng = np.random.default_rng(n)
    values = rng.normal(size=m)
    grid = number_grid(values)
    live = {"x": [Counts(*grid.count(rng.normal(size=n) + by))]}
    found = scan(live, {"x": Baseline(grid, Counts(*grid.count(values)))}, Promise(52, 40))
    return next((e for e in found if e.of == "values"), None)


def shown(title: str, found: Mapping[str, Mapping[str, float]]) -> None:
    print(title)
    methods = [*next(iter(found.values()))]
    width = max(map(len, methods))
    print(" " * (width + 10) + "  ".join(f"{name[:15]:>15}" for name in found))
    for method in methods:
        row = [of[method] for of in found.values()]
        print(f"  {method:<{width}} {np.mean(row):>6.3f} " + "  ".join(f"{hit:>15.2f}" for hit in row))


def main() -> None:
    words = [word for word in sys.argv[1:] if word != "--dev"]
    count = int(words[0]) if words else 20
    if "--dev" in sys.argv:
        shown(f"chosen on: {count} seeds, windows of {SIZES}", table(DEV, range(count)))
        return
    shown(f"nothing changed: {count} seeds, windows of {SIZES}", table(NOTHING, range(1_000, 1_000 + count)))
    shown("kept aside: share of windows detected at level .05", table(KEPT, range(1_000, 1_000 + count)))
    print(f"the column that moved by .25 sigma is named first of 40 at n = 1,000: {first_of_forty(5 * count):.3f}")
    few, many = of_one(8, 3.0), of_one(1_000_000, 0.01)
    needed = rows_needed(0.10, 0.05, 200_000, Promise(52, 40))
    print(f"8 rows, 3 sigma: {'drift' if few and few.drifted else f'too little, about {needed:,} rows are needed'}")
    print(f"1,000,000 rows, .01 sigma: {'drift' if many and many.drifted else 'no alarm'}")


if __name__ == "__main__":
    main()
