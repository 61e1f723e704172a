"""What is known of the year so far: who answers, what that costs, what reports promised and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from box import say
from numpy.typing import NDArray
from yearflights import Calendar
from yearpeople import Interval
from yearpolicies import Daily
from yeartown import COST, Town

from gitml import clock
from gitml.models.model import Predictor
from gitml.stats.rowlosses import decision_cost
from gitml.traffic.labels import Label

Floats = NDArray[Any]
Columns = dict[str, Floats]
MISSED, FALSE_ALERT = COST["false_negative"], COST["false_positive"]
FOLLOWED = timedelta(weeks=8)
TRIED, ANSWERED, EXPIRED = "still tried beside the champion", "became champion", "undecided in its time, so taken back"
TAKEN_BACK = "taken back by the canary"
Sides = Mapping[str, Floats]


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
    """A version that was to take the place of ``before``. ``said``: by how much each metric differs, by the report;
    ``fate``: what became of it.

    ``daily``: flights of the eight weeks that followed, and by how much their cost and log loss differ from those of
    ``before``, whether it answered them or not.
    """

    candidate: Champion
    before: Champion
    said: Mapping[str, Interval]
    since: datetime
    fate: str = TRIED
    daily: dict[str, Daily] = field(default_factory=dict)


@dataclass
class Year:
    """``known``: versions that answered all flights. ``beside``: what is tried on some of them. ``broke``: Ada's
    change has come. ``told``: what happened when, and who did it.

    ``daily``: flights and dollars of each day of 2013, by policy. ``foreseen``: how many retrainings were opened when
    people first refused one, 0 while they refused none.
    """

    town: Town
    calendar: Calendar
    champion: Champion
    first: Champion
    incidents: Incidents
    began: datetime
    known: dict[str, Champion] = field(default_factory=dict)
    told: list[tuple[str, str, str]] = field(default_factory=list)
    daily: dict[str, Daily] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)
    opened: list[tuple[str, datetime]] = field(default_factory=list)
    foreseen: int = 0
    pending: list[tuple[datetime, list[Label]]] = field(default_factory=list)
    beside: Trial | None = None
    broke: bool = False

    @property
    def sides(self) -> tuple[Champion, ...]:
        """Who is asked: the champion, and what is tried beside it."""
        return (self.champion, *([self.beside.candidate] if self.beside else ()))

    def is_to_break(self, since: datetime) -> bool:
        """Ada's change comes in its week, or once nothing else is tried."""
        return not self.broke and self.beside is None and self.calendar.of_flights(since) >= self.incidents.broken

    def answers(self, champion: Champion) -> None:
        self.champion = self.known[champion.version] = champion

    def happened(self, what: str, who: str = "") -> None:
        what, day = self.calendar.in_words(what), f"{self.calendar.of_flights(clock.now()):%Y-%m-%d}"
        self.told.append((day, what, who))
        say(f"{day}  {what}{f' ({who})' if who else ''}")


def answered(champion: Champion, columns: Columns) -> Floats:
    return np.asarray(champion.model.predict(columns), float)


@dataclass(frozen=True)
class Week:
    """Flights of a week as they were asked: shapes (n,). ``days`` of 2013; ``taken``: the canary answered."""

    columns: Columns
    late: Floats
    days: Floats
    taken: Floats


def tell_costs(year: Year, week: Week, sides: Sides) -> None:
    """What the answers of both ``sides`` cost, to each the flights that it had; what those of the first version would
    have; and what became of versions that were tried, also of those that were kept out."""
    known = dict(sides)
    if year.first.version not in known:
        known[year.first.version] = answered(year.first, week.columns)
    old, mine = (dollars(side, known[side.version], week.late) for side in (year.first, year.champion))
    if year.beside:
        other = year.beside.candidate
        mine = np.where(week.taken, dollars(other, known[other.version], week.late), mine)
    for policy, cost in (("gitml", mine), ("frozen", old)):
        add(year.daily.setdefault(policy, {}), week.days, cost)
    for trial in year.trials:
        if trial.since + FOLLOWED > clock.now():
            _follow(trial, week, known)


def _follow(trial: Trial, week: Week, known: Sides) -> None:
    sides = trial.candidate, trial.before
    new, old = (known[s.version] if s.version in known else answered(s, week.columns) for s in sides)
    cost = dollars(trial.candidate, new, week.late) - dollars(trial.before, old, week.late)
    add(trial.daily.setdefault("cost_per_flight", {}), week.days, cost)
    add(trial.daily.setdefault("log_loss", {}), week.days, log_losses(week.late, new) - log_losses(week.late, old))


def dollars(side: Champion, answers: Floats, late: Floats) -> Floats:
    """Of each decision, at the version's own threshold."""
    return decision_cost(late, (answers >= side.threshold).astype(float), MISSED, FALSE_ALERT)


def log_losses(late: Floats, answers: Floats) -> Floats:
    inside = np.clip(answers, 1e-15, 1 - 1e-15)
    found: Floats = -(late * np.log(inside) + (1 - late) * np.log1p(-inside))
    return found


def add(daily: Daily, days: Floats, amounts: Floats) -> None:
    """Flights and the sum of ``amounts``, to each day."""
    different, places = np.unique(days, return_inverse=True)
    flights, sums = np.bincount(places), np.bincount(places, amounts)
    for day, count, amount in zip(different.tolist(), flights.tolist(), sums.tolist(), strict=True):
        told = daily.setdefault(str(day), [0, 0.0])
        told[0] += count
        told[1] += amount
