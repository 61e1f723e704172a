"""Replace this by your data: two Parquet files, one to train on and one that the model never sees."""

from pathlib import Path

import yaml
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["split"]
table = load_breast_cancer(as_frame=True).frame
train, test = train_test_split(
    table, test_size=params["test_share"], random_state=params["seed"], stratify=table["target"]
)
Path("data").mkdir(exist_ok=True)
for name, rows in (("train", train), ("test", test)):
    rows.to_parquet(f"data/{name}.parquet", index=False)
    print(f"{name}: {len(rows)} rows")
