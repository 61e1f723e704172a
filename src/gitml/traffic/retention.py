"""Traffic that is older than it may be kept is deleted, whole days at a time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from gitml.engines.places import place_of
from gitml.traffic.files import SKETCHES
from gitml.traffic.marks import FOLDER as HOSTS

# What lies where. What is derived from requests goes with them.
_KINDS = {"requests": ("predictions", SKETCHES, HOSTS), "labels": ("labels",), "events": ("events",)}


def expired(folder: str, periods: Mapping[str, timedelta], now: datetime) -> dict[str, tuple[str, ...]]:
    """Files of days that ended longer ago than the period of their kind: `requests`, `labels` or `events`."""
    target, found = place_of(folder), dict[str, tuple[str, ...]]()
    for kind, period in periods.items():
        first = f"{(now - period).astimezone(UTC):%Y-%m-%d}"
        names = [f"{below}/{entry.name}" for below in _KINDS[kind] for entry in (target / below).files()]
        old = [name for name in names if (day := _day(name)) and day < first]
        found[kind] = tuple(sorted(old))
    return found


def expire(folder: str, periods: Mapping[str, timedelta], now: datetime) -> dict[str, int]:
    """Delete them; how many files of each kind. Called twice it deletes nothing twice."""
    target, count = place_of(folder), dict[str, int]()
    for kind, names in expired(folder, periods, now).items():
        for name in names:
            with suppress(FileNotFoundError):  # a server deletes old days too
                (target / name).delete()
        count[kind] = len(names)
    return count


def _day(name: str) -> str:
    return name.rpartition("/")[0].rpartition("date=")[2] if "date=" in name else ""
