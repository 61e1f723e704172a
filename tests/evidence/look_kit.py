"""Looks without a monitor behind them: details that agree with themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from gitml.evidence.looks import FORMAT, ToldLook, digest_of, look_id

WEEK = timedelta(weeks=1)
FIRST = datetime(2026, 2, 2, tzinfo=UTC)


def stamp(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def look_details(
    week: int = 0, *, version: str, model: str = "m", drift: str = "successful", inputs: str = "a", **more: Any
) -> dict[str, Any]:
    """Of the window that begins ``week`` weeks after FIRST."""
    since = FIRST + week * WEEK
    sketch = {"rows": [10 + week]}
    verdict = {"phase": drift, "reason": f"drift is {drift}", "measurements": {}}
    look = {
        "model": model, "environment": "production", "version": version, "since": stamp(since),
        "until": stamp(since + WEEK), "at": stamp(since + WEEK), "next_look": stamp(since + 2 * WEEK),
        "scheduled": True, "phase": drift, "verdicts": {"drift": verdict}, "rows": 10,
        "looks": [{"since": stamp(since), "rows": 10, "sketch": digest_of(sketch)}], "quality": [], "drift": [],
    }  # fmt: skip
    configuration = "c" * 64
    return {
        "format": FORMAT, "id": look_id(ToldLook.model_validate(look), configuration), "configuration": configuration,
        "inputs": {"traffic": inputs * 64, "settings": "d" * 64}, "spent": {"year": 2026, "looks": 1, "share": 0.02},
        "look": look, "sketch": sketch, "disagrees": [], **more,
    }  # fmt: skip
