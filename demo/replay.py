"""Replay: weeks of real flights, each asked about in its hour, its label hours later, and what the monitor says.

The first of April 2013, a Monday, becomes the next Monday of the demo's clock, which is turned from hour to hour.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import clock
import httpx
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from box import APP, SERVER_CLOCK, Box, StepError, git, gitml, need, say, step, until
from serve import start_agent, stop_agents

FIRST, WEEK, HOUR = datetime(2013, 4, 1, tzinfo=UTC), timedelta(weeks=1), timedelta(hours=1)
# A flight has arrived, and whether it was late is known, so many hours after it was to leave.
ARRIVED = 8 * HOUR
MOST_WEEKS = 6
# Lines of the monitor: its verdicts, and the columns that moved most.
_SHOWN = 11

# Request → whether each of its flights was late, until its labels are sent.
Pending = dict[datetime, list[int]]


@dataclass
class Told:
    """What the server answered in a week, counted from 0. ``threshold``: from which chance on it is an alert."""

    week: int
    threshold: float
    flights: int = 0
    alerts: int = 0
    right: int = 0
    took: list[float] = field(default_factory=list)


def show_weeks(box: Box, url: str) -> None:
    """Until the monitor alarms on this laptop."""
    monday = _next_monday(clock.now())
    step(f"Real flights of April 2013, from the first on, are asked about as if it were {monday:%a %d %B %Y}")
    # The monitor on a laptop looks at what main says.
    git("fetch", "-q", box.git_url("ada"), "main")
    git("checkout", "-q", "-B", "main", "FETCH_HEAD")
    pending: Pending = {}
    for week in range(MOST_WEEKS):
        with httpx.Client(base_url=url, timeout=30) as client:
            _replay(client, week, monday, pending)
        # What it answered becomes Parquet every few minutes, and when the agent ends; nobody wants to wait here.
        clock.turn_server(monday + (week + 1) * WEEK + HOUR)
        stop_agents("production")
        url = start_agent(box, "production", quiet=True)
        clock.turn_server(monday + (week + 1) * WEEK + 2 * HOUR)
        if _look():
            return
    raise StepError(f"no alarm within {MOST_WEEKS} weeks")


def _replay(client: httpx.Client, week: int, monday: datetime, pending: Pending) -> None:
    """The flights of one week; the first begins on ``monday``."""
    began, told, first = time.monotonic(), Told(week, _threshold()), FIRST + week * WEEK
    names = [entry["name"] for entry in client.get("/models/delay").json()["inputs"]]
    for moment, flights in _hours(first):
        asked_at = monday + (moment - FIRST)
        clock.turn_server(asked_at)
        _label(client, pending, asked_at - ARRIVED)
        pending[asked_at] = flights["late"].to_pylist()
        _ask(client, told, flights.select(names), pending[asked_at], asked_at)
    median = sorted(told.took)[len(told.took) // 2] * 1000
    say(
        f"week from {first.day} {first:%B} on: {told.flights:,} flights, {told.alerts:,} alerts, {told.right:,} of "
        f"them late; {len(told.took)} requests, median {median:.1f} ms; replayed in {time.monotonic() - began:.1f} s"
    )


def _threshold() -> float:
    """The one that training chose for the champion."""
    return float(json.loads((APP / "artifacts/delay/threshold.json").read_text())["threshold"])


def _next_monday(now: datetime) -> datetime:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(days=7 - midnight.weekday())


def _hours(first: datetime) -> Iterator[tuple[datetime, pa.Table]]:
    """The flights of a week, an hour at a time."""
    table = ds.dataset(APP / "data" / "features").to_table()
    moments = table["scheduled"].cast(pa.timestamp("us", "UTC"))
    table = table.set_column(
        table.schema.get_field_index("scheduled"), "scheduled", pc.floor_temporal(moments, unit="hour")
    )
    inside = pc.and_(pc.greater_equal(table["scheduled"], first), pc.less(table["scheduled"], first + WEEK))
    table = table.filter(inside).sort_by("flight_id")
    for moment in pc.unique(table["scheduled"]).sort().to_pylist():
        yield moment, table.filter(pc.equal(table["scheduled"], pa.scalar(moment, table["scheduled"].type)))


def _ask(client: httpx.Client, told: Told, flights: pa.Table, late: Sequence[int], moment: datetime) -> None:
    began = time.perf_counter()
    answer = client.post(
        "/models/delay/predict", json={"columns": flights.to_pydict()}, headers={"X-Request-Id": _name(moment)}
    )
    told.took.append(time.perf_counter() - began)
    need(answer.status_code == 200, f"flights were refused: {answer.text[:300]}")
    said = answer.json()
    (chances,) = said["outputs"].values()
    if not (told.flights or told.week):
        _say_some(said, flights.slice(0, 3).to_pylist(), chances)
    alerts = [chance >= told.threshold for chance in chances]
    told.flights += len(chances)
    told.alerts += sum(alerts)
    told.right += sum(alert and bool(is_late) for alert, is_late in zip(alerts, late, strict=True))


def _say_some(said: dict[str, Any], rows: Sequence[dict[str, Any]], chances: Sequence[float]) -> None:
    for row, chance in zip(rows, chances, strict=False):
        way = f"{row['carrier']} {row['origin']} → {row['dest']}"
        say(f"{way}: {chance:.2f} late; {said['variant']} {said['version']}")


def _label(client: httpx.Client, pending: Pending, until: datetime) -> None:
    """Of the flights that have arrived: what became of them."""
    for moment in [moment for moment in pending if moment <= until]:
        late = pending.pop(moment)
        labels = [{"request_id": _name(moment), "row": row, "label": value} for row, value in enumerate(late)]
        answer = client.post("/models/delay/labels", json={"labels": labels})
        need(answer.status_code == 200, f"labels were refused: {answer.text[:300]}")


def _name(moment: datetime) -> str:
    return f"flights-{moment:%Y-%m-%dT%H}"


def _look() -> bool:
    """What the monitor says of the week that is over; whether a column has drifted."""
    env = {"GITML_CLOCK": str(SERVER_CLOCK)}
    lines = gitml("monitor", "delay", "--in", "production", folder=APP, env=env, may_fail=True).rstrip().splitlines()
    verdicts = dict(line.split()[:2] for line in lines if line.startswith(("quality ", "drift ", "harm ")))
    need("drift" in verdicts, "the monitor said nothing of drift")
    if verdicts["drift"] != "failed":
        say("gitml monitor: " + ", ".join(f"{name} {phase}" for name, phase in verdicts.items()))
        return False
    step("gitml monitor delay --in production: spring has come, which the model has never seen")
    promised = next((number for number, line in enumerate(lines) if line.startswith("Promised")), len(lines))
    for line in [*lines[:_SHOWN], f"… {promised - _SHOWN} lines", *lines[promised:]]:
        say(line)
    return True


def show_alarm(box: Box, number: int) -> None:
    """The clock of the forge follows: its schedule starts the workflow, which makes up for all weeks at once."""
    step(f"The scheduled workflow looks too, signs what it saw, and tells #{number}, which brought the champion")
    clock.follow_server()
    with box.api("ada") as api:

        def told() -> dict[str, Any] | None:
            comments = api.get(f"issues/{number}/comments", params={"per_page": 100}).json()
            found = [one for one in comments if "drift" in one["body"] and "temp" in one["body"]]
            return dict(found[-1]) if found else None

        comment = until(told)
    for line in [line for line in str(comment["body"]).splitlines() if line and not line.startswith("<!--")][:16]:
        say(line)
    say(f"… {comment['html_url']}")
