"""A week of flights: each is answered by the version that main routes it to, and told what became of it hours later."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from yearflights import HOUR, WEEK, between, by_hour, day_names, without_weather
from yearstate import Columns, Floats, Sides, Week, Year, answered, tell_costs
from yeartown import MODEL, PLACE_NAME

from gitml import clock
from gitml.serving.router import epoch_of, route
from gitml.spec import Deployment
from gitml.traffic.exchange import Arm, Exchange
from gitml.traffic.labels import Label, LabelStore
from gitml.traffic.predictionlog import LogLimits, LogOrigin, PredictionLog

ARRIVED = 8 * HOUR


def turn(folder: Path, moment: datetime) -> None:
    """The clock, ahead to ``moment``; never back."""
    place = folder / "clock"
    os.environ[clock.VARIABLE] = str(place)
    before = clock.ahead() if place.exists() else 0
    new = place.with_name("clock.new")
    new.write_text(f"{max(before, math.ceil(moment.timestamp() - time.time()))}s")
    new.replace(place)


def serve(year: Year, since: datetime) -> None:
    """A week, asked in its hours."""
    town = year.town
    state = town.deployment()
    flights = between(town.app / "data/features", since, since + WEEK)
    seen = without_weather(flights) if year.calendar.of_flights(since) == year.incidents.away else flights
    log = PredictionLog(town.traffic, limits=LogLimits(window=0.05), origin=LogOrigin("web", PLACE_NAME))
    labels = LabelStore(town.traffic)
    names = [one.name for one in year.champion.model.signature.inputs]
    columns = {name: seen[name].to_numpy(zero_copy_only=False) for name in names}
    # At once: what a flight is answered does not depend on the others.
    sides = {side.version: answered(side, columns) for side in year.sides}
    mine = routed(state, flights)
    week = Week(columns, flights["late"].to_numpy().astype(float), day_names(flights, year.calendar), mine)
    start = 0
    for moment, real in by_hour(flights):
        turn(town.folder, moment)
        tell(year, labels, moment - ARRIVED)
        part = slice(start, start + len(real))
        start = part.stop
        asked = {name: values[part] for name, values in columns.items()}
        late = real["late"].to_pylist()
        if state.canary is None:
            log.put(whole_hour(state, moment, asked, sides[state.champion.version][part]))
            told = [Label(f"{moment:%Y-%m-%dT%H}", float(value), row) for row, value in enumerate(late)]
        else:
            flown = real["flight_id"].to_pylist()
            for one in each_flight(state, moment, flown, asked, {name: some[part] for name, some in sides.items()}):
                log.put(one)
            told = [Label(unit, float(value)) for unit, value in zip(flown, late, strict=True)]
        year.pending.append((moment, told))
    turn(town.folder, since + WEEK + HOUR)
    tell(year, labels, since + WEEK + HOUR - ARRIVED)
    log.close()
    labels.close()
    tell_costs(year, week, sides)


def routed(state: Deployment, flights: pa.Table) -> Floats:
    """Which flights the canary answers, as a server draws them: each flight is a unit."""
    if state.canary is None:
        return np.zeros(len(flights), bool)
    units = flights["flight_id"].to_pylist()
    drawn = [route(state, unit, model=MODEL, environment=PLACE_NAME) == "canary" for unit in units]
    return np.array(drawn, bool)


def arms(state: Deployment) -> Iterator[Arm]:
    """Champion and canary, as a server writes them."""
    epoch = epoch_of(state, model=MODEL, environment=PLACE_NAME)
    weight = float(state.canary.weight) if state.canary else 0.0
    yield Arm(MODEL, PLACE_NAME, "champion", state.champion.version, 100.0 - weight, epoch)
    if state.canary:
        yield Arm(MODEL, PLACE_NAME, "canary", state.canary.version, weight, epoch)


def whole_hour(state: Deployment, moment: datetime, asked: Columns, answers: Floats) -> Exchange:
    """One request for all flights of the hour, while one version answers all of them."""
    at = moment.timestamp()
    (arm,) = arms(state)
    return Exchange(f"{moment:%Y-%m-%dT%H}", "", None, arm, asked, {"p_late": answers}, 0.01, at, at)


def each_flight(
    state: Deployment, moment: datetime, units: list[str], asked: Columns, sides: Sides
) -> Iterator[Exchange]:
    """A request for each flight, answered by the version that it is routed to."""
    at, known = moment.timestamp(), {arm.name: arm for arm in arms(state)}
    for n, unit in enumerate(units):
        arm = known[route(state, unit, model=MODEL, environment=PLACE_NAME)]
        row = {name: values[n : n + 1] for name, values in asked.items()}
        answer = {"p_late": sides[arm.version][n : n + 1]}
        yield Exchange(unit, "", unit, arm, row, answer, 0.01, at, at)


def tell(year: Year, labels: LabelStore, until: datetime) -> None:
    """Of flights that have arrived: whether they were late."""
    over = [one for one in year.pending if one[0] <= until]
    year.pending = [one for one in year.pending if one[0] > until]
    for _, told in over:
        labels.add(MODEL, told, "arrivals")
