"""One cron line: five POSIX fields in UTC, as GitHub takes them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from croniter import CroniterBadDateError, croniter

_PART = r"(?:\*|(?:[0-9]{1,2}|[A-Za-z]{3})(?:-(?:[0-9]{1,2}|[A-Za-z]{3}))?)(?:/[0-9]{1,2})?"
_FIELD = re.compile(f"{_PART}(?:,{_PART})*")


def valid(line: str) -> bool:
    """`@daily`, seconds and years are not GitHub's.

    >>> valid("*/15 3 * * 1-5"), valid("@daily"), valid("* * * *"), valid("61 * * * *")
    (True, False, False, False)
    """
    # The library also knows R (a random time), L, W, H and #, which are no POSIX.
    fields = line.split()
    return len(fields) == 5 and all(_FIELD.fullmatch(f) for f in fields) and bool(croniter.is_valid(line))


def due(line: str, after: datetime, now: datetime) -> datetime | None:
    """The last time of a cron line in (after, now], None if there is none."""
    try:
        last: datetime = croniter(line, now + timedelta(seconds=1)).get_prev(datetime)
    except CroniterBadDateError:
        return None  # the 31st of February
    return last if after < last <= now else None
