"""The difference of two versions on the same rows, as a picture: each set of rows and each group with its interval."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gitml.reports.escape import clip, visible
from gitml.reports.holdoutfacts import ReportedHoldOut
from gitml.reports.rowfacts import Row
from gitml.reports.shifts import CONFIG, INK, NEW, RULE, SOFT
from gitml.stats.comparison import Reading

_BETTER, _WORSE = "#1a7f37", "#cf222e"
_COLOURS = {"better": _BETTER, "within noise": NEW, "worse": _WORSE, "not judged": RULE}
_GROUPS = 20
_WIDE = 420


def chart(held: ReportedHoldOut, before: str) -> dict[str, Any] | None:
    """A Vega-Lite spec; None where nothing has an interval. ``before`` names what it is held against."""
    first = next((r for r in (held.sets[0].metrics if held.sets else ()) if r.low is not None), None)
    if first is None:
        return None
    values = [_value(*point) for point in _points(held, first.metric)]
    labels = [value["rows"] for value in values]
    x = {"type": "quantitative", "axis": {"title": f"difference of {_plain(first.metric)}", "titleColor": SOFT}}
    y = {
        "field": "rows",
        "type": "nominal",
        "sort": labels,
        "axis": {"title": None, "labelLimit": 200, "domain": False},
    }
    colour = {
        "field": "reading", "type": "nominal",
        "scale": {"domain": [*_COLOURS], "range": [*_COLOURS.values()]},
    }  # fmt: skip
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "background": "white",
        "padding": 12,
        "width": _WIDE,
        "height": {"step": 22},
        "title": {
            "text": f"Is it better than {_plain(before)} on the same rows?",
            "subtitle": f"difference of {_plain(first.metric)} with its interval; groups hold together",
            "anchor": "start", "color": INK, "fontSize": 15, "fontWeight": 600, "offset": 14,
            "subtitleColor": SOFT, "subtitleFontSize": 12,
        },
        "data": {"values": values},
        "layer": [
            {"mark": {"type": "rule", "color": RULE, "strokeDash": [4, 3]}, "encoding": {"x": {"datum": 0}}},
            {
                "mark": {"type": "rule", "strokeWidth": 2},
                "encoding": {"x": {"field": "low", **x}, "x2": {"field": "high"}, "y": y, "color": colour},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
                "encoding": {"x": {"field": "value", **x}, "y": y, "color": colour},
            },
        ],
        "config": CONFIG,
    }  # fmt: skip


def _points(held: ReportedHoldOut, metric: str) -> Iterator[tuple[str, Row, bool]]:
    """Label, row, and whether it is judged."""
    for found in held.sets:
        for row in found.metrics:
            if row.metric == metric and row.low is not None:
                yield found.rowset.value, row, not (found.seen or found.why)
    for part in [s for s in held.slices if s.row is not None and s.row.low is not None][:_GROUPS]:
        if part.row is not None:
            yield f"{part.column} = {part.value}", part.row, True


def _value(label: str, row: Row, is_judged: bool) -> dict[str, Any]:
    reading = row.reading.value if is_judged and row.reading is not Reading.UNKNOWN else "not judged"
    return {"rows": _plain(label), "value": row.value, "low": row.low, "high": row.high, "reading": reading}


def _plain(text: str) -> str:
    return clip(visible(text), 40) or "(empty)"
