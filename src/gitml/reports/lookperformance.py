"""How good the model is, on labels that have come, and estimated where they have not: tables, and one chart of both."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from gitml.reports.cut import Section
from gitml.reports.escape import clip, code, prose, row, visible
from gitml.reports.figures import between, decimals, figure, plural
from gitml.reports.lookfacts import LookStory, Told, day, list_of, number
from gitml.reports.shifts import CONFIG, INK, NEW, OLD, SOFT
from gitml.reports.tables import MORE_ROWS, folded, header

_GROUPS, _WINDOWS = 60, 32
_ENDS = ("low", "high")
_Y = {"type": "quantitative", "scale": {"zero": False}, "axis": {"title": None, "tickCount": 5}}
_EVALUATED = {
    "mark": {"type": "rule", "strokeDash": [4, 4], "color": SOFT},
    "encoding": {"y": {**_Y, "field": "evaluated", "aggregate": "mean"}},
}
_METHOD = (
    "\n*Estimated: where the metric probably lies if the inputs alone have changed. That the same inputs now lead to "
    "other outcomes no estimate can see: labels can. As evaluated: the change could be chance, given so many rows.*\n"
)


def performance(story: LookStory) -> Iterator[Section]:
    """Nothing where the look tells none."""
    told = story.look.get("performance")
    if not isinstance(told, dict):
        return
    metrics = list_of(told, "metrics")
    if metrics:
        head = header(["metric", "on labels (95 %)", "labels", "when evaluated"], "lrrr")
        yield Section(2, f"**Performance**\n\n{head}", tuple(map(_metric, metrics)), "", MORE_ROWS)
    if said := _suitability(told):
        yield Section(2, said)
    yield from _series(told)
    yield from _groups(told)


def _metric(found: Told) -> str:
    return row([code(str(found.get("metric", "")), 40), _value(found), _count(found), _evaluated(found)])


def _value(found: Told) -> str:
    low, high = found.get("low"), found.get("high")
    ends = isinstance(low, int | float) and isinstance(high, int | float)
    places = decimals(number(found, "high") - number(found, "low")) if ends else decimals(None)
    sure = between(number(found, "low"), number(found, "high"), places) if ends else ""
    return figure(number(found, "value"), places) + (f" ({sure})" if sure else "")


def _guess(found: Told) -> str:
    """Where the change could be chance, the value of the evaluation with the band of the estimate."""
    if found.get("told", True):
        return _value(found)
    own = found.get("evaluated")
    if not isinstance(own, int | float) or not math.isfinite(own):
        return "as evaluated"
    return f"as evaluated: {_value({**found, 'value': own})}"


def _count(found: Told) -> str:
    return f"{number(found, 'labels'):,.0f}"


def _evaluated(found: Told) -> str:
    own = found.get("evaluated")
    if isinstance(own, dict):
        return _value(own)
    return figure(float(own)) if isinstance(own, int | float) else "–"


def _suitability(told: Told) -> str:
    found = told.get("suitability")
    if not isinstance(found, dict):
        return ""
    can = "still suits this window" if found.get("suitable") else "cannot be shown to suit this window"
    was, now = figure(number(found, "evaluated"), 3), figure(number(found, "accuracy"), 3)
    return (
        f"Without any label: the model {can} (estimated accuracy {now}, {was} when evaluated, "
        f"{figure(number(found, 'margin'), 3)} less is tolerated)."
    )


def _series(told: Told) -> Iterator[Section]:
    points = list_of(told, "series")[-_WINDOWS:]
    if not points:
        return
    metric = _first(points)
    lines = []
    for point in reversed(points):
        seen, guessed = (_of(point, kind, metric) for kind in ("measured", "estimated"))
        by = f"{_guess(guessed)}, {prose(str(guessed.get('method', '')), 40)}" if guessed else ""
        why = "" if seen or guessed else prose(str(point.get("why", "")), 120)
        lines.append(row([day(point, "since"), _count(point), _value(seen) if seen else "", by, why]))
    head = header(
        ["window from", "labels", f"{code(metric, 40)} on labels" if metric else "on labels", "estimated", ""], "lrrrl"
    )
    section = folded(f"Performance of {plural(len(points), 'window')}", head, lines, 4)
    note = _METHOD if any(list_of(point, "estimated") for point in points) else ""
    yield Section(section.rank, section.head, section.rows, note + section.tail, section.more)


def _first(points: list[Told]) -> str:
    """The metric that the chart and the series show."""
    every = (one for point in points for kind in ("measured", "estimated") for one in list_of(point, kind))
    return next((str(one.get("metric", "")) for one in every), "")


def _of(point: Told, kind: str, metric: str) -> Told | None:
    return next((one for one in list_of(point, kind) if one.get("metric") == metric), None)


def _groups(told: Told) -> Iterator[Section]:
    groups = list_of(told, "groups")[:_GROUPS]
    if groups:
        lines = []
        for group in groups:
            found = group.get("measured")
            name = f"{code(str(group.get('column', '')), 40)} = {code(str(group.get('value', '')), 40)}"
            known = [_value(found), _evaluated(found)] if isinstance(found, dict) else ["too few labels", ""]
            lines.append(row([name, _count(group), *known]))
        head = header(["group", "labels", "on labels (95 %)", "when evaluated"], "lrrr")
        yield folded(f"Performance of {plural(len(groups), 'group')} of rows", head, lines, 5)


def performance_chart(story: LookStory) -> dict[str, Any] | None:
    """A Vega-Lite spec; None where fewer than two windows have a figure."""
    told = story.look.get("performance")
    points = list_of(told, "series")[-_WINDOWS:] if isinstance(told, dict) else []
    metric = _first(points)
    values = [value for point in points for value in _marks(point, metric)]
    if not isinstance(told, dict) or len(values) < 2:
        return None
    own = _own(next((one for one in list_of(told, "metrics") if one.get("metric") == metric), {}))
    values = [{"evaluated": own, **value} if own is not None else value for value in values]
    named = clip(visible(metric), 30)
    kinds = ["on labels", "estimated"]
    x = {"field": "window", "type": "ordinal", "axis": {"labelAngle": -40, "title": None}}
    color = {"field": "kind", "type": "nominal", "sort": kinds, "scale": {"domain": kinds, "range": [NEW, OLD]}}
    name = f"{story.look.get('model', '')} in {story.look.get('environment', '')}: {named} by window"
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "background": "white",
        "padding": 12,
        "width": 620,
        "height": 180,
        "title": {
            "text": clip(visible(name), 90), "subtitle": "bars: 95 %; dashed: when evaluated", "anchor": "start",
            "color": INK, "fontSize": 15, "fontWeight": 600, "offset": 14,
            "subtitleColor": SOFT, "subtitleFontSize": 12,
        },
        "data": {"values": values},
        "layer": [
            *([_EVALUATED] if any("evaluated" in value for value in values) else []),
            {
                "mark": {"type": "rule", "strokeWidth": 2},
                "encoding": {"x": x, "y": {**_Y, "field": "low"}, "y2": {"field": "high"}, "color": color},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 60},
                "encoding": {"x": x, "y": {**_Y, "field": "value"}, "color": color},
            },
        ],
        "config": CONFIG,
    }  # fmt: skip


def _marks(point: Told, metric: str) -> Iterator[dict[str, Any]]:
    """What labels say takes the place of the estimate."""
    for key, kind in (("measured", "on labels"), ("estimated", "estimated")):
        found = _of(point, key, metric)
        if found is not None:
            value, own = number(found, "value"), _own(found)
            low, high = (number(found, end) if isinstance(found.get(end), int | float) else value for end in _ENDS)
            mark = {"window": day(point, "since")[-10:], "kind": kind, "value": value, "low": low, "high": high}
            yield {**mark, **({} if own is None else {"evaluated": own})}
            return


def _own(found: Told) -> float | None:
    """What the version's evaluation measured."""
    own = found.get("evaluated")
    own = own.get("value") if isinstance(own, dict) else own
    return float(own) if isinstance(own, int | float) else None
