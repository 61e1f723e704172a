"""Replace this by your data: two Parquet files, one to train on and one that the model never sees."""

from pathlib import Path

from ruamel.yaml import YAML
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split

# What every laboratory measures; with all thirteen columns nothing is ever mistaken.
MEASUREMENTS = ["alcohol", "malic_acid", "ash", "alcalinity_of_ash", "total_phenols", "hue"]
CULTIVARS = ["barolo", "grignolino", "barbera"]

params = YAML(typ="safe").load(Path("params.yaml"))["split"]
table = load_wine(as_frame=True).frame[[*MEASUREMENTS, "target"]]
table["target"] = table["target"].map(dict(enumerate(CULTIVARS)))
train, test = train_test_split(
    table, test_size=params["test_share"], random_state=params["seed"], stratify=table["target"]
)
Path("data").mkdir(exist_ok=True)
for name, rows in (("train", train), ("test", test)):
    rows.to_parquet(f"data/{name}.parquet", index=False)
    print(f"{name}: {len(rows)} rows")
