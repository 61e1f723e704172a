"""Metrics on the test rows, each with a 95 % interval from the bootstrap (Efron, 1979)."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import skops.io
from ruamel.yaml import YAML
from sklearn.metrics import log_loss, roc_auc_score

params = YAML(typ="safe").load(Path("params.yaml"))["evaluate"]
rows = pd.read_parquet("data/test.parquet")
model = skops.io.load("artifacts/tumour/model.skops")
truth = rows["target"].to_numpy()
scores = model.predict_proba(rows.drop(columns="target").to_numpy())[:, 1]

random = np.random.default_rng(params["seed"])
resamples = [random.integers(0, len(truth), len(truth)) for _ in range(params["replicates"])]
metrics, replicates = {}, {}
for name, measure in (("auc", roc_auc_score), ("log_loss", log_loss)):
    replicates[name] = [float(measure(truth[drawn], scores[drawn])) for drawn in resamples]
    low, high = np.quantile(replicates[name], [0.025, 0.975])
    metrics[name] = {"value": float(measure(truth, scores)), "low": float(low), "high": float(high)}
    print(f"{name} {metrics[name]['value']:.4f}")

# What live answers are held against.
pd.DataFrame({"target": truth, "benign": scores}).to_parquet("artifacts/tumour/scored.parquet", index=False)

# Two versions are compared on the same resamples of the same rows: far smaller differences show then.
rows_digest = hashlib.sha256(Path("data/test.parquet").read_bytes()).hexdigest()
evidence = {"rows_digest": rows_digest, "seed": params["seed"], "replicates": replicates}
for name, content in (("metrics", metrics), ("replicates", evidence)):
    Path(f"artifacts/tumour/{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
