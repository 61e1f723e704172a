"""A KPI around a change: its days, the mean of those before, and where the change lies."""

from __future__ import annotations

from typing import Any

from gitml.reports.escape import clip, visible
from gitml.reports.lookfacts import Told, list_of
from gitml.reports.shifts import CONFIG, INK, NEW, SOFT

_FEWEST = 14


def impact_chart(told: Told) -> dict[str, Any] | None:
    """A Vega-Lite spec of the KPI that changed most clearly; None where no days are told."""
    drawn = [one for one in list_of(told, "results") if len(one.get("points") or ()) >= _FEWEST]
    if not drawn:
        return None
    one = min(drawn, key=lambda r: (r.get("phase") == "inconclusive", -int(r.get("days") or 0), str(r.get("kpi"))))
    change = told.get("change") or {}
    day = str(change.get("moment") or "")[:10]
    values = [{"day": when, "value": value, "after": when > day} for when, value in one["points"] if value is not None]
    last = max(point["day"] for point in values)
    x = {
        "field": "day",
        "type": "temporal",
        "axis": {"title": None, "labelAngle": 0, "tickCount": 6, "format": "%b %d"},
    }
    y = {"field": "value", "type": "quantitative", "scale": {"zero": False}, "axis": {"title": one.get("unit") or None}}
    title = f"{one.get('kpi', '')} by day, and {change.get('kind', 'change')} of {change.get('model', '')} on {day}"
    before = [
        {"day": min(p["day"] for p in values), "value": one.get("before")},
        {"day": last, "value": one.get("before")},
    ]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "background": "white",
        "padding": 12,
        "width": 620,
        "height": 200,
        "title": {
            "text": clip(visible(title), 90), "subtitle": "dashed: the mean of a day before it", "anchor": "start",
            "color": INK, "fontSize": 15, "fontWeight": 600, "offset": 14, "subtitleColor": SOFT,
            "subtitleFontSize": 12,
        },
        "layer": [
            {
                "data": {"values": before if one.get("before") is not None else []},
                "mark": {"type": "line", "strokeDash": [5, 4], "color": SOFT},
                "encoding": {"x": x, "y": y},
            },
            {
                "data": {"values": values},
                "mark": {"type": "line", "point": {"size": 14, "color": NEW}, "color": NEW, "strokeJoin": "round"},
                "encoding": {"x": x, "y": y},
            },
            {
                "data": {"values": [{"day": day}]},
                "mark": {"type": "rule", "color": INK},
                "encoding": {"x": x},
            },
        ],
        "config": CONFIG,
    }  # fmt: skip
