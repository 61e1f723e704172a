"""The verdicts of the looks before, newest first."""

from __future__ import annotations

from gitml.reports.cut import Section
from gitml.reports.escape import code, row
from gitml.reports.lookfacts import MARKS, NOT_WATCHED, LookStory, Told, day, number, phase_of, verdicts_of
from gitml.reports.tables import folded, header

_LOOKS = 12
PARTS = ("quality", "drift", "harm")


def history(story: LookStory) -> Section | None:
    """None where there was no look before."""
    if not story.history:
        return None
    looks = [*story.history, story.look][-_LOOKS:]
    parts = parts_of(looks)
    lines = [_line(look, looks[place - 1] if place else look, parts) for place, look in enumerate(looks)]
    head = header(["window from", *parts, "rows", ""], "l" + "l" * len(parts) + "rl")
    marks = "".join(MARKS[phase_of(look)] for look in looks)
    return folded(f"The last {len(looks)} looks: {marks}", head, lines[::-1], 4)


def parts_of(looks: list[Told]) -> list[str]:
    """All verdicts that any of the looks has."""
    found = {name for look in looks for name in verdicts_of(look)}
    return [part for part in PARTS if part in found] + sorted(found.difference(PARTS))


def _line(look: Told, before: Told, parts: list[str]) -> str:
    verdicts = verdicts_of(look)
    marks = [MARKS[phase_of(verdicts[part])] if part in verdicts else NOT_WATCHED for part in parts]
    is_new = look.get("version") != before.get("version")
    new = f"new version {code(str(look.get('version', '')), 60)}" if is_new else ""
    return row([day(look, "since"), *marks, f"{number(look, 'rows'):,.0f}", new])
