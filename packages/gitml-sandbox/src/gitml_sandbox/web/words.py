"""Small words for templates: times, names, addresses, colours."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from gitml_sandbox.forge.context import Sandbox

_STEPS = ((60, "second"), (3600, "minute"), (86400, "hour"), (86400 * 30, "day"), (86400 * 365, "month"))
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "month": 86400 * 30}


def ago(then: str, now: datetime) -> str:
    """How long ago in words.

    >>> ago("2026-01-01T00:00:00Z", datetime.fromisoformat("2026-01-01T02:00:00Z"))
    '2 hours ago'
    """
    seconds = int((now - datetime.fromisoformat(then)).total_seconds())
    if seconds < 10:
        return "now"
    for limit, unit in _STEPS:
        if seconds < limit:
            return f"{plural(seconds // _UNITS[unit], unit)} ago"
    return f"on {then[:10]}"


def plural(number: int, word: str) -> str:
    """A count with its noun.

    >>> plural(1, "commit"), plural(0, "branch")
    ('1 commit', '0 branches')
    """
    if number == 1:
        return f"1 {word}"
    ending = "es" if word.endswith(("s", "sh", "ch")) else "s"
    if word.endswith("y") and word[-2] not in "aeiou":
        word, ending = word[:-1], "ies"
    return f"{number:,} {word}{ending}"


def duration(start: str | None, end: str | None, now: datetime) -> str:
    """Between two times of a job; until now where it goes on."""
    if not start:
        return ""
    until = datetime.fromisoformat(end) if end else now
    seconds = max(int((until - datetime.fromisoformat(start)).total_seconds()), 0)
    if seconds < 60:
        return f"{seconds} s"
    return (
        f"{seconds // 60} min {seconds % 60} s" if seconds < 3600 else f"{seconds // 3600} h {seconds // 60 % 60} min"
    )


def url(path: str) -> str:
    """A path of git as part of an address, bytes that are no UTF-8 included."""
    return quote(path, safe="/", errors="surrogateescape")


def size(number: int) -> str:
    """Bytes in words.

    >>> size(10), size(2048)
    ('10 bytes', '2.0 KB')
    """
    if number < 1024:
        return plural(number, "byte")
    amount, names = float(number), ("KB", "MB", "GB")
    for name in names:
        amount /= 1024
        if amount < 1024 or name == "GB":
            break
    return f"{amount:.1f} {name}"


def hue(login: str) -> int:
    """One of twelve colours for a name, always the same."""
    return hashlib.sha256(login.lower().encode(errors="replace")).digest()[0] % 12


def visible(text: str) -> str:
    """A name or text without what turns the direction of writing or is not seen: nothing poses as another."""
    return "".join(c if c in "\n\t" or (c.isprintable() or c == " ") else "\ufffd" for c in text)


def filters(sandbox: Sandbox) -> Mapping[str, Callable[..., Any]]:
    """What templates may use."""
    return {
        "ago": lambda then: ago(then, sandbox.clock()),
        "duration": lambda start, end=None: duration(start, end, sandbox.clock()),
        "plural": plural,
        "url": url,
        "size": size,
        "short": lambda sha: sha[:7],
        "visible": visible,
        "hue": hue,
    }
