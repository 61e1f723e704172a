"""The reference of a version: written once, equal for equal rows, and held against its own weeks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from gitml.errors import UsageError
from gitml.monitoring.reference import (
    Expected,
    Part,
    made_of,
    read_version_reference,
    recoded_reference,
    version_reference_bytes,
    write,
)
from gitml.sketches.gather import RowCounter, Source

START = datetime(2026, 1, 5, tzinfo=UTC)


def table(days: int = 84, per_day: int = 60, *, trend: float = 0.0) -> pd.DataFrame:
    """``weather`` is shared by all rows of a day, ``fare`` is each row's own."""
    rng = np.random.default_rng(3)
    day = np.repeat(np.arange(days), per_day)
    return pd.DataFrame(
        {
            "fare": rng.normal(size=len(day)) + trend * day,
            "weather": rng.normal(size=days)[day] + rng.normal(size=len(day)) * 0.2,
            "word": rng.choice(["a", "b", "c"], len(day)),
            "p": rng.random(len(day)),
            "when": [START + timedelta(days=int(d)) for d in day],
            "plane": rng.integers(0, 400, len(day)),
        }
    )


COLUMNS = ("fare", "weather", "word")


def test_it_comes_back_as_it_was_written(tmp_path: Path) -> None:
    rows = table()
    path = tmp_path / "reference.json"
    made = write(path, Part(rows, COLUMNS, "when", "plane"), Part(rows.tail(900), ("p",), "when"))
    again = read_version_reference(path.read_bytes())
    assert version_reference_bytes(again) == path.read_bytes() == version_reference_bytes(made)
    assert again.features is not None
    assert again.outputs is not None
    assert [*again.features.layout.columns] == ["feature_fare", "feature_weather", "feature_word"]
    assert [*again.outputs.layout.columns] == ["output_p"]
    assert set(again.features.alike) == {"hour", "day", "unit"}


def test_the_order_of_rows_and_the_kind_of_table_do_not_matter() -> None:
    rows = table(days=28)
    shuffled = rows.sample(frac=1, random_state=1)
    arrow = pa.Table.from_pandas(shuffled, preserve_index=False)
    forms = [rows, shuffled, arrow, lambda: iter(arrow.to_batches(100))]
    found = {version_reference_bytes(made_of(Part(form, COLUMNS, "when", "plane"), None)) for form in forms}
    assert len(found) == 1


def test_one_that_tells_of_nobody_still_counts_exactly_these_rows() -> None:
    rows = table(days=28)
    part = Part(rows, COLUMNS, "when", "plane", context=["word"])
    made = made_of(part, Part(rows.tail(900), ("p",), "when", context=["word"]), recode=True)
    assert version_reference_bytes(recoded_reference(made)) == version_reference_bytes(made)
    assert made.own == made_of(part, Part(rows.tail(900), ("p",), "when", context=["word"])).own
    assert made.features
    source = Source({f"feature_{name}": name for name in COLUMNS})
    counted = RowCounter(made.features.layout, source)(pa.RecordBatch.from_pandas(rows, preserve_index=False))
    for name, column in made.features.sketch.columns.items():
        assert column.cells.tolist() == counted.columns[name].cells.tolist()


def test_rows_outside_the_training_window_do_not_count() -> None:
    rows = table(days=28)
    end = START + timedelta(days=14)
    of_window = made_of(Part(rows, COLUMNS, "when", until=end), None)
    cut = made_of(Part(rows[rows["when"] < end], COLUMNS, "when"), None)
    assert version_reference_bytes(of_window) == version_reference_bytes(cut)


def test_its_own_weeks_are_quiet_once_their_days_are_known() -> None:
    rows = table()
    clustered = made_of(Part(rows, COLUMNS, "when"), None).own
    assert clustered is not None
    assert (clustered.hours, clustered.periods, clustered.alarms) == (168, 12, {})
    independent = made_of(Part(rows, COLUMNS, "when"), None, Expected(clusters=())).own
    assert independent is not None
    assert independent.alarms["feature_weather"] > 6


def test_a_reference_whose_weeks_differ_says_which_floor_would_be_quiet() -> None:
    rows = table(trend=0.03)
    own = made_of(Part(rows, ("fare", "word"), "when"), None, Expected(clusters=())).own
    assert own is not None
    assert set(own.alarms) == {"feature_fare"}
    quiet = own.quiet["feature_fare"]
    assert quiet > 0.1
    from gitml.monitoring.drift.scan import Floors

    raised = Expected(clusters=(), floors=Floors(columns={"fare": quiet}))
    again = made_of(Part(rows, ("fare", "word"), "when"), None, raised).own
    assert again is not None
    assert not again.alarms


def test_without_a_time_there_are_no_periods() -> None:
    assert made_of(Part(table(days=2), COLUMNS), None).own is None


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (Part(table(days=2), ("gone",)), "no column gone"),
        (Part(table(days=2), COLUMNS, "gone"), "no column gone"),
        (Part(table(days=2).iloc[:0], COLUMNS), "no rows"),
        (Part(table(days=2), COLUMNS, "word"), "holds no times"),
        (Part(table(days=2).assign(when=None), COLUMNS, "when"), "missing in 120 rows"),
        (Part(table(days=2), ()), "a column at least"),
    ],
)
def test_rows_that_make_no_reference(part: Part, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        made_of(part, None)


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b'{"format":2}', b'{"format":1,"features":{"a":1},"outputs":null,"own":null}']
)
def test_bytes_that_are_no_reference(raw: bytes) -> None:
    with pytest.raises(UsageError, match="no reference"):
        read_version_reference(raw)


def test_times_of_a_zone_are_those_of_the_traffic() -> None:
    when = ["2013-07-01T22:00:00", "2013-07-01T23:30:00"]
    table = pa.table({"fare": [1.0, 2.0], "when": when})
    there = made_of(Part(table, ("fare",), "when", zone="America/New_York"), None)
    utc = made_of(Part(table, ("fare",), "when"), None)
    assert there.features is not None
    assert utc.features is not None
    hours = [{hour for hour, _ in part.sketch.hours} for part in (there.features, utc.features)]
    assert hours[0] == {hour + 4 for hour in hours[1]}
    with pytest.raises(UsageError, match="holds no times") as wrong:
        made_of(Part(table, ("fare",), "when", zone="New York"), None)
    assert "zones like Europe/Vienna" in wrong.value.hint
