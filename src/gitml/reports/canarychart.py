"""The confidence sequence of a candidate's difference over time, with what it is held against."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gitml.reports.escape import clip, visible
from gitml.reports.lookfacts import Told, list_of, number
from gitml.reports.shifts import CONFIG, INK, NEW, SOFT

_FEWEST, _WIDE = 2, 40.0


def chart(told: Told) -> dict[str, Any] | None:
    """A Vega-Lite spec; None where there is no sequence yet."""
    main = next((part for part in list_of(told, "parts") if part.get("part") in ("primary", "kpi")), None)
    points = [point for point in list_of(told, "series") if point.get("difference") is not None]
    if main is None or len(points) < _FEWEST:
        return None
    values = list(_values(points))
    x = {"field": "at", "type": "temporal", "axis": {"title": None, "labelAngle": 0, "tickCount": 6}}
    y = {"type": "quantitative", "scale": {"zero": False}, "axis": {"title": "candidate − champion", "tickCount": 5}}
    name = f"{told.get('model', '')} in {told.get('environment', '')}: difference of {main.get('name', '')}"
    said = "band: where the difference lies, at all looks together" + (
        "; dashed: the margin" if main.get("margin") else "; dashed: no difference"
    )
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "background": "white",
        "padding": 12,
        "width": 620,
        "height": 200,
        "title": {
            "text": clip(visible(name), 90), "subtitle": said, "anchor": "start", "color": INK, "fontSize": 15,
            "fontWeight": 600, "offset": 14, "subtitleColor": SOFT, "subtitleFontSize": 12,
        },
        "data": {"values": values},
        "layer": [
            {
                "mark": {"type": "area", "color": NEW, "opacity": 0.18},
                "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
            },
            {"mark": {"type": "line", "color": NEW}, "encoding": {"x": x, "y": {**y, "field": "difference"}}},
            {
                "mark": {"type": "rule", "strokeDash": [5, 4], "color": INK},
                "encoding": {"y": {"datum": number(main, "margin"), "type": "quantitative"}},
            },
        ],
        "config": CONFIG,
    }  # fmt: skip


def _values(points: list[Told]) -> Iterator[dict[str, Any]]:
    """Ends that are open are drawn at the farthest one that is known: early intervals are as wide as they like."""
    known = [abs(number(p, end)) for p in points for end in ("low", "high") if p.get(end) is not None]
    widest = min(
        max(known, default=1.0), _WIDE * max((abs(number(p, "difference")) for p in points), default=1.0) or 1.0
    )
    for point in points:
        low, high = point.get("low"), point.get("high")
        if low is None and high is None:
            continue
        yield {
            "at": str(point.get("at")),
            "difference": number(point, "difference"),
            "low": max(number(point, "low"), -widest) if low is not None else -widest,
            "high": min(number(point, "high"), widest) if high is not None else widest,
        }
