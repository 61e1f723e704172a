"""Fit the model, and write down what goes in and out of it."""

import json

import skops.io
from rows import FOLDER, INPUTS, days, params, read
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

first, last, *_ = days()
rows = read(first, last)
encode = ColumnTransformer(
    [("numbers", StandardScaler(), INPUTS[:3]), ("words", OneHotEncoder(handle_unknown="ignore"), INPUTS[3:])]
)
model = make_pipeline(encode, LogisticRegression(C=params("train")["regularization"]))
model.fit(rows[INPUTS], rows["late"])

FOLDER.mkdir(parents=True, exist_ok=True)
(FOLDER / "model.skops").write_bytes(skops.io.dumps(model))
signature = {
    "inputs": [{"name": name, "type": "string" if name == "origin" else "float64"} for name in INPUTS],
    "outputs": [{"name": "p_late", "type": "float64"}],
    "data_until": str(last),  # rows up to here were seen; they are no test of it
}
(FOLDER / "signature.json").write_text(json.dumps(signature, indent=1) + "\n", encoding="utf-8")
print(f"fitted on {len(rows):,} rows, {first} to {last}")
