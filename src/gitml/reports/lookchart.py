"""The columns of a look that moved farthest, as a chart: reference against window."""

from __future__ import annotations

from typing import Any

from gitml.reports.facts import ColumnShift, ReportedBin
from gitml.reports.figures import figure, interval
from gitml.reports.lookfacts import LookStory, Told, day, effects_of, list_of, number
from gitml.reports.shifts import Panel, beside

_SIDES = ("reference", "window")
_MOST_BARS = 20
# One row of panels: the picture in the short comment is to be small.
_ACROSS = 3
_WORDS = {"below": "below all", "above": "above all", "others": "all others", "missing": "missing"}


def chart(story: LookStory) -> dict[str, Any] | None:
    """A Vega-Lite spec; None where no column's distribution is told."""
    panels = [panel for told in list_of(story.look, "shapes") if (panel := _panel(story, told))]
    if not panels:
        return None
    title = f"{story.look.get('model', '')} in {story.look.get('environment', '')}: where the data moved farthest"
    window = f"window from {day(story.look, 'since')} to {day(story.look, 'until')}"
    return beside(panels, _SIDES, (title[:90], f"share of rows; {window}"), _ACROSS)


def _panel(story: LookStory, told: Told) -> Panel | None:
    bars = tuple(ReportedBin(_label(bar), number(bar, "reference"), number(bar, "window")) for bar in _bars(told))
    if not bars:
        return None
    name = str(told.get("column", ""))
    column = next((column for column in story.columns if column.get("column") == name), {})
    (_, effect), *_ = effects_of(column) or [("values", {})]
    told_effect = f"effect {figure(number(effect, 'estimate'), 2)}, floor {figure(number(effect, 'floor'), 2)}"
    looks = int(number(told, "looks"))
    said = told_effect + (f", last {looks} windows" if looks > 1 else "")
    return Panel(ColumnShift(name, min(number(effect, "estimate"), 1.0), 0.0, bins=bars), said=said)


def _bars(told: Told) -> list[Told]:
    return list_of(told, "bars")[:_MOST_BARS]


def _label(bar: Told) -> str:
    of = str(bar.get("of", ""))
    if of == "value":
        return str(bar["word"]) if "word" in bar else interval(number(bar, "low"), number(bar, "low"))
    if of == "range":
        low, high = (number(bar, key) if key in bar else None for key in ("low", "high"))
        return interval(low, high)
    return _WORDS.get(of, of)
