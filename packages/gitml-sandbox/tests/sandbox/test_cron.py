"""Cron lines, and when they fall due."""

from datetime import UTC, datetime, timedelta

import pytest

from gitml_sandbox.actions.cronline import due, valid

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)  # a Monday


@pytest.mark.parametrize(
    ("line", "after", "expected"),
    [
        ("0 12 * * *", timedelta(minutes=1), NOON),
        ("0 12 * * *", timedelta(0), None),
        ("0 11 * * *", timedelta(minutes=30), None),
        ("*/5 * * * *", timedelta(hours=3), NOON),
        ("1 12 * * *", timedelta(hours=3), None),
        ("0 12 * * 1", timedelta(days=20), NOON),
        ("0 12 * * SUN", timedelta(days=3), NOON - timedelta(days=1)),
        ("0 0 1 1 *", timedelta(days=20), None),
        ("0 0 31 2 *", timedelta(days=4000), None),
        ("0,30 9-17/2 1,15 JAN-DEC/1 mon-fri", timedelta(minutes=1), None),
    ],
)
def test_due(line: str, after: timedelta, expected: datetime | None) -> None:
    assert due(line, NOON - after, NOON) == expected


@pytest.mark.parametrize(
    "line",
    [
        "",
        "@daily",
        "* * * *",
        "* * * * * *",
        "61 * * * *",
        "a b c d e",
        "R * * * *",
        "0 0 L * *",
        "0 0 15W * *",
        "0 0 * * 5#2",
    ],
)
def test_what_is_no_cron_line(line: str) -> None:
    assert not valid(line)
