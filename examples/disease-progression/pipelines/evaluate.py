"""Errors on the test rows, of all and by age, each with a 95 % interval from the bootstrap (Efron, 1979)."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import skops.io
from ruamel.yaml import YAML
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from charts import write_charts

FOLDER = Path("artifacts/progression")
MEASURES = {"mae": mean_absolute_error, "rmse": root_mean_squared_error, "r2": r2_score}

params = YAML(typ="safe").load(Path("params.yaml"))["evaluate"]
rows = pd.read_parquet("data/test.parquet")
model = skops.io.load(FOLDER / "model.skops")
truth = rows["target"].to_numpy()
predicted = model.predict(rows.drop(columns="target").to_numpy())


def measured(name, part, drawn):
    """The value on the rows ``part``, the 2.5 % and 97.5 % quantiles over ``drawn``, and the values of these."""
    values = [float(MEASURES[name](truth[rows], predicted[rows])) for rows in drawn]
    low, high = np.quantile(values, [0.025, 0.975])
    value = float(MEASURES[name](truth[part], predicted[part]))
    return {"value": value, "low": float(low), "high": float(high)}, values


def resampled(part):
    """Rows drawn from ``part`` with replacement, as often as params.yaml says."""
    random = np.random.default_rng(params["seed"])
    return [part[random.integers(0, len(part), len(part))] for _ in range(params["replicates"])]


every = np.arange(len(truth))
draws = resampled(every)
metrics, replicates = {}, {}
for name in MEASURES:
    metrics[name], replicates[name] = measured(name, every, draws)
    print(f"{name} {metrics[name]['value']:.4g}")

slices = []
ages = pd.cut(rows["age"], [0, 40, 55, 120], labels=["to 40", "41 to 55", "over 55"])
for group in ages.cat.categories:
    part = np.flatnonzero(ages == group)
    errors = {name: measured(name, part, resampled(part))[0] for name in ("mae", "rmse")}
    slices.append({"column": "age", "value": group, "rows": len(part), "metrics": errors})

# What live answers are held against.
pd.DataFrame({"target": truth, "progression": predicted}).to_parquet(FOLDER / "scored.parquet", index=False)

# Two versions are compared on the same resamples of the same rows: far smaller differences show then.
rows_digest = hashlib.sha256(Path("data/test.parquet").read_bytes()).hexdigest()
evidence = {"rows_digest": rows_digest, "seed": params["seed"], "replicates": replicates}
for name, content in (("metrics", metrics), ("replicates", evidence), ("slices", slices)):
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
write_charts(FOLDER / "charts", truth, predicted, slices)
