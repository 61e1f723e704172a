"""The page of a year: what happened when and who decided, what a flight cost under each policy, and one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from yearpolicies import Daily

from gitml.files import write_file
from gitml.reports.charts import png

Floats = NDArray[Any]
Interval = tuple[float, float, float]
Told = tuple[str, str, str]
FROZEN, DRAWS, SEED = "frozen", 2000, 7
ALL = "all"
SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
STYLE = "body{font:16px/1.5 sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse}"
CELLS = "td,th{border:1px solid #ccc;padding:.3rem .6rem;text-align:left}img{max-width:100%}"


@dataclass(frozen=True)
class Kept:
    """A version that was trained for ``day`` of 2013, and what became of it.

    By metric: by how much it differs from the champion of that day, as the report ``said``, and by day on the flights
    of the eight weeks that followed, each as [flights, sum of differences].
    """

    version: str
    day: str
    fate: str
    said: Mapping[str, Interval]
    daily: Mapping[str, Daily]


@dataclass(frozen=True)
class Story:
    """``told``: what happened when, and who did it; ``daily``: flights and dollars of each day, by policy."""

    told: Sequence[Told]
    daily: Mapping[str, Daily]
    kept: Sequence[Kept] = ()
    same: str = ""


def interval(flights: Floats, amounts: Floats) -> Interval:
    """An amount a flight, with 95 % from days drawn with replacement."""
    even = np.full(len(flights), 1 / len(flights))
    drawn = np.random.default_rng(SEED).multinomial(len(flights), even, size=DRAWS)
    low, high = np.quantile((drawn @ amounts) / (drawn @ flights), [0.025, 0.975])
    return float(amounts.sum() / flights.sum()), float(low), float(high)


class Costs:
    """Dollars a flight, with 95 % intervals from days drawn with replacement: flights of a day share its storms.

    All policies are judged on the same draws, so that their difference is that of the same days.
    """

    def __init__(self, daily: Mapping[str, Daily]) -> None:
        self.days = sorted(daily[FROZEN])
        self.flights = np.array([daily[FROZEN][day][0] for day in self.days])
        self.dollars = {name: np.array([told[day][1] for day in self.days]) for name, told in daily.items()}
        self.months = sorted({day[:7] for day in self.days})

    def of(self, policy: str, month: str = ALL, against: str = "") -> Interval:
        """Value, low, high: of a policy in a month, or of its difference to another one."""
        inside = np.array([month in (ALL, day[:7]) for day in self.days])
        dollars = self.dollars[policy] - (self.dollars[against] if against else 0.0)
        return interval(self.flights[inside], dollars[inside])

    def weekly(self, policy: str) -> list[dict[str, Any]]:
        """Dollars a flight in each week, which begins on a Monday."""
        numbers = np.array([(date.fromisoformat(day).toordinal() - 1) // 7 for day in self.days])
        found = []
        for number in np.unique(numbers):
            inside = numbers == number
            monday = date.fromordinal(int(number) * 7 + 1)
            value = float(self.dollars[policy][inside].sum() / self.flights[inside].sum())
            found.append({"day": f"{monday}", "policy": policy, "cost": value})
        return found


def write_page(folder: Path, story: Story) -> list[str]:
    """Write year.md, year.html and year.png; the lines of the table, and what the year says."""
    costs = Costs(story.daily)
    said, told = _said(costs), story.told
    tables = [_table(costs), [["day of 2013", "what", "who"], *(list(one) for one in told)]]
    if story.kept:
        tables.append(_kept(story.kept))
    heading = f"A model that ages: {costs.days[0]} to {costs.days[-1]}"
    notes = [
        "Dollars a flight: 60 for a late flight without an alert, 20 for an alert in vain. Intervals of 95 %, from "
        f"{DRAWS:,} draws of whole days; differences on the same draws.",
        "The frozen model, and every version that the loop trains, leave their last 21 days out of training for a "
        "report; the monthly policies train on them, and nobody looks at what they give.",
        "What the bad change cost while it answered is part of gitml's figure; the others had no such change.",
        *worth(story.kept),
        f"{story.same}.",
    ]
    write_file(folder / "year.png", png(picture(costs, told)))
    write_file(folder / "year.md", _markdown(heading, [said, *notes], *tables).encode())
    write_file(folder / "year.html", _html(heading, [said, *notes], *tables).encode())
    return [*(" | ".join(row) for row in tables[0]), said]


def _table(costs: Costs) -> list[list[str]]:
    names = list(costs.dollars)
    rows = [[month, *(_interval(*costs.of(name, month)) for name in names)] for month in costs.months]
    rows.append(["all", *(_interval(*costs.of(name)) for name in names)])
    rows.append(["all, less frozen", *(_difference(costs, name) for name in names)])
    return [["month", *names], *rows]


def _kept(kept: Sequence[Kept]) -> list[list[str]]:
    """Estimate against realised: negative is better than the version before."""
    rows = []
    for one in kept:
        cost, loss = ([_estimated(one, name, places), _realised(one, name, places)] for name, places in _COMPARED)
        rows.append([one.day, one.version.rpartition("-")[2], one.fate, *cost, *loss])
    told = ["dollars a flight, by the report", "realised", "log loss, by the report", "realised"]
    return [["trained on", "version", "what became of it", *told], *rows]


_COMPARED = (("cost_per_flight", 2), ("log_loss", 4))


def _estimated(one: Kept, name: str, places: int) -> str:
    return _signed(*one.said[name], places=places) if name in one.said else "not compared"


def _realised(one: Kept, name: str, places: int) -> str:
    sums = np.array([*one.daily.get(name, {}).values()])
    return _signed(*interval(sums[:, 0], sums[:, 1]), places=places) if len(sums) > 1 else "too few days"


def worth(kept: Sequence[Kept]) -> list[str]:
    """What letting versions in, and keeping them out, was worth over the eight weeks after each."""
    said = []
    for words in dict.fromkeys(one.fate for one in kept):
        some = [one for one in kept if one.fate == words]
        days = [amounts for one in some for amounts in one.daily.get("cost_per_flight", {}).values()]
        if len(days) > 1:
            sums = np.array(days)
            many = "1 version" if len(some) == 1 else f"{len(some)} versions"
            value, low, high = interval(sums[:, 0], sums[:, 1])
            said.append(
                f"{many}, {words}: {value:+.2f} dollars a flight ({low:+.2f} to {high:+.2f}) against the version "
                "that each was to replace, over the eight weeks that followed; less than zero is cheaper."
            )
    return said


def _signed(value: float, low: float, high: float, places: int) -> str:
    return f"{value:+.{places}f} ({low:+.{places}f} to {high:+.{places}f})"


def _difference(costs: Costs, name: str) -> str:
    value, low, high = costs.of(name, against=FROZEN)
    return "" if name == FROZEN else f"{value:+.2f} ({low:+.2f} to {high:+.2f})"


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def _said(costs: Costs) -> str:
    """Which policy was cheapest, and whether that is more than chance."""
    values = {name: round(costs.of(name)[0], 2) for name in costs.dollars}
    cheapest = [name for name, value in values.items() if value == min(values.values())]
    best = " and ".join(cheapest) + (" was" if len(cheapest) == 1 else " were")
    value, low, high = costs.of("gitml", against=FROZEN)
    verdict = "cheaper" if high < 0 else "dearer" if low > 0 else "neither cheaper nor dearer beyond chance"
    return (
        f"Over all days {best} the cheapest. gitml's loop was {verdict} than the frozen model: "
        f"{value:+.2f} dollars a flight ({low:+.2f} to {high:+.2f})."
    )


def picture(costs: Costs, told: Sequence[Told]) -> dict[str, Any]:
    """Each week's cost under each policy, with a line where something happened; and the months with their intervals."""
    weeks = [row for name in costs.dollars for row in costs.weekly(name)]
    days: dict[str, list[str]] = {}
    for on, what, who in told:
        if who:  # what nobody did anything about stands in the table alone
            days.setdefault(on, []).append(what.split(":")[0][:48])
    marks = [{"day": on, "what": ", ".join(every)[:110]} for on, every in days.items()]
    months = []
    for name in costs.dollars:
        for month in costs.months:
            value, low, high = costs.of(name, month)
            months.append({"month": month, "policy": name, "cost": value, "low": low, "high": high})
    day: dict[str, Any] = {"field": "day", "type": "temporal", "title": None}
    policy = {"field": "policy", "type": "nominal", "title": None}
    dollars = {"type": "quantitative", "title": "dollars a flight", "scale": {"zero": False}}
    events = {
        "data": {"values": marks},
        "layer": [
            {"mark": {"type": "rule", "strokeDash": [3, 3], "color": "#888"}, "encoding": {"x": day}},
            {
                "mark": {"type": "text", "angle": 270, "align": "right", "dy": -5, "fontSize": 9, "color": "#555"},
                "encoding": {"x": day, "y": {"value": 4}, "text": {"field": "what"}},
            },
        ],
    }
    lines = {
        "data": {"values": weeks},
        "mark": {"type": "line", "point": {"size": 12}},
        "encoding": {"x": day, "y": {"field": "cost", **dollars}, "color": policy},
    }
    spread = {"x": {"field": "month", "type": "ordinal", "title": None}, "xOffset": policy, "color": policy}
    bars = {
        "data": {"values": months},
        "width": 900,
        "height": 220,
        "encoding": spread,
        "layer": [
            {"mark": "rule", "encoding": {"y": {"field": "low", **dollars}, "y2": {"field": "high"}}},
            {"mark": {"type": "point", "filled": True}, "encoding": {"y": {"field": "cost", **dollars}}},
        ],
    }
    return {"$schema": SCHEMA, "vconcat": [{"width": 900, "height": 320, "layer": [lines, events]}, bars]}


def _markdown(heading: str, said: Sequence[str], *tables: list[list[str]]) -> str:
    parts = [f"# {heading}", "![What a flight cost, and what happened when](year.png)", *said]
    for head, *rows in tables:
        lines = [head, ["---"] * len(head), *rows]
        parts.append("\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines))
    return "\n\n".join(parts) + "\n"


def _html(heading: str, said: Sequence[str], *tables: list[list[str]]) -> str:
    parts = [f"<h1>{escape(heading)}</h1>", '<img src="year.png" alt="What a flight cost, and what happened when">']
    parts += [f"<p>{escape(text)}</p>" for text in said]
    for head, *rows in tables:
        cells = [_row(head, "th"), *(_row(row, "td") for row in rows)]
        parts.append(f"<table>{''.join(cells)}</table>")
    top = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(heading)}</title>'
    return f"{top}<style>{STYLE}{CELLS}</style>{''.join(parts)}</html>\n"


def _row(cells: Sequence[str], kind: str) -> str:
    return f"<tr>{''.join(f'<{kind}>{escape(cell)}</{kind}>' for cell in cells)}</tr>"
