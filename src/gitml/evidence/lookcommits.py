"""What commits of the looks' branch say of the looks that they bring: enough to know when each monitor last looked.

It is as little evidence as the times of commits are: who reads it wants to notice silence, and reads no look for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

# A line a monitor: its model and environment.
_LINE = "Monitor:"
# Commits that are read for it: more than a year of daily runs, two weeks of hourly ones.
MOST_COMMITS = 400

MonitorName = tuple[str, str]


def look_message(monitors: Iterable[MonitorName], windows: int) -> str:
    """
    >>> print(look_message([("delay", "production")] * 2, 2))
    Looks at 2 windows
    <BLANKLINE>
    Monitor: delay production
    <BLANKLINE>
    """
    plural = "s" if windows > 1 else ""
    lines = [f"{_LINE} {model} {environment}\n" for model, environment in sorted(set(monitors))]
    return f"Look{plural} at {windows} window{plural}\n\n{''.join(lines)}"


def newest_of(commits: Iterable[tuple[datetime, str]]) -> Mapping[MonitorName, datetime]:
    """When each monitor last looked; ``commits`` are times and messages, newest first.

    >>> day = datetime(2026, 4, 1)
    >>> found = newest_of([(day, look_message([("delay", "staging")], 1)), (day.replace(day=2), "anything")])
    >>> [*found.items()]
    [(('delay', 'staging'), datetime.datetime(2026, 4, 1, 0, 0))]
    """
    found: dict[MonitorName, datetime] = {}
    for when, said in commits:
        for words in (line.split() for line in said.splitlines() if line.startswith(_LINE)):
            if len(words) == 3:
                found.setdefault((words[1], words[2]), when)
    return found
