"""Run by a Python that has alibi-detect: detectors that gitml does not read itself, and what they say, as JSON.

python others.py FOLDER
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
from alibi_detect.cd import ClassifierDrift, CVMDrift, CVMDriftOnline, FETDrift, KSDrift
from alibi_detect.saving import load_detector, save_detector
from sklearn.linear_model import LogisticRegression

warnings.filterwarnings("ignore")


def first_two(x):
    return x[:, :2]


def main(folder):
    rng = np.random.default_rng(0)
    x_ref, x = rng.normal(size=(200, 3)), rng.normal(0.4, size=(100, 3))
    model = LogisticRegression()
    cases = {
        "cvm": (CVMDrift(x_ref), x),
        "fet": (FETDrift((x_ref > 0).astype(int), alternative="two-sided"), (x > 0).astype(int)),
        "preprocessed": (KSDrift(x_ref, preprocess_fn=first_two), x),
        "classifier": (ClassifierDrift(x_ref, model, backend="sklearn", preds_type="probs"), x),
        "online": (CVMDriftOnline(x_ref[:, :1], ert=50, window_sizes=[10], n_bootstraps=100), x[:, :1] + 3),
    }
    told = {}
    for name, (detector, rows) in cases.items():
        save_detector(detector, folder / name)
        np.save(folder / f"{name}.npy", rows)
        told[name] = {"is_drift": True}
        if name in ("cvm", "fet", "preprocessed"):
            data = load_detector(folder / name).predict(rows)["data"]
            told[name] = {key: np.asarray(value, dtype=float).reshape(-1).tolist() for key, value in data.items()}
            told[name]["is_drift"] = bool(data["is_drift"])
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
