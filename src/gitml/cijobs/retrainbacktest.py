"""``gitml retrain backtest``: main, looks and the ledger as they were at each moment, under the rules of now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

from gitml.cijobs.retrainfacts import RetrainFacts
from gitml.control.place import Place
from gitml.errors import UsageError
from gitml.gate.mayrefuse import main_at
from gitml.retraining.backtest import BackTest, backtest
from gitml.retraining.brakes import Situation
from gitml.spec.retrain import LOOK_CAUSES

# When the job of every day runs, which asks for what a date or data make due.
_DAILY = time(3, 41, tzinfo=UTC)
_MOST = timedelta(days=1100)


def backtested(place: Place, since: datetime, until: datetime) -> BackTest:
    """Of every model that gitml.yaml retrains. Raises UsageError for a time that is none."""
    if not since < until <= place.clock() or until - since > _MOST:
        raise UsageError(
            "the period must be over, and begin before it ends",
            f"say --since and --until, at most {_MOST.days} days apart",
        )
    facts = RetrainFacts(place, place.newest(whole=True), until, since)
    return backtest(since, until, _moments(facts, since, until), lambda at: _situations(facts, at))


def _moments(facts: RetrainFacts, since: datetime, until: datetime) -> Iterator[datetime]:
    """When the job would have run: after each look, and once a day where dates or data are causes."""
    looks = (look.said.time for look in facts.looks.counting if look.monitor[0] in facts.specs)
    found = {at for at in looks if since <= at <= until}
    if any(set(spec.causes) - set(LOOK_CAUSES) for spec in facts.specs.values()):
        days = (since.date() + timedelta(n) for n in range((until - since).days + 2))
        found |= {at for day in days if since <= (at := datetime.combine(day, _DAILY)) <= until}
    return iter(sorted(found))


def _situations(facts: RetrainFacts, at: datetime) -> tuple[Situation, ...]:
    main = main_at(facts.main, at)
    return tuple(facts.situation(model, at, main) for model in facts.specs) if main else ()
