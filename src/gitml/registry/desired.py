"""Edits of a deployment: what one environment should run after a promotion, a rollback or the end of a hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from gitml.errors import UsageError
from gitml.spec.deployment import Canary, Deployment, Hold, Pin, Shadow, VersionHold

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


@dataclass(frozen=True)
class Placing:
    """As what a version is to run: ``weight`` in percent, of a canary."""

    part: Part = "champion"
    weight: float = 0.0

    def of(self, old: Deployment | None, pin: Pin, now: datetime) -> Deployment:
        """The deployment with ``pin`` as that. Raises UsageError for a part that needs a champion, where none is."""
        if self.part == "canary":
            return with_canary(old, pin, self.weight, now)
        return with_shadow(old, pin, now) if self.part == "shadow" else with_champion(old, pin, now)


def with_champion(old: Deployment | None, pin: Pin, now: datetime) -> Deployment:
    """``pin`` answers; where it was canary or shadow it is so no more. The others stay."""
    if old is None:
        return Deployment(champion=pin)
    canary = None if old.canary and old.canary.version == pin.version else old.canary
    return _made(old, pin, now, champion=pin, canary=canary, shadow=_without(old.shadow, pin))


def with_canary(old: Deployment | None, pin: Pin, weight: float, now: datetime) -> Deployment:
    """``pin`` answers ``weight`` percent of the traffic, in place of the canary that is there."""
    there = _needed(old, pin, "canary")
    canary = Canary(version=pin.version, digest=pin.digest, weight=weight)
    return _made(there, pin, now, canary=canary, shadow=_without(there.shadow, pin))


def with_shadow(old: Deployment | None, pin: Pin, now: datetime) -> Deployment:
    """``pin`` sees the traffic as well, and nobody sees its answers."""
    there = _needed(old, pin, "shadow")
    canary = None if there.canary and there.canary.version == pin.version else there.canary
    return _made(there, pin, now, canary=canary, shadow=(*_without(there.shadow, pin), pin))


def rolled_back(old: Deployment, pin: Pin, hold: Hold) -> Deployment:
    """``pin`` answers again and all experiments end; the hold keeps automation from undoing it."""
    held = tuple(one for one in old.held if one.version != pin.version)
    return Deployment(champion=pin, shadow=_without(old.shadow, pin), hold=hold, held=held)


def taken_back(old: Deployment, hold: VersionHold) -> Deployment:
    """The held version is canary or shadow no more, and stays away until somebody ends its hold."""
    gone = hold.version
    if old.champion.version == gone or part_of(old, gone) is None:
        raise UsageError(f"{gone} is neither canary nor shadow there", "`gitml status` shows what runs")
    canary = None if old.canary and old.canary.version == gone else old.canary
    shadow = tuple(pin for pin in old.shadow if pin.version != gone)
    held = tuple(sorted((*old.held, hold), key=lambda one: one.version))
    return Deployment(champion=old.champion, canary=canary, shadow=shadow, hold=old.hold, held=held)


def retired(old: Deployment, hold: Hold) -> Deployment:
    """The champion stays as what ran last, and answers nobody; nothing else runs, and nothing is promoted."""
    return Deployment(champion=old.champion, hold=hold, held=old.held, retired=True)


def without_shadow(old: Deployment, pin: Pin) -> Deployment:
    """``pin`` sees no traffic any more. Nothing else changes."""
    return old.model_copy(update={"shadow": _without(old.shadow, pin)})


def resumed(old: Deployment, version: str = "") -> Deployment:
    """The same without its hold, in service again, or without the hold of ``version``."""
    if not version:
        return old.model_copy(update={"hold": None, "retired": False})
    return old.model_copy(update={"held": tuple(one for one in old.held if one.version != version)})


def _made(old: Deployment, pin: Pin, now: datetime, **parts: Any) -> Deployment:
    """What is held stays, but for holds that are over: those are taken out by whoever edits the file next."""
    held = tuple(one for one in old.held if _lasts(one, now))
    if any(one.version == pin.version for one in held):
        raise UsageError(f"{pin.version} is held there", "`gitml resume MODEL@VERSION --in ENVIRONMENT` ends that")
    hold = old.hold if old.hold and _lasts(old.hold, now) else None
    given = {"champion": old.champion, "canary": old.canary, "shadow": old.shadow, **parts}
    return Deployment(**given, hold=hold, held=held)


def _lasts(hold: Hold, now: datetime) -> bool:
    return hold.until is None or hold.until > now


def _without(pins: tuple[Shadow, ...], gone: Pin) -> tuple[Shadow, ...]:
    return tuple(pin for pin in pins if pin.version != gone.version)


def _needed(old: Deployment | None, pin: Pin, part: str) -> Deployment:
    if old is None:
        raise UsageError(f"there is no champion yet that a {part} could run beside", "promote it as champion first")
    if old.champion.version == pin.version:
        raise UsageError(f"{pin.version} is the champion there, so it cannot be {part}")
    return old
