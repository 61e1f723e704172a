"""What time it is here, and times as GitHub writes them.

GITML_CLOCK may name a file with an amount, such as ``14d``: the forge is that far ahead then, with all that it dates,
as gitml's commands are that read the same file.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta

from gitml_sandbox.errors import UsageError

VARIABLE = "GITML_CLOCK"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AMOUNT = re.compile(r"([0-9]{1,9})([smhdw])")


def utc_now() -> datetime:
    """Raises UsageError for a file that does not say how far the clock is ahead."""
    name = os.environ.get(VARIABLE)
    return datetime.now(UTC) + (_ahead(name) if name else timedelta())


def _ahead(name: str) -> timedelta:
    try:
        with open(name, encoding="utf-8") as file:
            said = _AMOUNT.fullmatch(file.read(100).strip())
    except (OSError, UnicodeDecodeError) as exc:
        hint = "write an amount such as 14d to it, or unset it"
        raise UsageError(f"{VARIABLE} names {name}, which cannot be read", hint) from exc
    if said is None:
        raise UsageError(
            f"{name} holds no amount of time", "write for example 14d, 36h or 0s to it, and rename it there"
        )
    return timedelta(seconds=int(said[1]) * _UNITS[said[2]])


def iso(moment: datetime) -> str:
    """GitHub's form of a time: UTC, whole seconds, Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_of(epoch: int) -> str:
    """The same of seconds since 1970, as Git has them. What lies beyond all years that can be written is the last one.

    >>> iso_of(0), iso_of(10**15)
    ('1970-01-01T00:00:00Z', '9999-12-31T23:59:59Z')
    """
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    return iso(datetime.fromtimestamp(max(epoch, 0), UTC) if epoch < last.timestamp() else last)
