"""Run by a Python that has alibi-detect with a backend: detectors of that backend, and what they say, as JSON.

python backends.py FOLDER BACKEND
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
from alibi_detect.cd import LSDDDrift, MMDDrift, MMDDriftOnline
from alibi_detect.saving import load_detector, save_detector

warnings.filterwarnings("ignore")


def seeded(backend):
    np.random.seed(0)
    if backend == "pytorch":
        import torch

        torch.manual_seed(0)
    else:
        import tensorflow as tf

        tf.random.set_seed(0)


def outlier_detectors(x_ref):
    """Those of alibi-detect are pickles, which it opens with TensorFlow alone."""
    import tensorflow as tf
    from alibi_detect.od import IForest, Mahalanobis, OutlierAE

    forest = IForest(n_estimators=20)
    forest.fit(x_ref)
    layers = tf.keras.layers
    encoder = tf.keras.Sequential([layers.InputLayer(input_shape=(3,)), layers.Dense(2)])
    decoder = tf.keras.Sequential([layers.InputLayer(input_shape=(2,)), layers.Dense(3)])
    network = OutlierAE(threshold=0.1, encoder_net=encoder, decoder_net=decoder)
    network.fit(x_ref, epochs=1, verbose=False)
    found = {"forest": forest, "mahalanobis": Mahalanobis(threshold=20.0), "network": network}
    forest.infer_threshold(x_ref, threshold_perc=99)
    return found


def main(folder, backend):
    rng = np.random.default_rng(0)
    x_ref, x = (rng.normal(by, size=(rows, 3)).astype(np.float32) for by, rows in ((0, 100), (0.5, 60)))
    cases = {
        "mmd": (MMDDrift(x_ref, backend=backend, n_permutations=50), x),
        "lsdd": (LSDDDrift(x_ref, backend=backend, n_permutations=50), x),
        "online": (MMDDriftOnline(x_ref, ert=50, window_size=10, backend=backend, n_bootstraps=100), x + 3),
    }
    if backend == "tensorflow":
        x[:6] += 30
        cases |= {name: (detector, x) for name, detector in outlier_detectors(x_ref).items()}
    told = {}
    for name, (detector, rows) in cases.items():
        save_detector(detector, folder / name)
        np.save(folder / f"{name}.npy", rows)
        data = {}
        if name != "online":
            seeded(backend)
            data = load_detector(folder / name).predict(rows)["data"]
        told[name] = {key: float(data[key]) for key in ("p_val", "distance") if key in data}
        if "is_outlier" in data:
            told[name]["distance"] = float(np.mean(data["is_outlier"]))
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
