"""The columns of the task, what is known when, and the split by time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd

from files import StageError, read_table

FEATURES = Path("data/features")

# Recorded at or after departure: never a feature. `arr_delay` makes the label and nothing else.
AFTER_DEPARTURE = ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time")

CATEGORIES = ("carrier", "origin", "dest")
SCHEDULE = ("day_of_week", "sched_dep_minute", "sched_arr_minute", "distance")
PLANE = ("plane_age", "plane_seats")
WEATHER = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")

ID = "flight_id"
DAY = "day"
# When it is to leave, by the clocks of New York; flights of an hour and of a day share their weather.
MOMENT = "scheduled"
LABEL = "late"
OUTPUT = "p_late"


@dataclass(frozen=True)
class Window:
    """The days a model is made from: fit, then validation, then holdout, each later than the one before."""

    fit: tuple[date, date]
    validation: tuple[date, date]
    holdout: tuple[date, date]


def window(settings: Mapping[str, Any]) -> Window:
    """The split that params.yaml asks for; bounds are first and last day, both included."""
    first, last = _day(settings, "first_day"), _day(settings, "last_day")
    hold, validate = _count(settings, "holdout_days"), _count(settings, "validation_days")
    hold_first = last - timedelta(days=hold - 1)
    validate_first = hold_first - timedelta(days=validate)
    one = timedelta(days=1)
    if validate_first <= first:
        raise StageError(f"window: {first} to {last} leaves no day to fit on beside {validate} + {hold} days")
    return Window((first, validate_first - one), (validate_first, hold_first - one), (hold_first, last))


def _day(settings: Mapping[str, Any], key: str) -> date:
    value = settings.get(key)
    if type(value) is date:
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise StageError(f"params.yaml: window.{key} is not a day like 2013-01-31: {value!r}") from error


def _count(settings: Mapping[str, Any], key: str) -> int:
    value = settings.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise StageError(f"params.yaml: window.{key} is not a whole number of days above 0: {value!r}")
    return value


def inputs(*, weather: bool) -> list[str]:
    """The columns a caller sends, in order."""
    return [*CATEGORIES, *SCHEDULE, *PLANE, *(WEATHER if weather else ())]


def read_days(bounds: tuple[date, date], folder: Path = FEATURES) -> pd.DataFrame:
    """The rows of the days from first to last; a month without a file or without rows is an error."""
    first, last = bounds
    months = pd.period_range(first, last, freq="M")
    frames = [_month(folder / f"{month}.parquet") for month in months]
    rows = pd.concat(frames, ignore_index=True)
    rows = rows[rows[DAY].between(first.isoformat(), last.isoformat())].reset_index(drop=True)
    if rows.empty:
        raise StageError(f"no flight from {first} to {last} in {folder}: correct `window` in params.yaml")
    return rows


def _month(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise StageError(f"{path} does not exist: the data has no such month, correct `window` in params.yaml")
    rows = read_table(path)
    if rows.empty:
        raise StageError(f"{path} has no rows: run the stages `ingest` and `prepare` again")
    return rows


def signature(rows: pd.DataFrame, columns: list[str]) -> dict[str, Any]:
    """What a caller sends and gets: names, types and, for words, the values seen in `rows`."""
    return {
        "inputs": [_field(rows[column]) for column in columns],
        "outputs": [{"name": OUTPUT, "type": "float64"}],
    }


def _field(column: pd.Series) -> dict[str, Any]:
    if column.name in CATEGORIES:
        return {"name": column.name, "type": "string", "categories": sorted(column.unique())}
    field: dict[str, Any] = {"name": column.name, "type": str(column.dtype)}
    return {**field, "nullable": True} if column.name in (*PLANE, *WEATHER) else field
