"""The share of strange rows over quiet years, and with planted rows: `python -m benchmarks.outliers [YEARS]`.

Six columns that go together, rows of a day that share its weather, twelve weeks of training, 52 weekly looks. Planted
rows have large values of either sign in every other column, which never go together. Beside the rate within the
promise stands a binomial test of each look against the declared share at .05, which takes rows as independent.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.stats import binomtest

from gitml.monitoring.outliers.fit import Outliers, fit_outliers
from gitml.monitoring.outliers.rate import OutlierPlan, OutlierRows, judge_outliers
from gitml.monitoring.promise import Promise
from gitml.monitoring.reference import Part

COLUMNS, LOOKS, SHARE = 6, 52, 0.01
NAMES = [f"c{i}" for i in range(COLUMNS)]
FIRST = datetime(2025, 1, 6, tzinfo=UTC)


def drawn(rng: np.random.Generator, days: int, per_day: int, planted: float = 0.0, first: int = 0) -> pd.DataFrame:
    """With ``planted`` of the rows strange."""
    day = np.repeat(np.arange(days), per_day)
    shared = rng.normal(size=days)[day] + rng.normal(size=len(day))
    values = shared[:, None] + 0.3 * rng.normal(size=(len(day), COLUMNS))
    strange = rng.random(len(day)) < planted
    signs = np.where(np.arange(COLUMNS) % 2, 1.0, -1.0)
    values[strange] = signs * rng.uniform(2, 4, (int(strange.sum()), 1))
    found = pd.DataFrame(values, columns=NAMES)
    found["when"] = [FIRST + timedelta(days=int(first + d), hours=12) for d in day]
    return found


def rows(frame: pd.DataFrame) -> OutlierRows:
    count = len(frame)
    ids = {
        "request_id": [str(i) for i in range(count)],
        "row": pa.array(np.zeros(count), pa.int32()),
        "unit": pa.nulls(count, pa.string()),
        "arrived": pa.array(frame["when"], pa.timestamp("us", tz="UTC")),
    }
    return OutlierRows(pa.RecordBatch.from_pandas(frame[NAMES], preserve_index=False), pa.record_batch(ids))


def year(rng: np.random.Generator, fitted: Outliers, planted: float, floor: float) -> tuple[int, int]:
    """First look with an alarm, by ours and by the binomial test; one more than there are: none."""
    plan = OutlierPlan(Promise(LOOKS, 1), floor)
    first = [LOOKS + 1, LOOKS + 1]
    for look in range(LOOKS):
        found = judge_outliers(fitted, [rows(drawn(rng, 7, 200, planted, first=90 + 7 * look))], plan)
        naive = binomtest(round(found.share * found.rows), found.rows, SHARE, alternative="greater").pvalue < 0.05
        for place, alarm in enumerate((found.drifted, naive)):
            if alarm:
                first[place] = min(first[place], look + 1)
        if planted and first[0] <= LOOKS:
            break
    return first[0], first[1]


def main() -> None:
    years = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdigit() else 40
    print(f"{'planted':>8} {'floor':>6} {'alarm in a year':>16} {'looks to alarm':>15} {'binomial alarms':>16}")
    for planted, floor in ((0.0, 0.0), (0.0, 0.02), (0.05, 0.02), (0.10, 0.02), (0.20, 0.02)):
        rng, found = np.random.default_rng(0), []
        for _ in range(years if not planted else max(years // 4, 3)):
            fitted = fit_outliers(Part(drawn(rng, 84, 200), NAMES, "when"), SHARE)
            found.append(year(rng, fitted, planted, floor))
        ours, naive = (np.array(part) for part in zip(*found, strict=True))
        seen = f"{ours[ours <= LOOKS].mean():.1f}" if (ours <= LOOKS).any() else "-"
        print(
            f"{planted:>8.0%} {floor:>6} {np.mean(ours <= LOOKS):>16.2f} {seen:>15} {np.mean(naive <= LOOKS):>16.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
