"""The window of params.yaml, and the rows of its days."""

from datetime import date, timedelta
from pathlib import Path

import pandas as pd
from ruamel.yaml import YAML

FOLDER = Path("artifacts/late")
INPUTS = ["minute", "distance", "weekday", "origin"]


def params(group):
    return YAML(typ="safe").load(Path("params.yaml"))[group]


def days():
    """First and last day to fit on, first and last day that are held out."""
    window = params("window")
    first, last = date.fromisoformat(window["first_day"]), date.fromisoformat(window["last_day"])
    cut = last - timedelta(days=window["holdout_days"])
    if cut < first:
        raise SystemExit(f"error: the window has {(last - first).days + 1} days, and all of them are held out")
    return first, cut, cut + timedelta(days=1), last


def read(first, last):
    """The rows of these days. A day that has not arrived is an error: else the window would shrink unseen."""
    wanted = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    files = [Path("data/arrivals") / f"day={day}.parquet" for day in wanted]
    missing = [file.name for file in files if not file.exists()]
    if missing:
        raise SystemExit(f"error: {len(missing)} days have not arrived, the first is {missing[0]}: move the window")
    return pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
