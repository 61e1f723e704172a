"""Numbers for people: metrics with their intervals, and what changed between two versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gitml.cli.common import interval, number
from gitml.jsontext import picked
from gitml.output import paint, table
from gitml.stats.comparison import Difference, Reading

if TYPE_CHECKING:
    from gitml.training.compare import Comparison

_STYLES = {Reading.BETTER: "green", Reading.WORSE: "red", Reading.NOISE: "dim", Reading.UNKNOWN: "dim"}


def difference_table(differences: tuple[Difference, ...], new: str, old: str, *, old_first: bool = False) -> str:
    """``new`` and ``old`` head the columns of values, in this order unless ``old_first``."""
    sides = ("old", "new") if old_first else ("new", "old")
    names = {"new": new, "old": old}
    rows = [
        [
            d.metric,
            *(number(getattr(d, side)) for side in sides),
            number(d.value, sign=True),
            interval(d.low, d.high, sign=True),
            d.reading.value if d.reading is not Reading.UNKNOWN else "",
        ]
        for d in differences
    ]
    text = table(rows, ["metric", *(names[side] for side in sides), "difference", "95 % interval", ""], right=[1, 2, 3])
    lines = text.splitlines()
    return "\n".join([lines[0], *(_paint(line, d) for line, d in zip(lines[1:], differences, strict=True))])


def _paint(line: str, difference: Difference) -> str:
    word = difference.reading.value
    if difference.reading is Reading.UNKNOWN or not line.endswith(word):
        return line
    return line.removesuffix(word) + paint(word, _STYLES[difference.reading])


def comparison_table(comparison: Comparison) -> str:
    old = comparison.against
    how = "paired bootstrap of rows" if any(d.paired for d in comparison.differences) else "unpaired intervals"
    how += " and refits" if any(d.freedom for d in comparison.differences) else ""
    title = f"against {old.reference} of {old.created[:10]}, {comparison.why} ({how})"
    text = title + "\n" + difference_table(comparison.differences, "new", old.digest[:8])
    if comparison.other_rows:
        text += "\njudged on other rows, so neither is better by this: `gitml holdout` lets both answer the same ones"
    return text


def difference_json(difference: Difference) -> dict[str, Any]:
    told = picked(difference, "metric", "new", "old", "low", "high", "paired", "freedom", "reading")
    return {**told, "difference": difference.value}
