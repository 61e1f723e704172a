"""Holds and freezes, judged again at the moment in which a believed change would be applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gitml.agent.state import stamp
from gitml.agent.trust import Trusted
from gitml.policy.change import Move, classify, in_force
from gitml.policy.freezes import frozen
from gitml.spec.deployment import Deployment


@dataclass(frozen=True)
class Restraint:
    """Why a change waits, and until when: None stands for "until somebody removes it"."""

    reason: str
    until: datetime | None = None

    @property
    def said(self) -> str:
        return f"{self.reason}, until {stamp(self.until) if self.until else 'somebody removes it'}"


def restraint(
    trusted: Trusted, old: Deployment | None, new: Deployment, *, environment: str, now: datetime, first: bool
) -> Restraint | None:
    """What stops the change now. Rollbacks, stops and the end of a hold are never stopped (DESIGN decision 4).

    ``first``: this agent serves nothing of the model yet. What main said before a freeze began, or while it was held,
    then is no change but the state of things: a new machine comes up in the middle of a freeze as well.
    """
    move = classify(old, new, trusted.approved).move
    if move is not Move.PROMOTION and (move is not Move.ROLLBACK or trusted.rollback):
        return None
    opened = _overridden(trusted.details, now)
    for freeze in frozen(trusted.policy.freezes, environment, now):
        if "freeze" not in opened and not (first and trusted.approved < freeze.since):
            return Restraint(f"frozen: {freeze.reason}", freeze.until)
    held = in_force(old.hold, now) if old else None
    if held and not first:
        return Restraint(f"held by {held.by}: {held.reason}", held.until)
    return None


def _overridden(details: Mapping[str, Any], now: datetime) -> frozenset[str]:
    """The gates that a signed override opened, as the gate's own evidence tells, while it lasts."""
    override = details.get("override")
    if not isinstance(override, Mapping):
        return frozenset()
    gates, until = override.get("gates"), override.get("until")
    try:
        lasts = now < datetime.fromisoformat(str(until)) if until else False
    except (ValueError, TypeError):
        return frozenset()
    return frozenset(str(gate) for gate in gates) if lasts and isinstance(gates, list | tuple) else frozenset()
