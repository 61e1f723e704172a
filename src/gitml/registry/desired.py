"""Edits of a deployment: what one environment should run after a promotion, a rollback or the end of a hold."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from gitml.errors import UsageError
from gitml.spec.deployment import Canary, Deployment, Hold, Pin

Part = Literal["champion", "canary", "shadow"]


def part_of(state: Deployment | None, version: str) -> Part | None:
    """As what a version is pinned, None if it is not."""
    if state is None:
        return None
    if state.champion.version == version:
        return "champion"
    if state.canary and state.canary.version == version:
        return "canary"
    return "shadow" if any(pin.version == version for pin in state.shadow) else None


def with_champion(old: Deployment | None, pin: Pin, now: datetime) -> Deployment:
    """``pin`` answers; where it was canary or shadow it is so no more. The others stay."""
    if old is None:
        return Deployment(champion=pin)
    canary = None if old.canary and old.canary.version == pin.version else old.canary
    return _made(pin, canary, _without(old.shadow, pin), _kept(old.hold, now))


def with_canary(old: Deployment | None, pin: Pin, weight: float, now: datetime) -> Deployment:
    """``pin`` answers ``weight`` percent of the traffic, in place of the canary that is there."""
    there = _needed(old, pin, "canary")
    canary = Canary(version=pin.version, digest=pin.digest, weight=weight)
    return _made(there.champion, canary, _without(there.shadow, pin), _kept(there.hold, now))


def with_shadow(old: Deployment | None, pin: Pin, now: datetime) -> Deployment:
    """``pin`` sees the traffic as well, and nobody sees its answers."""
    there = _needed(old, pin, "shadow")
    canary = None if there.canary and there.canary.version == pin.version else there.canary
    return _made(there.champion, canary, (*_without(there.shadow, pin), pin), _kept(there.hold, now))


def rolled_back(old: Deployment, pin: Pin, hold: Hold) -> Deployment:
    """``pin`` answers again and all experiments end; the hold keeps automation from undoing it."""
    return _made(pin, None, _without(old.shadow, pin), hold)


def resumed(old: Deployment) -> Deployment:
    """The same without its hold."""
    return _made(old.champion, old.canary, old.shadow, None)


def _made(champion: Pin, canary: Canary | None, shadow: tuple[Pin, ...], hold: Hold | None) -> Deployment:
    return Deployment(champion=champion, canary=canary, shadow=shadow, hold=hold)


def _without(pins: tuple[Pin, ...], gone: Pin) -> tuple[Pin, ...]:
    return tuple(pin for pin in pins if pin.version != gone.version)


def _kept(hold: Hold | None, now: datetime) -> Hold | None:
    """A hold that is over is taken out by whoever edits the file next."""
    return hold if hold and (hold.until is None or hold.until > now) else None


def _needed(old: Deployment | None, pin: Pin, part: str) -> Deployment:
    if old is None:
        raise UsageError(f"there is no champion yet that a {part} could run beside", "promote it as champion first")
    if old.champion.version == pin.version:
        raise UsageError(f"{pin.version} is the champion there, so it cannot be {part}")
    return old
