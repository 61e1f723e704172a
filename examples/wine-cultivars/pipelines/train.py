"""Fit the model, and write down what goes in and out of it."""

import json
from pathlib import Path

import pandas as pd
import skops.io
from ruamel.yaml import YAML
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

params = YAML(typ="safe").load(Path("params.yaml"))["train"]
rows = pd.read_parquet("data/train.parquet")
inputs = rows.drop(columns="target")
model = make_pipeline(StandardScaler(), LogisticRegression(C=params["strength"]))
model.fit(inputs.to_numpy(), rows["target"].to_numpy())

folder = Path("artifacts/cultivar")
folder.mkdir(parents=True, exist_ok=True)
(folder / "model.skops").write_bytes(skops.io.dumps(model))
# One output more than classes: the likeliest word, then how likely each is. The last part of a name is its class.
outputs = [{"name": "cultivar", "type": "string"}]
outputs += [{"name": f"chance_{word}", "type": "float64"} for word in model.classes_]
signature = {"inputs": [{"name": name, "type": "float64"} for name in inputs.columns], "outputs": outputs}
(folder / "signature.json").write_text(json.dumps(signature, indent=1) + "\n", encoding="utf-8")
print(f"fitted on {len(rows)} rows")
