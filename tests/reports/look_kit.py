"""Looks of a monitor, as `Monitored.to_dict` tells them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

MONDAY, WEEK = datetime(2025, 10, 6, tzinfo=UTC), timedelta(weeks=1)
VERSION = "20250831T000000Z-f010da69"


def stamp(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def verdict(phase: str, reason: str) -> dict[str, Any]:
    return {"phase": phase, "reason": reason, "measurements": {}}


def effect(estimate: float, low: float, high: float, **more: Any) -> dict[str, Any]:
    return {
        "window": 1, "rows": 1400, "effective": 1368.4, "estimate": estimate, "low": low, "high": high,
        "direction": 0.1, "p": 0.001, "floor": 0.05, "drifted": low > 0.05, **more,
    }  # fmt: skip


def column(name: str, estimate: float, low: float, high: float, **more: Any) -> dict[str, Any]:
    return {
        "column": name, "output": False, "drifted": low > 0.05, "values": effect(estimate, low, high),
        "missing": effect(0.0, 0.0, 0.07, floor=0.02), "rows_needed": 0, "floor_within_reach": None,
        "moved": "mean 0.001452 → 0.4993 (+0.50 σ)", "muted": "", **more,
    }  # fmt: skip


def shape(name: str, *bars: dict[str, Any]) -> dict[str, Any]:
    return {"column": name, "looks": 1, "bars": [*bars]}


def look(week: int = 0, **changes: Any) -> dict[str, Any]:
    """Of the week that begins so many weeks after Monday, 6 October 2025. Quiet, unless ``changes`` say otherwise."""
    since = MONDAY + week * WEEK
    found: dict[str, Any] = {
        "id": f"{week % 100:064x}",
        "spent": {"year": 2025, "looks": 41, "share": 0.77},
        "model": "delay",
        "environment": "production",
        "version": VERSION,
        "since": stamp(since),
        "until": stamp(since + WEEK),
        "at": stamp(since + WEEK + timedelta(hours=1)),
        "scheduled": True,
        "next_look": stamp(since + 2 * WEEK),
        "phase": "successful",
        "verdicts": {
            "quality": verdict("successful", "the data keep their contract"),
            "drift": verdict("successful", "no drift above the floor in 2 columns"),
            "harm": verdict("successful", "as evaluated: auc 0.84 (0.82 to 0.86), 0.83 when evaluated"),
        },
        "complete": "complete",
        "rows": 1400,
        "looks": [{"since": stamp(since), "rows": 1400, "sketch": "5" * 64}],
        "promise": {"looks": 53, "columns": 2, "rate": 0.04, "promotions": 12, "years": 20},
        "reference": ["6" * 64],
        "own_periods": None,
        "quality": [],
        "drift": [column("fare", 0.02, 0.0, 0.04), column("word", 0.01, 0.0, 0.04)],
        "detectors": [],
        "outliers": None,
        "unread": "",
        "harm": None,
        "shapes": [],
        "mutes": [],
        "tell": {"people": [], "teams": []},
    }
    return found | changes


def drifted(week: int = 0, name: str = "fare", **changes: Any) -> dict[str, Any]:
    verdicts = look()["verdicts"] | {"drift": verdict("failed", f"{name} has drifted")}
    bars = [
        {"of": "range", "reference": 0.5, "window": 0.2, "high": 0.13},
        {"of": "range", "reference": 0.5, "window": 0.8, "low": 0.13},
    ]
    told = {
        "phase": "failed",
        "verdicts": verdicts,
        "drift": [column(name, 0.2, 0.15, 0.25), column("word", 0.01, 0.0, 0.04)],
        "shapes": [shape(name, *bars)],
        "tell": {"people": ["ada"], "teams": ["acme/ml"]},
    }
    return look(week, **(told | changes))


def measured(value: float, **more: Any) -> dict[str, Any]:
    own = {"value": 0.83, "low": 0.82, "high": 0.84}
    return {
        "metric": "auc", "value": value, "low": value - 0.02, "high": value + 0.02, "labels": 700, "cluster": "day",
        "evaluated": own, **more,
    }  # fmt: skip


def estimated(value: float, **more: Any) -> dict[str, Any]:
    return {
        "metric": "auc", "method": "CBPE", "value": value, "low": value - 0.03, "high": value + 0.03, "error": 0.01,
        "as_before": 0.03, "evaluated": 0.83, "overlap": 0.8, "periods": 12, **more,
    }  # fmt: skip


def performed(**more: Any) -> dict[str, Any]:
    """Four windows: labels say of the first two, the third is estimated, of the fourth nothing is known."""
    known = [{"measured": [measured(0.82)]}, {"measured": [measured(0.7)], "estimated": [estimated(0.8)]}]
    known += [{"estimated": [estimated(0.78)]}, {"why": "not all labels have come"}]
    series = [
        {"since": stamp(MONDAY + i * WEEK), "until": stamp(MONDAY + (i + 1) * WEEK), "labels": 700, "measured": [],
         "estimated": [], "why": "", **point}
        for i, point in enumerate(known)
    ]  # fmt: skip
    group = {"column": "carrier", "value": "AA", "labels": 200, "measured": measured(0.6)}
    return {
        "metrics": [measured(0.76)], "groups": [group, {**group, "value": "UA", "measured": None}], "series": series,
        "sources": {"test": 2800}, "unfit": 0, "suitability": None, "why": "", **more,
    }  # fmt: skip
