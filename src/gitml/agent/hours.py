"""The hourly summary of what was served: signed when an hour of the clock is over, and at an orderly end.

What cannot be written is kept and told with the next hour. An agent that is killed leaves a gap, and pages show one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from gitml.agent.state import agent_name, stamp
from gitml.agent.usage import Usage
from gitml.evidence.served import MOST_COUNTS, meant_served
from gitml.serving.latencybuckets import SECONDS


class ServedHours:
    """``write`` is given the details of a statement and its moment, and says whether it was kept."""

    def __init__(self, write: Callable[[Mapping[str, Any], datetime], bool], now: datetime) -> None:
        self._write, self._since, self._held = write, now, Usage()

    def see(self, used: Usage, now: datetime, *, is_last: bool = False) -> None:
        """What was used since the last call."""
        self._held += used
        # Of a clock that was set back: a stretch ends after it begins.
        self._since = min(self._since, now)
        is_over = (now.date(), now.hour) != (self._since.date(), self._since.hour)
        if not (is_over or is_last) or stamp(now) == stamp(self._since):
            return
        if not self._held.counts or self._write(summary(self._held, self._since, now), now):
            self._since, self._held = now, Usage()


def summary(used: Usage, since: datetime, until: datetime) -> dict[str, Any]:
    """What is signed. Raises ValueError for what cannot be."""
    # The busiest, should there ever be so many.
    counts = sorted(used.counts.values(), key=lambda one: (-one.requests, one.key))[:MOST_COUNTS]
    told = {
        "format": 1,
        "agent": agent_name(),
        "since": stamp(since),
        "until": stamp(until),
        "watched": round(used.watched, 3),
        "up": round(min(used.up, used.watched), 3),
        "restarts": used.restarts,
        "cpu": round(used.cpu, 3),
        "memory": used.memory,
        "bounds": list(SECONDS),
        "counts": [one.model_dump(mode="json") for one in sorted(counts, key=lambda one: one.key)],
    }
    meant_served(told)
    return told
