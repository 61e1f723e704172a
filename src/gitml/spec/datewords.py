"""Days in words, such as ``yesterday - 90d``: evaluated for the moment of a decision, never for a clock."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta

from gitml.fields import WrongValueError, shown

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FORM = re.compile(r"([a-z_]+|\d{4}-\d\d-\d\d)((?:\s*[+-]\s*\d{1,4}\s*[dw])*)", re.ASCII)
_STEP = re.compile(r"([+-])\s*(\d{1,4})\s*([dw])", re.ASCII)
_HINT = "a day such as 2026-01-31, or one of {}; - 90d or + 2w may follow"


_YEARS = "write fewer steps, such as yesterday - 90d"


def _before(weekday: int) -> Callable[[date], date]:
    """The newest such weekday that is over: on a Monday, `last_monday` is a week ago."""
    return lambda day: day - timedelta((day.weekday() - weekday - 1) % 7 + 1)


def _first(day: date) -> date:
    return day.replace(day=1)


def _last(day: date) -> date:
    return day.replace(day=monthrange(day.year, day.month)[1])


def _month_before(day: date) -> date:
    return _first(day) - timedelta(1)


WORDS: Mapping[str, Callable[[date], date]] = {
    "today": lambda day: day,
    "yesterday": lambda day: day - timedelta(1),
    **{f"last_{name}": _before(number) for number, name in enumerate(_WEEKDAYS)},
    "first_of_month": _first,
    "last_of_month": _last,
    "first_of_last_month": lambda day: _first(_month_before(day)),
    "last_of_last_month": _month_before,
    "first_of_year": lambda day: day.replace(month=1, day=1),
}


def check_day(text: str) -> str:
    """Raises WrongValueError for a text that says no day."""
    found = _FORM.fullmatch(text.strip())
    if found is None or not (found[1] in WORDS or _is_day(found[1])):
        raise WrongValueError(f"{shown(text)} says no day", _HINT.format(", ".join(WORDS)))
    return text


def _is_day(text: str) -> bool:
    try:
        return bool(date.fromisoformat(text))
    except ValueError:
        return False


def day_of(text: str, moment: datetime) -> date:
    """The day that ``text`` says at ``moment``, in UTC. Raises WrongValueError for a day that no calendar has.

    >>> monday = datetime(2026, 3, 2, 12, tzinfo=UTC)
    >>> for text in ("yesterday - 90d", "last_monday", "last_sunday + 1w", "last_of_last_month", "2026-01-01"):
    ...     print(day_of(text, monday))
    2025-12-01
    2026-02-23
    2026-03-08
    2026-02-28
    2026-01-01
    """
    found = _FORM.fullmatch(check_day(text).strip())
    assert found is not None
    try:
        today = moment.astimezone(UTC).date()
        day = WORDS[found[1]](today) if found[1] in WORDS else date.fromisoformat(found[1])
        for sign, number, unit in _STEP.findall(found[2]):
            days = int(number) * (7 if unit == "w" else 1)
            day += timedelta(days if sign == "+" else -days)
    except OverflowError:
        # The moment may be one that a branch claims, so that no check of gitml.yaml alone can rule this out.
        raise WrongValueError(f"{shown(text)} is a day before the year 1 or after 9999", _YEARS) from None
    return day
