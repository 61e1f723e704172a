"""whylogs: a profile of the live rows, and its drift scores against the reference's profile."""

from __future__ import annotations

import pandas as pd
import whylogs
from measured import measured
from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores


def prepare(path: str) -> object:
    return whylogs.log(pandas=pd.read_parquet(path)).view()


def compare(kept: object, path: str) -> list[str]:
    view = whylogs.log(pandas=pd.read_parquet(path)).view()
    scores = calculate_drift_scores(target_view=view, reference_view=kept, with_thresholds=True)
    return [name for name, score in scores.items() if score and score["drift_category"] == "DRIFT"]


measured("whylogs", prepare, compare)
