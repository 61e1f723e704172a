"""What a server does once a day for what lies beside the rows: what hosts said, and kept sketches."""

from __future__ import annotations

from datetime import timedelta

from gitml import clock
from gitml.engines.places import StoragePlace
from gitml.traffic.compaction import day_of, delete_before
from gitml.traffic.files import BATCHES, SKETCHES
from gitml.traffic.marks import FOLDER as HOSTS
from gitml.traffic.marks import fold

_DAY = 86_400.0


def keep_house(target: StoragePlace, now: float, keep: timedelta | None) -> None:
    """``target`` is the folder of the traffic. What hosts said becomes one file for each day that has been over for a
    day; days older than ``keep`` are deleted, sketches as well."""
    if keep is not None:
        first = day_of(now - keep.total_seconds())
        for kind in (HOSTS, SKETCHES):
            delete_before(target / kind, first)
        _forget_batches(target / BATCHES, now - keep.total_seconds())
    fold(target, day_of(now - _DAY))


def _forget_batches(target: StoragePlace, first: float) -> None:
    """Their rows are deleted too: scored again, they count again."""
    for entry in target.files():
        if 0 < entry.modified < (first - clock.ahead()) * 1e9:
            (target / entry.name).delete()
