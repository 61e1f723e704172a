"""The one clock: what time it is for keys, statements, records, freezes and commits.

GITML_CLOCK may name a file with an amount, such as ``14d``: the clock is that far ahead, so that a demo turns weeks in
minutes, and a process that runs for long sees each turn. Durations are measured with ``time.monotonic``.
"""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from gitml.errors import UsageError
from gitml.urls import shown_url

VARIABLE = "GITML_CLOCK"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AMOUNT = re.compile(r"([0-9]{1,9})([smhdw])")


def now() -> datetime:
    """The time in UTC."""
    return datetime.fromtimestamp(timestamp(), UTC)


def timestamp() -> float:
    """Seconds since 1970."""
    return time.time() + ahead()


def machine() -> float:
    """Seconds since 1970 by the machine, never turned: for times of files, and of other machines."""
    return time.time()


def ahead() -> int:
    """By how many seconds the clock is turned. Raises UsageError for a file that does not say."""
    name = os.environ.get(VARIABLE)
    return _read(name) if name else 0


def _read(name: str) -> int:
    try:
        said = _AMOUNT.fullmatch(Path(name).read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(
            f"{VARIABLE} names {name}, which cannot be read", "write an amount to it, or unset it"
        ) from exc
    if said is None:
        raise UsageError(
            f"{name} holds no amount of time", "write for example 14d, 36h or 0s to it, and rename it there"
        )
    return int(said[1]) * _UNITS[said[2]]


def dates() -> dict[str, str]:
    """What makes Git's commits follow the clock; nothing while it is not turned."""
    if not os.environ.get(VARIABLE):
        return {}
    date = f"{int(timestamp())} +0000"
    return {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}


def refuse_beyond_loopback(*places: str) -> None:
    """Raises UsageError when a turned clock would sign or commit for others: a URL leads off this machine."""
    if not os.environ.get(VARIABLE):
        return
    ahead()
    for place in places:
        if not _is_here(place):
            raise UsageError(
                f"{VARIABLE} is set, and {shown_url(place)} is not on this machine",
                "a clock is turned for a forge on 127.0.0.1 only: unset it",
            )


def _is_here(place: str) -> bool:
    """Whether a URL or a path is of this machine; ``host:path`` is Git's short form for SSH.

    >>> [_is_here(p) for p in ("http://127.0.0.1:8471/a/b", "/srv/a", "file:///srv/a", "../a")]
    [True, True, True, True]
    >>> [_is_here(p) for p in ("https://github.com/a/b", "git@github.com:a/b", "ext::sh", "http://127.0.0.1.example.com")]
    [False, False, False, False]
    """
    if "://" in place:
        parts = urlsplit(place)
        return parts.hostname in LOOPBACK or (parts.scheme == "file" and not parts.hostname)
    return ":" not in place.partition("/")[0]
