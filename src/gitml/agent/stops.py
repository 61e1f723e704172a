"""Canaries that were stopped because they fail where the champion answers: remembered until another is pinned."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from gitml.agent.messages import StoppedCanary
from gitml.agent.state import AgentState, Stop, stamp
from gitml.errors import SpecError
from gitml.spec.deployment import Canary, Deployment, parse_deployment


def noted(state: AgentState, told: Mapping[str, StoppedCanary], now: datetime) -> AgentState:
    """What the server stopped since, without what a new pin ended."""
    for model, stop in state.stops.items():
        canary = _applied(state, model)
        if canary is None or (canary.version, canary.digest) != (stop.version, stop.digest):
            state = state.with_stop(model, None)
    for model, one in told.items():
        canary = _applied(state, model)
        if model not in state.stops and canary and (canary.version, canary.digest) == (one.version, one.digest):
            stop = Stop(version=one.version, digest=one.digest, reason=one.reason, since=stamp(now))
            state = state.with_stop(model, stop)
    return state


def _applied(state: AgentState, model: str) -> Canary | None:
    applied = state.applied.get(model)
    try:
        return parse_deployment(applied.text.encode(), applied.path).canary if applied else None
    except SpecError:
        return None


def without_stopped(state: AgentState, model: str, deployment: Deployment) -> tuple[Deployment, str]:
    """The deployment without a canary that was stopped, and why. A raise of its weight is no new pin."""
    stop, canary = state.stops.get(model), deployment.canary
    if stop is None or canary is None or (canary.version, canary.digest) != (stop.version, stop.digest):
        return deployment, ""
    told = f"the canary {stop.version} was stopped: {stop.reason}; another pin begins anew"
    return deployment.model_copy(update={"canary": None}), told
