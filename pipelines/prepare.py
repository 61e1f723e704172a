"""Stage `prepare`: what is known about a flight when it is about to leave, and whether it arrived late.

The weather is the observation of the hour before the hour of scheduled departure. Hours are joined in UTC, so
the night when clocks go back, with two hours of the same name, needs no special care.
"""

from pathlib import Path

import pandas as pd

from files import StageError, params, read_table, run, say, write_json, write_table
from flights import CATEGORIES, DAY, FEATURES, ID, LABEL, MOMENT, PLANE, SCHEDULE, WEATHER

RAW = Path("data/raw")
COUNTS = Path("data/counts.json")
COLUMNS = [ID, DAY, MOMENT, *CATEGORIES, *SCHEDULE, *PLANE, *WEATHER, LABEL]


def minute_of_day(clock: pd.Series) -> pd.Series:
    """1530 means half past three in the afternoon; 2400 is midnight."""
    return (clock // 100 * 60 + clock % 100) % 1440


def flight_ids(flights: pd.DataFrame) -> pd.Series:
    """Unique and readable: day, time, carrier, number, origin, destination."""
    day = pd.to_datetime(flights[["year", "month", "day"]]).dt.strftime("%Y-%m-%d")
    time = flights["sched_dep_time"].astype(str).str.zfill(4)
    number = flights["carrier"] + flights["flight"].astype(str)
    return day + "T" + time + "-" + number + "-" + flights["origin"] + "-" + flights["dest"]


def plane_facts(flights: pd.DataFrame, planes: pd.DataFrame) -> pd.DataFrame:
    """Age in years and seats of each flight's plane; missing where the register has no such plane."""
    known = _unique(planes, ["tailnum"], "planes").set_index("tailnum")
    tails = flights["tailnum"]
    age = flights["year"] - tails.map(known["year"])
    return pd.DataFrame({"plane_age": age.astype(float), "plane_seats": tails.map(known["seats"]).astype(float)})


def weather_before(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """The observation at the origin of the hour before that of scheduled departure; missing where there is none."""
    keys = ["origin", "hour_utc"]
    asked = flights[["origin"]].assign(hour_utc=pd.to_datetime(flights["time_hour"]) - pd.Timedelta(hours=1))
    observed = weather[["origin", *WEATHER]].assign(hour_utc=pd.to_datetime(weather["time_hour"]))
    joined = asked.merge(_unique(observed, keys, "weather"), on=keys, how="left", validate="many_to_one")
    return joined[list(WEATHER)].astype(float).set_index(flights.index)


def _unique(table: pd.DataFrame, keys: list[str], name: str) -> pd.DataFrame:
    double = table.duplicated(keys)
    if double.any():
        example = table.loc[double, keys].iloc[0].to_dict()
        raise StageError(f"{name} has {double.sum()} rows twice, such as {example}: a join would double flights")
    return table


def features(flights: pd.DataFrame, planes: pd.DataFrame, weather: pd.DataFrame, late_after: int) -> pd.DataFrame:
    """One row per flight that arrived, in order of scheduled departure: identity, features, label."""
    flown = flights[flights["arr_delay"].notna()].reset_index(drop=True)
    days = pd.to_datetime(flown[["year", "month", "day"]])
    minute = minute_of_day(flown["sched_dep_time"])
    table = flown[list(CATEGORIES)].assign(
        **{
            ID: flight_ids(flown),
            DAY: days.dt.strftime("%Y-%m-%d"),
            MOMENT: (days + pd.to_timedelta(minute, unit="min")).astype("datetime64[us]"),
            "day_of_week": days.dt.day_of_week.astype("int64"),
        },
        sched_dep_minute=minute,
        sched_arr_minute=minute_of_day(flown["sched_arr_time"]),
        distance=flown["distance"],
        **{LABEL: (flown["arr_delay"] > late_after).astype("int64")},
    )
    table = pd.concat([table, plane_facts(flown, planes), weather_before(flown, weather)], axis=1)
    return _unique(table[COLUMNS].sort_values(ID, ignore_index=True), [ID], "flights")


def counts(flights: pd.DataFrame, table: pd.DataFrame) -> dict[str, int | float]:
    """What became of the month's flights."""
    left = flights["dep_time"].notna()
    return {
        "flights": len(flights),
        "cancelled": int((~left).sum()),
        "diverted_or_lost": int((left & flights["arr_delay"].isna()).sum()),
        "kept": len(table),
        "late_share": round(float(table[LABEL].mean()), 4),
        "without_weather": int(table[list(WEATHER)].isna().all(axis=1).sum()),
        "without_plane": int(table["plane_seats"].isna().sum()),
    }


def main() -> None:
    """Write data/features and data/counts.json."""
    (settings,) = params("prepare")
    planes, weather = read_table(RAW / "planes.parquet"), read_table(RAW / "weather.parquet")
    months = sorted((RAW / "flights").glob("*.parquet"))
    if not months:
        raise StageError(f"{RAW / 'flights'} has no month: run the stage `ingest`")
    seen = {}
    for path in months:
        flights = read_table(path)
        table = features(flights, planes, weather, settings["late_after_minutes"])
        if table.empty:
            raise StageError(f"{path}: no flight of this month arrived, nothing to learn or to test from")
        write_table(FEATURES / path.name, table)
        seen[path.stem] = counts(flights, table)
        say(f"{path.stem}: " + ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in seen[path.stem].items()))
    write_json(COUNTS, seen)


if __name__ == "__main__":
    run(main)
