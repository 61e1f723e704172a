"""One cron line: five POSIX fields in UTC, as GitHub takes them."""

from __future__ import annotations

from datetime import datetime, timedelta

from croniter import croniter


def valid(line: str) -> bool:
    """`@daily`, seconds and years are not GitHub's.

    >>> valid("*/15 3 * * 1-5"), valid("@daily"), valid("* * * *"), valid("61 * * * *")
    (True, False, False, False)
    """
    return len(line.split()) == 5 and not line.startswith("@") and bool(croniter.is_valid(line))


def due(line: str, after: datetime, now: datetime) -> datetime | None:
    """The last time of a cron line in (after, now], None if there is none."""
    last: datetime = croniter(line, now + timedelta(seconds=1)).get_prev(datetime)
    return last if after < last <= now else None
