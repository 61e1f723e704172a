"""The demo's clocks: files that hold how far they are ahead, which ``GITML_CLOCK`` names.

The server of production has one of its own, which is turned from hour to hour: a forge that followed it would start
its scheduled workflows hundreds of times.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from box import CLOCK, SERVER_CLOCK, ahead, say, step

DAY = 86_400


def begin() -> None:
    step("A clock that can be turned: commands, jobs and agents of the demo follow it")
    CLOCK.parent.mkdir(parents=True, exist_ok=True)
    for clock in (CLOCK, SERVER_CLOCK):
        _write(clock, 0)


def now() -> datetime:
    return datetime.fromtimestamp(time.time() + ahead(), UTC)


def turn_server(moment: datetime) -> None:
    """The clock of production's server, ahead to ``moment``; never back."""
    _write(SERVER_CLOCK, max(ahead(SERVER_CLOCK), round(moment.timestamp() - time.time())))


def follow_server() -> None:
    """Everybody's, to where the server's is."""
    _write(CLOCK, max(ahead(), ahead(SERVER_CLOCK)))


def turn(days: int) -> None:
    """Both, by so many days. Raises StepError where there is no demo."""
    seconds = ahead() + days * DAY
    for clock in (CLOCK, SERVER_CLOCK):
        _write(clock, max(seconds, ahead(clock)))
    say(f"the clock is {seconds // DAY} days ahead, it says {now():%a %Y-%m-%d %H:%M} UTC")


def _write(clock: Path, seconds: int) -> None:
    new = clock.with_name(f"{clock.name}.new")
    new.write_text(f"{seconds}s")
    new.replace(clock)  # nobody reads half of it
