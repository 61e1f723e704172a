"""The demo's clock: a file that holds how far it is ahead, which ``GITML_CLOCK`` names."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from box import CLOCK, ahead, say, step

DAY = 86_400


def begin() -> None:
    step("A clock that can be turned: commands, jobs and agents of the demo follow it")
    CLOCK.parent.mkdir(parents=True, exist_ok=True)
    _write(0)


def now() -> datetime:
    return datetime.fromtimestamp(time.time() + ahead(), UTC)


def turn_to(moment: datetime) -> None:
    """Ahead to ``moment``; never back, and not at all if it is later already."""
    _write(max(ahead(), round(moment.timestamp() - time.time())))


def turn(days: int) -> None:
    """Ahead, by so many days. Raises StepError where the demo has no clock."""
    _write(ahead() + days * DAY)
    say(f"the clock is {ahead() // DAY} days ahead, it says {now():%a %Y-%m-%d %H:%M} UTC")


def _write(seconds: int) -> None:
    new = CLOCK.with_suffix(".new")
    new.write_text(f"{seconds}s")
    new.replace(CLOCK)  # nobody reads half of it
