"""What the year would have cost without gitml: a model trained again on the first of each month, whoever looks or not.

    python demo/yearpolicies.py SOURCE UNTIL AWAY OUT

SOURCE is the reference application with its features of 2013, UNTIL the day after the last one, AWAY the Monday of the
week without weather. OUT gets a JSON file: policy → day → [flights, dollars]. The threshold of each is the cheapest on
the last 14 days of what it may see.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

DAY = timedelta(days=1)
BEGIN, FIRST = date(2013, 1, 1), date(2013, 4, 1)
VALIDATED = 14
# What each policy trains on, by the first day that it answers.
POLICIES: dict[str, Callable[[date], date]] = {
    "monthly, last 90 days": lambda day: day - timedelta(days=90),
    "monthly, all days": lambda day: BEGIN,
}

Daily = dict[str, list[float]]


def months(until: date) -> Iterator[tuple[date, date]]:
    """First day of each month, and of the next one, up to ``until``."""
    first = FIRST
    while first < until:
        after = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
        yield first, min(after, until)
        first = after


def daily(days: Any, dollars: Any) -> Daily:
    """Flights and dollars of each day."""
    found: Daily = {}
    for day, cost in zip(days, dollars, strict=True):
        told = found.setdefault(str(day), [0, 0.0])
        told[0] += 1
        told[1] += float(cost)
    return found


def main(source: Path, until: date, away: date) -> dict[str, Daily]:
    sys.path.insert(0, str(source / "pipelines"))
    import boosting
    from flights import DAY as COLUMN
    from flights import LABEL, WEATHER, inputs, read_days
    from scoring import Cost, best_threshold

    params = yaml.safe_load((source / "params.yaml").read_text())
    cost, columns, features = Cost(**params["cost"]), inputs(weather=True), source / "data/features"
    found: dict[str, Daily] = {}
    for name, begins in POLICIES.items():
        told: Daily = {}
        for first, after in months(until):
            cut = first - timedelta(days=VALIDATED)
            fit, late = (read_days(days, features) for days in ((begins(first), cut - DAY), (cut, first - DAY)))
            model = boosting.fit(boosting.build(params["train"]), fit[columns], fit[LABEL])
            threshold = best_threshold(late[LABEL].to_numpy(float), boosting.predict(model, late[columns]), cost)
            rows = read_days((first, after - DAY), features)
            rows.loc[rows[COLUMN].between(f"{away}", f"{away + 6 * DAY}"), list(WEATHER)] = float("nan")
            alert, truth = boosting.predict(model, rows[columns]) >= threshold, rows[LABEL].to_numpy(float)
            told |= daily(rows[COLUMN], cost.missed * truth * ~alert + cost.false_alert * (1 - truth) * alert)
        found[name] = told
    return found


if __name__ == "__main__":
    place, until, away, out = sys.argv[1:]
    Path(out).write_text(json.dumps(main(Path(place), *map(date.fromisoformat, (until, away)))))
