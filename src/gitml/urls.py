"""URLs as they may be shown: passwords and tokens stand in their user info and queries, so these never leave us."""

from __future__ import annotations

import re

_URL = re.compile(r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]*://)(?P<place>[^\s/?#'\"<>`]*)(?P<rest>[^\s'\"<>`]*)")


def shown(text: str) -> str:
    """The text with no user info, query or fragment in any of its URLs.

    >>> shown("fatal: 'https://x:secret@git.example.com/a/b?key=1' said no")
    "fatal: 'https://git.example.com/a/b?…' said no"
    """
    return _URL.sub(_one, text) if "://" in text else text


def shown_url(url: str) -> str:
    """One URL, or Git's short form ``user@host:path``, or a path.

    >>> shown_url("s3://key:secret@bucket/outbox"), shown_url("git@example.com:a/b"), shown_url("/srv/outbox")
    ('s3://bucket/outbox', 'example.com:a/b', '/srv/outbox')
    """
    if "://" in url:
        # A password may hold what ends a URL in a text.
        scheme, _, rest = url.partition("://")
        place, slash, path = rest.partition("/")
        return shown(f"{scheme}://{place.rpartition('@')[2]}{slash}{path}")
    host, colon, _ = url.partition(":")
    return url.partition("@")[2] if colon and "@" in host and "/" not in host else url


def _one(found: re.Match[str]) -> str:
    rest = re.split("[?#]", found["rest"], maxsplit=1)
    mark = found["rest"][len(rest[0])] + "…" if len(rest) > 1 else ""
    return found["scheme"] + found["place"].rpartition("@")[2] + rest[0] + mark
