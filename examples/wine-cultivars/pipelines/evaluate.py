"""How often it is right on the test rows, of all and by strength, with 95 % bootstrap intervals (Efron, 1979)."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import skops.io
from ruamel.yaml import YAML
from sklearn.metrics import accuracy_score, f1_score

from charts import write_charts

FOLDER = Path("artifacts/cultivar")
SAMPLES = 40


def macro_f1(truth, predicted):
    return f1_score(truth, predicted, average="macro", zero_division=0)


MEASURES = {"macro_f1": macro_f1, "accuracy": accuracy_score}

params = YAML(typ="safe").load(Path("params.yaml"))["evaluate"]
rows = pd.read_parquet("data/test.parquet")
model = skops.io.load(FOLDER / "model.skops")
truth = rows["target"].to_numpy()
inputs = rows.drop(columns="target")
predicted, chances = model.predict(inputs.to_numpy()), model.predict_proba(inputs.to_numpy())


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
strengths = pd.cut(rows["alcohol"], [0, 13, 100], labels=["to 13 %", "over 13 %"])
for group in strengths.cat.categories:
    part = np.flatnonzero(strengths == group)
    found = {"accuracy": measured("accuracy", part, resampled(part))[0]}
    slices.append({"column": "strength", "value": group, "rows": len(part), "metrics": found})

# What live answers are held against, and what tells whoever loads the model that it is this one.
answers = {"cultivar": predicted, **{f"chance_{word}": chances[:, n] for n, word in enumerate(model.classes_)}}
pd.DataFrame({"target": truth, **answers}).to_parquet(FOLDER / "scored.parquet", index=False)
inputs.assign(**answers).head(SAMPLES).to_parquet(FOLDER / "samples.parquet", index=False)

# Two versions are compared on the same resamples of the same rows: far smaller differences show then.
rows_digest = hashlib.sha256(Path("data/test.parquet").read_bytes()).hexdigest()
evidence = {"rows_digest": rows_digest, "seed": params["seed"], "replicates": replicates}
for name, content in (("metrics", metrics), ("replicates", evidence), ("slices", slices)):
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
write_charts(FOLDER / "charts", list(model.classes_), truth, predicted)
