"""A KPI from a table, as Parquet and as CSV."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from gitml.errors import InconclusiveError, UsageError
from gitml.rollout.business import facts_of
from gitml.rollout.trial import KpiRule, TrialTraffic
from gitml.rollout.unitkeys import keys_of_texts
from gitml.spec.kpis import Kpi
from gitml.success.facttable import kpi_batches
from gitml.traffic.reader import Window

DAY = datetime(2026, 3, 2, tzinfo=UTC)


def rows(root: Path, name: str) -> list[dict[str, object]]:
    return [row for batch in kpi_batches(root, name) for row in batch.to_pylist()]


def test_both_forms_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "k.csv").write_text("unit,time,value\n007,2026-03-02 08:00:00,2.5\nada,2026-03-03 00:00:00,\n")
    times = pa.array([datetime(2026, 3, 2, 8), datetime(2026, 3, 3)], pa.timestamp("ns"))
    table = pa.table({"unit": ["007", "ada"], "time": times, "value": [2.5, None], "more": [1, 2]})
    parquet.write_table(table, tmp_path / "k.parquet")
    found = rows(tmp_path, "k.csv")
    assert found == rows(tmp_path, "k.parquet")
    assert found[0] == {"unit": "007", "time": datetime(2026, 3, 2, 8, tzinfo=UTC), "value": 2.5}, "an id of digits"


def test_rows_outside_of_the_window_do_not_count_and_those_without_a_value_are_told(tmp_path: Path) -> None:
    text = "unit,time,value\nb,2026-03-02 08:00:00,1\na,2026-03-02 09:00:00,2\n"
    text += "a,2026-03-01 09:00:00,4\nc,2026-03-02 09:00:00,\n"
    (tmp_path / "k.csv").write_text(text)
    traffic = TrialTraffic(
        lambda window, columns: iter(()),
        lambda window: iter(()),
        lambda rule, window: kpi_batches(tmp_path, rule.spec.table or ""),
        lambda since, until: None,
    )
    rule = KpiRule("k", Kpi(table="k.csv"), 0.1)
    found = facts_of(rule, traffic, Window(DAY, DAY.replace(day=3)))
    keys = keys_of_texts(pa.array(["a", "b"])).view(np.int64)
    told = dict(zip(found.unit.tolist(), found.value.tolist(), strict=True))
    assert {key: told[int(key)] for key in keys} == {keys[0]: 2.0, keys[1]: 1.0}
    assert len(told) == 3
    assert found.unfit == 1


def test_what_a_table_says_twice_counts_once(tmp_path: Path) -> None:
    """By its id, where it has one; else two rows of one unit, time and value are one."""
    text = "unit,time,value{}\na,2026-03-02 08:00:00,2{}\na,2026-03-02 08:00:00,2{}\na,2026-03-02 08:00:00,3{}\n"
    (tmp_path / "k.csv").write_text(text.format("", "", "", ""))
    (tmp_path / "i.csv").write_text(text.format(",id", ",1", ",2", ",2"))

    def told(name: str) -> list[float]:
        traffic = TrialTraffic(
            lambda window, columns: iter(()),
            lambda window: iter(()),
            lambda rule, window: kpi_batches(tmp_path, rule.spec.table or ""),
            lambda since, until: None,
        )
        return sorted(facts_of(KpiRule("k", Kpi(table=name), 0.1), traffic, Window(DAY, DAY.replace(day=3))).value)

    assert (told("k.csv"), told("i.csv")) == ([2, 3], [2, 2])


def test_numbers_as_times_are_refused(tmp_path: Path) -> None:
    (tmp_path / "k.csv").write_text("unit,time,value\na,1772438400,1\n")
    with pytest.raises(UsageError, match="time is int64, and not a timestamp"):
        rows(tmp_path, "k.csv")


@pytest.mark.parametrize("value", ["1e308", "-inf"])
def test_values_that_cannot_be_added_up_are_told(tmp_path: Path, value: str) -> None:
    (tmp_path / "k.csv").write_text(f"unit,time,value\nb,2026-03-02 08:00:00,1\na,2026-03-02 09:00:00,{value}\n")
    traffic = TrialTraffic(
        lambda window, columns: iter(()),
        lambda window: iter(()),
        lambda rule, window: kpi_batches(tmp_path, rule.spec.table or ""),
        lambda since, until: None,
    )
    rule = KpiRule("k", Kpi(table="k.csv"), 0.1)
    assert facts_of(rule, traffic, Window(DAY, DAY.replace(day=3))).huge == 1


def test_what_is_no_table_says_so(tmp_path: Path) -> None:
    with pytest.raises(InconclusiveError, match=r"the table k\.csv is not here"):
        rows(tmp_path, "k.csv")
    (tmp_path / "k.csv").write_text("user,when\n1,2\n")
    with pytest.raises(UsageError, match=r"k\.csv is no table of a KPI"):
        rows(tmp_path, "k.csv")
    (tmp_path / "k.parquet").write_bytes(b"no")
    with pytest.raises(UsageError, match=r"k\.parquet is no table of a KPI"):
        rows(tmp_path, "k.parquet")
