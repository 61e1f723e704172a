"""Replace this by your data: two Parquet files, one to train on and one that the model never sees."""

from pathlib import Path

from ruamel.yaml import YAML
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

params = YAML(typ="safe").load(Path("params.yaml"))["split"]
table = load_diabetes(as_frame=True, scaled=False).frame
train, test = train_test_split(table, test_size=params["test_share"], random_state=params["seed"])
Path("data").mkdir(exist_ok=True)
for name, rows in (("train", train), ("test", test)):
    rows.to_parquet(f"data/{name}.parquet", index=False)
    print(f"{name}: {len(rows)} rows")
