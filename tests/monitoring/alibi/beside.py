"""Run by a Python that has alibi-detect: saves detectors, predicts, and prints the figures as JSON.

    python beside.py FOLDER SEED…    below each seed a folder a case, with `saved/` and `x.npy`

Nothing of gitml is imported here. `x` is what the case is predicted on.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
from alibi_detect.cd import ChiSquareDrift, KSDrift, TabularDrift
from alibi_detect.saving import load_detector, save_detector

warnings.filterwarnings("ignore")


def mixed(rng, rows, levels=3, moved=0.0):
    """Two columns of numbers, one of them with ties, around one of categories."""
    ties = np.round(rng.normal(size=rows) + moved, 1)
    return np.column_stack([rng.normal(size=rows), rng.integers(0, levels, rows).astype(float), ties])


def cases(seed):
    rng = np.random.default_rng(seed)
    normal, moved = rng.normal(size=(40, 3)), rng.normal([0.0, 0.3, 1.5], size=(30, 3))
    codes, others = rng.integers(0, 4, (60, 2)), np.column_stack([rng.integers(0, 6, 25), rng.integers(0, 4, 25)])
    words = rng.choice(["aa", "b", "c"], (50, 2))
    holes = moved.copy()
    holes[3, 1] = np.nan
    table = mixed(rng, 60)
    yield "ks", KSDrift(normal, p_val=0.05), moved
    yield "ks same rows", KSDrift(normal), normal
    yield "ks float32", KSDrift(normal.astype(np.float32), p_val=0.01), moved.astype(np.float32)
    yield "ks less", KSDrift(normal, alternative="less"), moved
    yield "ks greater", KSDrift(normal, alternative="greater"), moved
    yield "ks fdr", KSDrift(normal, correction="fdr", p_val=0.2), moved
    yield "ks fdr quiet", KSDrift(normal, correction="fdr", p_val=1e-9), moved
    yield "ks missing", KSDrift(normal), holes
    yield "ks ties", KSDrift(np.round(normal, 0)), np.round(moved, 0)
    yield "ks integers", KSDrift(codes), others
    yield "ks booleans", KSDrift(codes > 1), others > 1
    yield "ks one row", KSDrift(normal), moved[:1]
    yield "ks one column", KSDrift(normal[:, 0]), moved[:, 2]
    yield "ks cubes", KSDrift(normal[:36].reshape(9, 3, 4)), moved[:24].reshape(6, 3, 4)
    yield "ks two of three", KSDrift(normal, n_features=2), moved
    yield "chi", ChiSquareDrift(codes), others
    yield "chi counted", ChiSquareDrift(codes, categories_per_feature={0: 4, 1: 4}), others
    yield "chi listed", ChiSquareDrift(codes, categories_per_feature={0: [0, 1, 2, 3], 1: [0, 1, 2, 3]}), others
    yield "chi two levels", ChiSquareDrift(codes // 2), others[:9] // 2 % 2
    yield "chi constant", ChiSquareDrift(codes * 0), others[:5] * 0
    yield "chi words", ChiSquareDrift(words), rng.choice(["aa", "b", "long"], (20, 2))
    yield "tabular", TabularDrift(table, categories_per_feature={1: None}), mixed(rng, 33, 4, 0.4)
    yield "tabular counted", TabularDrift(table, categories_per_feature={1: 3}, correction="fdr"), mixed(rng, 8)
    yield (
        "tabular listed",
        TabularDrift(table, categories_per_feature={1: [0, 1, 2]}, alternative="less"),
        mixed(rng, 9),
    )
    yield "tabular numbers", TabularDrift(table), mixed(rng, 50)


def plain(value):
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def figures(detector, x):
    found = {}
    for drift_type in ("batch", "feature"):
        data = detector.predict(x, drift_type=drift_type)["data"]
        found[drift_type] = {key: plain(value) for key, value in data.items()}
    return found


def main(folder, seed):
    told = {}
    for name, detector, x in cases(seed):
        place = folder / name.replace(" ", "-")
        save_detector(detector, place / "saved")
        np.save(place / "x.npy", x)
        told[place.name] = figures(load_detector(place / "saved"), x)
    return told


if __name__ == "__main__":
    print(json.dumps({seed: main(Path(sys.argv[1], seed), int(seed)) for seed in sys.argv[2:]}))
