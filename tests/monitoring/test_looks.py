"""From rows to a verdict: sketches of looks against the sketch of a reference."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from gitml.monitoring.drift.looks import comparable, windowed, worst_cluster
from gitml.monitoring.drift.scan import scan_windows
from gitml.monitoring.promise import Promise
from gitml.sketches.gather import RowCounter, Source
from gitml.sketches.reference import reference_of

START = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = ("steady", "weather", "word")


def rows(first_day: int, days: int, per_day: int, *, shift: float = 0.0) -> pa.RecordBatch:
    """All rows of a day share its weather."""
    rng = np.random.default_rng(first_day)
    n = days * per_day
    day = np.repeat(np.arange(first_day, first_day + days), per_day)
    weather = np.array([np.random.default_rng(10_000 + d).normal() for d in day.tolist()])
    return pa.record_batch(
        {
            "steady": rng.normal(size=n) + shift,
            "weather": weather + rng.normal(size=n) * 0.1,
            "word": rng.choice(np.array(["a", "b"]), n),
            "when": pa.array([START + timedelta(days=d) for d in day.tolist()], pa.timestamp("us", "UTC")),
        }
    )


def drifted(source: Source, week: pa.RecordBatch) -> set[str]:
    reference = reference_of(lambda: iter([rows(0, 120, 150)]), COLUMNS, source)
    looks, baselines = comparable(reference, windowed([RowCounter(reference.layout, source)(week)]))
    return {effect.column for effect in scan_windows(looks, baselines, Promise(52, 3)) if effect.drifted}


@pytest.mark.nightly
def test_a_week_of_other_weather_is_no_drift_once_its_days_are_known() -> None:
    quiet, timed = rows(200, 7, 150), Source(time="when")
    assert drifted(Source(), quiet) == {"weather"}
    assert drifted(timed, quiet) == set()
    assert drifted(timed, rows(200, 7, 150, shift=0.8)) == {"steady"}


def test_each_column_has_the_cluster_that_leaves_the_fewest_rows() -> None:
    reference = reference_of(lambda: iter([rows(0, 30, 20)]), COLUMNS, Source(time="when"))
    assert worst_cluster(reference, "weather") == "day"
    assert worst_cluster(reference, "weather", ("day",)) == "day"
    assert worst_cluster(reference, "weather", ("unit",)) == ""
    _, baselines = comparable(reference, {})
    weather = baselines["weather"]
    assert weather.counts.effective(weather.alike) < 0.1
    assert baselines["steady"].counts.effective(baselines["steady"].alike) > 0.5


def test_days_add_up_as_days_and_not_as_one_cluster() -> None:
    source = Source(time="when")
    reference = reference_of(lambda: iter([rows(0, 120, 150)]), COLUMNS, source)
    days = [RowCounter(reference.layout, source)(rows(day, 1, 150)) for day in range(200, 232)]
    counts, baselines = comparable(reference, windowed(days), ("day",))
    effective = {k: c.rows * c.effective(baselines["weather"].alike) for k, c in counts["weather"].items()}
    assert [round(effective[k]) for k in (1, 4, 32)] == [1, 4, 32]
