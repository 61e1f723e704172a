"""What detectors found that look at the rows of many columns at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gitml.reports.cut import Section
from gitml.reports.escape import code, prose, row
from gitml.reports.figures import between, decimals, figure
from gitml.reports.lookfacts import LookStory, Told, list_of, number
from gitml.reports.tables import MORE_ROWS, header

_COLUMNS = 5


def detectors(story: LookStory) -> Iterator[Section]:
    """Nothing where there are none."""
    found = list_of(story.look, "detectors")
    if found:
        head = header(["detector", "distance", "p", "held against", "columns", ""], "lrrrll")
        yield Section(3, f"**All columns at once**\n\n{head}", tuple(map(_line, found)), "", MORE_ROWS)


def _line(one: Told) -> str:
    names = [code(str(c.get("column", "")), 40) for c in list_of(one, "columns")[:_COLUMNS]]
    return row(
        [
            code(str(one.get("name", "")), 60),
            _distance(one),
            f"{number(one, 'p_val'):.2g}" if isinstance(one.get("p_val"), int | float) else "–",
            f"{number(one, 'threshold'):.2g}",
            ", ".join(names),
            _state(one),
        ]
    )


def _distance(one: Told) -> str:
    if not isinstance(one.get("distance"), int | float):
        return "–"
    if not all(isinstance(one.get(end), int | float) for end in ("low", "high")):
        return figure(number(one, "distance"), 3)
    places = decimals(number(one, "high") - number(one, "low"))
    return f"{figure(number(one, 'distance'), places)} ({between(number(one, 'low'), number(one, 'high'), places)})"


def _state(one: Told) -> str:
    if one.get("alarms"):
        found = "🔴 drifted"
    elif one.get("shown_only"):
        found = f"shown, never alarms: {prose(str(one['shown_only']), 200)}"
    else:
        found = "🟢"
    return "; ".join([found, *_by(one)])


def _by(one: Told) -> Iterator[str]:
    """What ran a detector of alibi-detect, under which licence, and what it says by its own threshold."""
    alibi = one.get("alibi")
    if one.get("by"):
        yield prose(str(one["by"]), 120)
    if isinstance(alibi, Mapping) and alibi.get("is_drift") is not None:
        yield f"by its own threshold {'drift' if alibi['is_drift'] else 'no drift'}"
