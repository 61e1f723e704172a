"""What is counted of a server's process: only what it was told to serve, only upwards, and each process from nought."""

from __future__ import annotations

import os

from gitml.agent.messages import VersionCount
from gitml.agent.usage import UsageMeter

OURS, OTHER = ("m", "20260101T000000Z-00000001", "champion"), ("x", "20260101T000000Z-00000002", "champion")


def told(key: tuple[str, str, str], answers: int, errors: int = 0) -> VersionCount:
    none = VersionCount.none(*key)
    return none.model_copy(update={"buckets": (answers, *none.buckets[1:]), "errors": errors})


class Tick:
    """Seconds, as a test says."""

    at = 0.0

    def __call__(self) -> float:
        return self.at


def test_what_is_added_is_counted_and_a_lie_about_others_is_not() -> None:
    tick = Tick()
    meter = UsageMeter(tick)
    tick.at = 2.0
    meter.began(os.getpid())
    tick.at = 10.0
    meter.saw([told(OURS, 5), told(OTHER, 900)], [OURS])
    meter.saw([told(OURS, 7, errors=1)], [OURS])
    first = meter.taken()
    assert {key: (one.requests, one.errors) for key, one in first.counts.items()} == {OURS: (8, 1)}
    assert (first.watched, first.up, first.restarts) == (10.0, 8.0, 0)
    assert first.memory > 0
    meter.saw([told(OURS, 3)], [OURS])
    assert meter.taken().counts[OURS].requests == 0, "a count that falls adds nothing"


def test_a_new_process_counts_from_nought_and_the_time_between_is_down_time() -> None:
    tick = Tick()
    meter = UsageMeter(tick)
    meter.began(os.getpid())
    meter.saw([told(OURS, 5)], [OURS])
    tick.at = 60.0
    meter.ended()
    tick.at = 100.0
    meter.began(os.getpid())
    meter.saw([told(OURS, 2)], [OURS])
    found = meter.taken()
    assert (found.watched, found.up, found.restarts, found.counts[OURS].requests) == (100.0, 60.0, 1, 7)
    meter.saw([], [OURS])
    assert meter.taken().counts[OURS].requests == 0, "that it serves and nobody asks is told too"
