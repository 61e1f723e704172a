"""GitLab's words and times, as gitml has them."""

from __future__ import annotations

from datetime import UTC, datetime

from gitml.forges.governed import Account
from gitml.forges.rest import Shape
from gitml.http import HttpError

# https://docs.gitlab.com/api/members/#roles; who maintains a project may change what guards it.
_ROLES = {60: "admin", 50: "admin", 40: "maintain", 30: "write", 20: "triage", 15: "read", 10: "read", 5: "read"}


def utc(text: str) -> str:
    """A time of GitLab's, to the second. Raises HttpError for what is none.

    >>> utc("2026-11-30T10:20:30.456+02:00"), utc("")
    ('2026-11-30T08:20:30Z', '')
    """
    return moment(text).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if text else ""


def moment(text: str) -> datetime:
    """The same, as exactly as GitLab says it."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as exc:
        raise HttpError(f"the forge says {text[:40]!r} where a time belongs") from exc
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def account(shape: Shape, *words: str) -> Account:
    """The account at ``words`` of an answer; ``Account("", 0)`` when it is gone."""
    login, number = shape.text_or(*words, "username"), shape.number_or(*words, "id")
    return Account(login, number) if login and number else Account("", 0)


def role_of(level: int) -> str:
    """What a level of access is called elsewhere.

    >>> role_of(30), role_of(40), role_of(0)
    ('write', 'maintain', 'none')
    """
    return _ROLES.get(level, "none")
