"""Days of a time zone as stretches of UTC: 23 or 25 hours long where clocks change, and perhaps not there at all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

_MICRO = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def midnight(day: date, zone: str) -> datetime:
    """When the day begins, in UTC.

    >>> midnight(date(2026, 3, 9), "America/New_York").isoformat()
    '2026-03-09T04:00:00+00:00'
    """
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def day_of(moment: datetime, zone: str) -> date:
    return moment.astimezone(ZoneInfo(zone)).date()


@dataclass(frozen=True)
class Days:
    """From ``first`` to ``last``, both included, in ``zone``. Where ``last`` is before ``first`` there are none."""

    first: date
    last: date
    zone: str

    @cached_property
    def dates(self) -> tuple[date, ...]:
        """Without those that a zone left out when it moved across the date line."""
        found = (self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1))
        return tuple(d for d in found if midnight(d, self.zone) < midnight(d + timedelta(days=1), self.zone))

    @cached_property
    def edges(self) -> tuple[datetime, ...]:
        """Where each begins, and the end of the last."""
        starts = tuple(midnight(day, self.zone) for day in self.dates)
        return (*starts, midnight(self.dates[-1] + timedelta(days=1), self.zone)) if starts else ()

    @property
    def since(self) -> datetime:
        return self.edges[0]

    @property
    def until(self) -> datetime:
        return self.edges[-1]

    def __len__(self) -> int:
        return len(self.dates)

    def places(self, micros: NDArray[np.int64]) -> NDArray[np.int64]:
        """The number of the day in which each moment lies, in microseconds since 1970; -1 for none of them."""
        edges = np.array([(edge - _EPOCH) // _MICRO for edge in self.edges], dtype=np.int64)
        found = np.searchsorted(edges, micros, side="right").astype(np.int64) - 1
        found[found >= len(self)] = -1
        return found


def whole_days(since: datetime, until: datetime, zone: str) -> Days:
    """The days that lie in a window from beginning to end.

    >>> day = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> [f"{d:%d}" for d in whole_days(day, day + timedelta(days=3), "UTC").dates]
    ['02', '03']
    """
    first = day_of(since, zone)
    if midnight(first, zone) < since:
        first += timedelta(days=1)
    return Days(first, day_of(until, zone) - timedelta(days=1), zone)
