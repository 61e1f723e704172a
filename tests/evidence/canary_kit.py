"""Evaluations without traffic behind them: details that agree with themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from evidence.look_kit import stamp
from gitml.evidence.canaries import canary_details

HOUR = timedelta(hours=1)
BEGAN = datetime(2026, 3, 1, 8, tzinfo=UTC)
RULES = "c" * 64
CHAMPION = {"version": "20260201T070000Z-0badcafe", "artifact": "a" * 64}
CANDIDATE = {"version": "20260301T070000Z-3f2a90bc", "artifact": "b" * 64}


def part(name: str = "accuracy", phase: str = "successful", of: str = "primary") -> dict[str, Any]:
    both = {"champion": 900, "candidate": 100}
    return {
        "part": of, "name": name, "phase": phase, "reason": f"{name} is {phase}", "champion": 0.8, "candidate": 0.82,
        "difference": 0.02, "low": 0.01, "high": 0.03, "margin": -0.01, "n": both, "events": both, "needed": None,
    }  # fmt: skip


def evaluation(hours: int = 1, phase: str = "successful", **more: Any) -> dict[str, Any]:
    """Up to ``hours`` after BEGAN."""
    until = BEGAN + hours * HOUR
    both = {"champion": 900, "candidate": 100}
    return {
        "model": "m", "environment": "production", "mode": "split", "scheduled": True, "candidate": CANDIDATE,
        "champion": CHAMPION, "rules": RULES, "since": stamp(BEGAN), "until": stamp(until), "at": stamp(until),
        "next_look": stamp(until + HOUR), "phase": phase, "reason": f"the candidate is {phase}",
        "parts": [part("errors", of="guardrail"), part(phase=phase)],
        "epochs": [{"weight": 10, "since": stamp(BEGAN), "until": stamp(until), "units": both}],
        "labels": {"coverage": {"champion": 0.9, "candidate": 0.9}, "delay_days": 0.5},
        "series": [{"at": stamp(until), "difference": 0.02, "low": 0.01, "high": 0.03}],
        "step": {"weight": 10, "next": 50, "ready": phase != "failed"}, **more,
    }  # fmt: skip


def details(hours: int = 1, phase: str = "successful", **more: Any) -> dict[str, Any]:
    return canary_details(evaluation(hours, phase, **more))
