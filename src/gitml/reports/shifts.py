"""How the data of two versions differs in distribution: the columns that moved farthest, as a table and a chart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gitml.reports.cut import Section
from gitml.reports.escape import clip, code, prose, row, visible
from gitml.reports.facts import ColumnShift, ReportedBin, ReportedModel, Table
from gitml.reports.figures import decimals, figure, plural, share
from gitml.reports.tables import MORE_ROWS, header

_ROWS = 6
_DRAWN = 6
_ACROSS = 2
INK, SOFT, OLD, NEW, RULE = "#24303c", "#5b6773", "#b9c3ce", "#1f6feb", "#9aa5b1"
_LABEL = 14
_MISSING = "missing"
# Points: how wide a panel is, and a letter below its axis.
_WIDE, _LETTER = 300, 6.5


def shifted(model: ReportedModel, before: str) -> Iterator[Section]:
    """A section for each data set that changed. ``before`` names the version before, as Markdown."""
    for table in model.data:
        if table.unprofiled:
            yield Section(3, f"Whether columns of {code(table.path)} shifted is not known: {prose(table.unprofiled)}.")
        elif table.shifted:
            head = (
                f"Shift of {code(table.path)} (Jensen–Shannon distance: 0 the same, 1 nothing in common; not judged):"
            )
            cells = header(["column", "distance", before, "here"], "lrll")
            rows = tuple(_row(column) for column in table.shifted[:_ROWS])
            yield Section(3, f"{head}\n\n{cells}", rows, _rest(table), MORE_ROWS)
        elif table.steady:
            yield Section(3, f"No column of {code(table.path)} shifted beyond chance{_unknown(table)}.")


def _row(column: ColumnShift) -> str:
    return row([code(column.name, 40), f"{column.distance:.2f}", *_sides(column)])


def _sides(column: ColumnShift) -> tuple[str, str]:
    """What changed most, before and after: the mean of numbers, or the share of a value or of missing ones."""
    most = max(column.bins, key=lambda b: (abs(b.new - b.old), b.label == _MISSING), default=None)
    is_missing = most is not None and most.label == _MISSING
    if column.old_mean is not None and column.new_mean is not None and not is_missing:
        places = decimals(column.new_mean - column.old_mean)
        return f"mean {figure(column.old_mean, places)}", f"mean {figure(column.new_mean, places)}"
    if most is None:
        return "", ""
    return f"{code(most.label, 40)} {share(most.old)}", f"{code(most.label, 40)} {share(most.new)}"


def _rest(table: Table) -> str:
    said = []
    if len(table.shifted) > _ROWS:
        said.append(f"{len(table.shifted) - _ROWS:,} more shifted less")
    if table.steady:
        said.append(f"{table.steady:,} not beyond chance")
    if table.unknown:
        said.append(f"{table.unknown:,} not compared")
    return f"\n*{'; '.join(said)}*" if said else ""


def _unknown(table: Table) -> str:
    return f"; {plural(table.unknown, 'column was', 'columns were')} not compared" if table.unknown else ""


def chart(tables: Sequence[Table], before: str) -> dict[str, Any] | None:
    """The columns that moved farthest, as a Vega-Lite spec: shares of rows before and after, side by side.

    ``before`` is the plain name of what it is compared with. None when no column shifted.
    """
    found = sorted(((c, t) for t in tables for c in t.shifted), key=lambda pair: (-pair[0].distance, pair[0].name))
    if not found:
        return None
    several = len({table.path for _, table in found}) > 1
    shown = found[:_DRAWN]
    sides = (_plain(before, 30), "here")
    if sides[0] == sides[1]:
        sides = ("before", "here")
    panels = [Panel(column, table.path if several else "") for column, table in shown]
    count = (
        f"the {len(shown)} columns that moved farthest of {len(found)}" if len(found) > len(shown) else "farthest first"
    )
    what = "the data" if several else _plain(found[0][1].path, 60)
    return beside(panels, sides, (f"How did {what} shift?", f"share of rows; {count}"))


@dataclass(frozen=True)
class Panel:
    """One column. ``of``: what is added to its name. ``said``: instead of its distance."""

    column: ColumnShift
    of: str = ""
    said: str = ""


def beside(
    panels: Sequence[Panel], sides: tuple[str, str], titles: tuple[str, str], across: int = _ACROSS
) -> dict[str, Any]:
    """Shares of rows on two sides, as a Vega-Lite spec with a panel for each column, ``across`` in a row."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "background": "white",
        "padding": 12,
        "title": {
            "text": titles[0],
            "subtitle": titles[1],
            "anchor": "start", "color": INK, "fontSize": 15, "fontWeight": 600, "offset": 14,
            "subtitleColor": SOFT, "subtitleFontSize": 12,
        },
        "columns": across,
        # Flush: by their axes, so that panels of one row stand at one height whatever their labels.
        "bounds": "flush",
        "spacing": {"row": 108, "column": 64},
        "concat": [_panel(panel, sides) for panel in panels],
        "resolve": {"scale": {"color": "shared", "x": "independent", "y": "independent", "xOffset": "independent"}},
        "config": CONFIG,
    }  # fmt: skip


CONFIG = {
    "font": "Helvetica, Arial, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "domainColor": RULE, "tickColor": RULE, "gridColor": "#edf0f3", "labelColor": INK, "labelFontSize": 11,
        "title": None,
    },
    "legend": {"orient": "top", "title": None, "labelColor": INK, "labelFontSize": 12, "symbolType": "square"},
}  # fmt: skip


def _panel(panel: Panel, sides: tuple[str, str]) -> dict[str, Any]:
    column = panel.column
    labels = _labels(column.bins)
    values = [
        {"at": label, "side": side, "share": value}
        for label, b in zip(labels, column.bins, strict=True)
        for side, value in zip(sides, (b.old, b.new), strict=True)
    ]
    name = _plain(column.name, 32) + (f" of {_plain(panel.of, 24)}" if panel.of else "")
    turned = max(map(len, labels), default=0) * len(labels) > _WIDE / _LETTER
    return {
        "width": _WIDE,
        "height": 130,
        "title": {
            "text": name,
            "subtitle": _plain(panel.said, 60) if panel.said else f"distance {column.distance:.2f}",
            "frame": "group", "anchor": "start", "color": INK, "fontSize": 13, "fontWeight": 600, "offset": 8,
            "subtitleColor": SOFT, "subtitleFontSize": 11,
        },
        "data": {"values": values},
        "mark": {"type": "bar", "cornerRadiusEnd": 1},
        "encoding": {
            "x": {
                "field": "at", "type": "nominal", "sort": labels,
                "axis": {"labelAngle": -40 if turned else 0, "labelLimit": 90, "ticks": False, "labelOverlap": False},
            },
            "xOffset": {"field": "side", "type": "nominal", "sort": list(sides)},
            "y": {
                "field": "share", "type": "quantitative", "scale": {"nice": 4},
                "axis": {"format": ".0%", "tickCount": 4, "domain": False},
            },
            "color": {
                "field": "side", "type": "nominal", "sort": list(sides),
                "scale": {"domain": list(sides), "range": [OLD, NEW]},
            },
        },
    }  # fmt: skip


def _labels(bins: Sequence[ReportedBin]) -> list[str]:
    """Short and different from each other: two bins of one label would be one bar."""
    found: list[str] = []
    for number, b in enumerate(bins):
        label = _plain(b.label, _LABEL)
        found.append(label if label not in found else f"{clip(label, _LABEL - 4)} ({number})")
    return found


def _plain(text: str, most: int) -> str:
    return clip(visible(text), most) or "(empty)"
