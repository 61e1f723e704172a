"""What is known of the year so far: who answers, what that costs, what reports promised and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from box import say
from numpy.typing import NDArray
from yearflights import Calendar
from yearpolicies import Daily
from yeartown import Town

from gitml import clock
from gitml.models.model import Predictor

Floats = NDArray[Any]
Columns = dict[str, Floats]
MISSED, FALSE_ALERT = 60.0, 20.0


@dataclass
class Champion:
    """The version that answers."""

    version: str
    model: Predictor
    threshold: float


@dataclass
class Incidents:
    """Mondays of 2013. ``away``: the weather feed is away for a week.

    ``broken``: Ada's change, after which training and evaluation read hours of departure while requests say minutes.
    """

    away: datetime
    broken: datetime


@dataclass
class Trial:
    """A version that took the place of ``before``. ``said``: by how much its log loss differs, by the report.

    ``daily``: flights that it answered, and by how much their log losses differ from those of ``before``.
    """

    version: str
    before: Champion
    said: tuple[float, float, float] | None
    daily: Daily = field(default_factory=dict)


@dataclass
class Year:
    """``known``: versions that answered. ``told``: what happened when, and who did it.

    ``daily``: flights and dollars of each day of 2013, by policy. ``foreseen``: how many retrainings were opened when
    people first refused one, 0 while they refused none.
    """

    town: Town
    calendar: Calendar
    champion: Champion
    first: Champion
    incidents: Incidents
    known: dict[str, Champion] = field(default_factory=dict)
    told: list[tuple[str, str, str]] = field(default_factory=list)
    daily: dict[str, Daily] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)
    opened: list[tuple[str, datetime]] = field(default_factory=list)
    foreseen: int = 0
    pending: list[tuple[datetime, str, list[float]]] = field(default_factory=list)

    def answers(self, champion: Champion) -> None:
        self.champion = self.known[champion.version] = champion

    def happened(self, what: str, who: str = "") -> None:
        day = f"{self.calendar.of_flights(clock.now()):%Y-%m-%d}"
        self.told.append((day, what, who))
        say(f"{day}  {what}{f' ({who})' if who else ''}")


def answered(champion: Champion, columns: Columns) -> Floats:
    return np.asarray(champion.model.predict(columns), float)


def try_out(year: Year, columns: Columns, answers: Floats, late: Floats, moment: datetime) -> None:
    """What the version before would have answered, for what the report had promised."""
    trial = year.trials[-1] if year.trials else None
    if trial is None or trial.version != year.champion.version:
        return
    differ = log_losses(late, answers) - log_losses(late, answered(trial.before, columns))
    add(trial.daily, year, moment, len(late), float(differ.sum()))


def log_losses(late: Floats, answers: Floats) -> Floats:
    inside = np.clip(answers, 1e-15, 1 - 1e-15)
    found: Floats = -(late * np.log(inside) + (1 - late) * np.log1p(-inside))
    return found


def count(year: Year, policy: str, late: Floats, alert: Floats, moment: datetime) -> None:
    dollars = float(MISSED * (late * ~alert).sum() + FALSE_ALERT * ((1 - late) * alert).sum())
    add(year.daily.setdefault(policy, {}), year, moment, len(late), dollars)


def add(daily: Daily, year: Year, moment: datetime, flights: int, amount: float) -> None:
    told = daily.setdefault(f"{year.calendar.of_flights(moment):%Y-%m-%d}", [0, 0.0])
    told[0] += flights
    told[1] += amount
