"""alibi-detect: TabularDrift (Kolmogorov-Smirnov and chi-squared, Bonferroni), rows of the reference in memory."""

from __future__ import annotations

import numpy as np
import pandas as pd
from alibi_detect.cd import TabularDrift
from measured import measured


def encoded(path: str) -> tuple[np.ndarray, list[str], dict[int, None]]:
    frame = pd.read_parquet(path)
    words = [name for name in frame if frame[name].dtype == object]
    for name in words:
        frame[name] = frame[name].str.slice(4).astype(float)
    # It has no missing values.
    return frame.fillna(0.0).to_numpy(), [*frame], {frame.columns.get_loc(name): None for name in words}


def prepare(path: str) -> object:
    rows, names, categories = encoded(path)
    return TabularDrift(rows, p_val=0.05, categories_per_feature=categories), names


def compare(kept: object, path: str) -> list[str]:
    detector, names = kept  # type: ignore[misc]
    found = detector.predict(encoded(path)[0], drift_type="feature")["data"]["is_drift"]
    return [name for name, drifted in zip(names, found, strict=True) if drifted]


measured("alibi-detect", prepare, compare)
