"""A KPI by day: zones, clocks that change, late facts, repeats, gaps."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from gitml.errors import UsageError
from gitml.spec.kpis import Kpi
from gitml.success.days import Days, whole_days
from gitml.success.facts import FactPlace
from gitml.success.series import KpiSeries, SeriesSpan, kpi_series
from gitml.traffic.events import BusinessEvent, EventStore
from success.facts_kit import AT, CSV, TOTALS, WEEK, kpi_of, read

MARCH = datetime(2026, 3, 1, tzinfo=UTC)


def series(root: Path, text: str, **more: object) -> KpiSeries:
    (root / "k.csv").write_text(text)
    kpi = Kpi.model_validate({"table": "k.csv", **more})
    return kpi_series(
        FactPlace(root), "k", kpi, SeriesSpan(MARCH, MARCH + timedelta(days=5), MARCH + timedelta(days=9))
    )


def values(found: KpiSeries) -> list[float | None]:
    return [day.value for day in found.days]


def test_days_begin_in_their_zone_also_where_clocks_change(tmp_path: Path) -> None:
    (tmp_path / "k.csv").write_text(CSV)
    assert read(tmp_path, kpi_of(table="k.csv")).total == TOTALS
    assert [(b - a) / timedelta(hours=1) for a, b in zip(WEEK.edges, WEEK.edges[1:], strict=False)] == [24, 24, 23, 24]
    autumn = Days(date(2026, 10, 25), date(2026, 10, 25), "Europe/Berlin")
    assert autumn.until - autumn.since == timedelta(hours=25)


def test_a_day_that_a_zone_left_out_is_no_day() -> None:
    apia = Days(date(2011, 12, 29), date(2011, 12, 31), "Pacific/Apia")
    assert [day.day for day in apia.dates] == [29, 31]


def test_only_whole_days_count() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert whole_days(noon, noon, "UTC").dates == ()
    assert len(whole_days(MARCH, MARCH + timedelta(days=2), "UTC")) == 2


def test_business_events_are_facts(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "log")
    events = [
        BusinessEvent("ada", MARCH + timedelta(hours=1), "bought", 2.5, "1"),
        BusinessEvent("ada", MARCH + timedelta(hours=1), "bought", 2.5, "1"),
        BusinessEvent("bob", MARCH + timedelta(hours=2), "bought", 4.0, "2"),
        BusinessEvent("bob", MARCH + timedelta(hours=2), "looked", 9.0, "3"),
    ]
    store.add(events)
    store.close()
    place = FactPlace(tmp_path, str(tmp_path / "log"))
    span = SeriesSpan(MARCH, MARCH + timedelta(days=1), AT)
    found = kpi_series(place, "k", Kpi(event="bought"), span)
    assert [(day.value, day.facts, day.units) for day in found.days] == [(6.5, 2, 2)]
    with pytest.raises(UsageError, match="where traffic is kept"):
        kpi_series(FactPlace(tmp_path), "k", Kpi(event="bought"), span)


def test_a_day_without_facts_is_what_gitml_yaml_says(tmp_path: Path) -> None:
    text = "unit,time,value\na,2026-03-02 08:00:00,2\na,2026-03-04 08:00:00,3\n"
    assert values(series(tmp_path, text)) == [None, 2, None, 3, None]
    quiet = series(tmp_path, text, empty="zero")
    assert values(quiet) == [None, 2, 0, 3, 0], "what was before the first fact is not known"
    assert quiet.days[0].why == "before the first fact"


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, 6.0),
        ({"value": "count"}, 3.0),
        ({"value": "any"}, 2.0),
        ({"daily": "mean"}, 2.0),
        ({"daily": "per-unit"}, 3.0),
        ({"value": "count", "daily": "per-unit"}, 1.5),
    ],
)
def test_the_number_of_a_day(tmp_path: Path, how: dict[str, str], expected: float) -> None:
    text = "unit,time,value\na,2026-03-02 08:00:00,1\na,2026-03-02 09:00:00,2\nb,2026-03-02 23:59:59,3\n"
    assert values(series(tmp_path, text, **how))[1] == expected


def test_a_fact_that_comes_twice_counts_once_and_a_late_one_when_it_is_known(tmp_path: Path) -> None:
    text = (
        "unit,time,value,id,arrived\n"
        "a,2026-03-02 08:00:00,9,x,2026-03-02 10:00:00\n"
        "a,2026-03-02 08:00:00,1,x,2026-03-02 09:00:00\n"
        "b,2026-03-02 08:00:00,4,y,2026-03-12 09:00:00\n"
    )
    found = series(tmp_path, text)
    assert values(found)[1] == 5.0
    assert found.notes == ("1 facts repeat an id, and count once",)
    span = SeriesSpan(MARCH, MARCH + timedelta(days=5), MARCH + timedelta(days=9), repeats=True)
    known = kpi_series(FactPlace(tmp_path), "k", Kpi(table="k.csv"), span)
    assert values(known)[1] == 1.0, "as it was known then"


def test_copies_without_an_id_are_told(tmp_path: Path) -> None:
    text = "unit,time,value\n" + "a,2026-03-02 08:00:00,1\n" * 3
    found = series(tmp_path, text)
    assert values(found)[1] == 3.0
    assert "2 facts are the same as another" in found.notes[0]


def test_dates_are_days_of_the_zone(tmp_path: Path) -> None:
    text = "unit,time,value\na,2026-03-02,1\na,2026-03-03,2\n"
    for zone in ("Pacific/Auckland", "America/Los_Angeles"):
        assert [v for v in values(series(tmp_path, text, zone=zone)) if v] == [1, 2]


@pytest.mark.parametrize("value", ["", "nan", "inf", "1e300"])
def test_a_value_that_cannot_be_added_up_makes_its_day_unknown(tmp_path: Path, value: str) -> None:
    found = series(tmp_path, f"unit,time,value\na,2026-03-02 08:00:00,1\nb,2026-03-02 08:00:00,{value}\n")
    assert found.days[1].value is None
    assert "1 of 2 facts have no value" in found.days[1].why


def test_days_whose_facts_may_still_come_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "k.csv").write_text("unit,time,value\na,2026-03-02 08:00:00,1\n")
    span = SeriesSpan(MARCH, MARCH + timedelta(days=5), MARCH + timedelta(days=5))
    found = kpi_series(FactPlace(tmp_path), "k", Kpi.model_validate({"table": "k.csv", "mature": "2d"}), span)
    assert [day.mature for day in found.days] == [True, True, True, False, False]


def test_nothing_at_all_is_nothing_known(tmp_path: Path) -> None:
    found = series(tmp_path, "unit,time,value\n", empty="zero")
    assert values(found) == [None] * 5
    assert found.mean_of_last_week is None
