"""The monitor on real flights: quiet while nothing changes, loud when spring comes, never about what stays the same."""

from __future__ import annotations

import importlib.util
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from application.staging import ROOT
from gitml.sketches.reference import ReferenceSketch, reference_of
from gitml.sketches.sketch import CLUSTERS

STEADY = {"carrier", "origin", "dest", "day_of_week", "sched_dep_minute", "sched_arr_minute", "distance"}


@pytest.fixture(scope="module")
def flights() -> ModuleType:
    spec = importlib.util.spec_from_file_location("flights_watch", ROOT / "benchmarks/flights_watch.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.nightly
def test_weeks_of_the_reference_are_quiet_and_spring_is_not(trained: Path, flights: ModuleType) -> None:
    folder = trained / "data/features"
    reference: ReferenceSketch = reference_of(
        partial(flights.rows_of, folder, *flights.TRAINED), flights.COLUMNS, flights.SOURCE
    )
    own = flights.own_weeks(folder, reference, CLUSTERS)
    assert len(own) == 12
    assert not any(own)
    assert all(flights.own_weeks(folder, reference, ())), "rows that are taken as independent alarm each week"
    first = flights.first_alarms(folder, reference, 9, CLUSTERS)
    assert first["temp"] <= 3
    assert first["dewp"] <= 8
    assert not first.keys() & STEADY
