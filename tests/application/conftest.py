"""The reference application: its modules on the import path, a small world of flights, one real small run."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from application.staging import PIPELINES, ROOT, SMALL, change_params, run, threads
from conftest import dvc, git

sys.path.insert(0, str(PIPELINES))

from flights import WEATHER


@dataclass(frozen=True)
class World:
    """Raw tables as `ingest` writes them."""

    flights: pd.DataFrame
    planes: pd.DataFrame
    weather: pd.DataFrame


def make_world(*, days: int = 6, per_day: int = 40, seed: int = 3) -> World:
    """Invented flights of January 2013, of which the evening ones tend to be late."""
    draw = np.random.default_rng(seed)
    count = days * per_day
    hour = draw.integers(5, 22, count)
    day = np.repeat(np.arange(1, days + 1), per_day)
    left = pd.to_datetime({"year": 2013, "month": 1, "day": day, "hour": hour}) + pd.Timedelta(hours=5)
    delay = np.round(draw.normal(hour * 2.0 - 25, 20, count))
    flights = pd.DataFrame(
        {
            "year": 2013,
            "month": 1,
            "day": day,
            "dep_time": hour * 100.0,
            "sched_dep_time": hour * 100 + 30,
            "dep_delay": delay - 1,
            "arr_time": (hour + 2) * 100.0,
            "sched_arr_time": (hour + 2) * 100 + 15,
            "arr_delay": delay,
            "carrier": draw.choice(["AA", "B6", "UA"], count, p=[0.6, 0.3, 0.1]),
            "flight": np.arange(count),
            "tailnum": draw.choice(["N1", "N2", "N3"], count),
            "origin": draw.choice(["EWR", "JFK", "LGA"], count),
            "dest": draw.choice(["ORD", "LAX", "MIA"], count),
            "air_time": 100.0,
            "distance": draw.integers(200, 2500, count),
            "hour": hour,
            "minute": 30,
            "time_hour": left.dt.strftime("%Y-%m-%dT%H:00:00Z"),
        }
    )
    planes = pd.DataFrame({"tailnum": ["N1", "N2"], "year": [2003.0, np.nan], "seats": [150, 20]})
    hours = pd.date_range("2013-01-01T06:00", periods=24 * (days + 1), freq="h")
    weather = pd.concat(
        pd.DataFrame({"origin": origin, "time_hour": hours.strftime("%Y-%m-%dT%H:%M:%SZ")}).assign(
            **{name: draw.normal(10, 3, len(hours)) for name in WEATHER}
        )
        for origin in ("EWR", "JFK", "LGA")
    )
    return World(flights, planes, weather.reset_index(drop=True))


@pytest.fixture
def world() -> World:
    return make_world()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both models trained and judged by DVC on 38 days of the real flights, in a sub-folder of a repository.

    On one thread; with this many rows more of them would share the work.
    """
    top = tmp_path_factory.mktemp("repository")
    folder = top / "apps" / "à l'heure"
    folder.mkdir(parents=True)
    shutil.copytree(PIPELINES, folder / "pipelines", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "gitml.yaml", "params.yaml"):
        shutil.copy(ROOT / name, folder / name)
    change_params(folder, SMALL)
    git(top, "init", "-q")
    dvc(top, "init")
    run(folder, "dvc", "repro", "evaluate", "mlp-evaluate", **threads(1))
    return folder


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """The application with its data and models, to change at will."""
    return Path(shutil.copytree(trained, tmp_path / "application"))
