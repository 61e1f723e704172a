"""What `gitml bias` counted: frozen records without I/O, and the forms that programs read them in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gitml.stats.adverseimpact import CategoryRate
from gitml.stats.interval import Interval

_RATE, _RATIO = ("rate", "rate_low", "rate_high"), ("impact_ratio", "ratio_low", "ratio_high")
CSV_COLUMNS = ("table", "category", "people", "selected", *_RATE, *_RATIO, "note")


@dataclass(frozen=True)
class BiasTable:
    """One table, such as all sexes; ``unknown`` people are in none of its categories."""

    title: str
    rates: tuple[CategoryRate, ...]
    unknown: int


@dataclass(frozen=True)
class GroupMeasure:
    """One further number of one category; ``category`` is empty for the largest difference between two of them."""

    table: str
    name: str
    category: tuple[str, ...]
    value: float
    interval: Interval


@dataclass(frozen=True)
class BiasCount:
    """All of it. ``median`` is None where answers select. ``nameless`` answers have no unit, ``unanswered`` people no
    answer; neither is counted. ``data`` says which data were read, ``source`` what gitml.yaml says of them."""

    model: str
    kind: str
    data: str
    source: str
    people: int
    tables: tuple[BiasTable, ...]
    measures: tuple[GroupMeasure, ...] = ()
    median: float | None = None
    versions: tuple[str, ...] = ()
    nameless: int = 0
    unanswered: int = 0

    def to_dict(self) -> dict[str, Any]:
        names = ("model", "kind", "data", "source", "people", "median", "nameless", "unanswered")
        told = {name: getattr(self, name) for name in names}
        tables = [
            {"title": one.title, "unknown": one.unknown, "categories": [category_row(rate) for rate in one.rates]}
            for one in self.tables
        ]
        return {
            **told,
            "versions": list(self.versions),
            "tables": tables,
            "measures": [_measure(one) for one in self.measures],
        }

    def csv_rows(self) -> Iterator[dict[str, Any]]:
        for one in self.tables:
            for rate in one.rates:
                row = category_row(rate)
                yield {"table": one.title, **row, "category": " / ".join(rate.name)}
            nothing = dict.fromkeys(CSV_COLUMNS)
            yield {**nothing, "table": one.title, "category": "unknown", "people": one.unknown, "note": "not counted"}


def category_row(one: CategoryRate) -> dict[str, Any]:
    """As it is shown. Where counts are hidden, so are intervals, from which they follow, and all but two digits."""
    rate, ratio = one.rate.value if not (one.hidden and one.why) else None, one.ratio
    row = {"category": list(one.name), **dict.fromkeys(("people", "selected", *_RATE, *_RATIO))}
    if one.hidden:
        told = {"rate": _rounded(rate), "impact_ratio": _rounded(ratio)}
        return {**row, **told, "note": one.why or "count not shown"}
    row |= {"people": one.rate.count, "selected": one.rate.hits, "rate": rate, "impact_ratio": ratio}
    if rate is not None:
        row |= {"rate_low": one.rate.interval.low, "rate_high": one.rate.interval.high}
    if ratio is not None:
        row |= {"ratio_low": one.bounds.low, "ratio_high": one.bounds.high}
    return {**row, "note": one.why}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _measure(one: GroupMeasure) -> dict[str, Any]:
    ends = {"low": one.interval.low, "high": one.interval.high}
    return {"table": one.table, "name": one.name, "category": list(one.category), "value": one.value, **ends}
