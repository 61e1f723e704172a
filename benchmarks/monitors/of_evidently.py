"""evidently: its preset of drift, rows of the reference in memory."""

from __future__ import annotations

import re

import pandas as pd
from evidently import Dataset, Report
from evidently.presets import DataDriftPreset
from measured import measured


def prepare(path: str) -> object:
    return Dataset.from_pandas(pd.read_parquet(path))


def compare(kept: object, path: str) -> list[str]:
    found = Report([DataDriftPreset()]).run(Dataset.from_pandas(pd.read_parquet(path)), kept).dict()
    drifted = []
    for metric in found["metrics"]:
        named = re.match(r"ValueDrift\(column=(\w+),method=([^,]+),threshold=([\d.]+)", metric.get("metric_name", ""))
        if named:
            is_p = "p_value" in named[2]
            value, bound = float(metric["value"]), float(named[3])
            drifted += [named[1]] if (value < bound if is_p else value >= bound) else []
    return drifted


measured("evidently", prepare, compare)
