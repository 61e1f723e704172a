"""What one edit of a deployment file does, and which of its versions have to be judged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gitml.gates.facts import Part, Unknown
from gitml.gates.verdicts import failed, listed, passed, unclear
from gitml.policy.facts import Case
from gitml.spec.canary import CanaryChange
from gitml.spec.deployment import Deployment, Hold, Pin, VersionHold
from gitml.verdict import Verdict


class Move(StrEnum):
    """What a change does. Each has rules of its own."""

    PROMOTION = "promotion"  # a version gets more to do: gates, approvals, no freeze, no hold
    ROLLBACK = "rollback"  # another champion together with a hold: it must have run there
    STOP = "stop"  # less traffic for a canary, a canary or shadow gone, a hold set, a model retired: nothing new runs
    RESUME = "resume"  # a hold ends earlier, a retired model answers again: approvals
    NOTHING = "nothing"  # what runs stays as it is
    REFUSED = "refused"  # nothing that may be merged


@dataclass(frozen=True)
class Change:
    """``judged`` are the pins that get more to do than before, by their part."""

    move: Move
    judged: tuple[tuple[Part, Pin], ...] = ()


def classify(old: Deployment | None, new: Deployment | None, now: datetime) -> Change:
    """What the edit from ``old`` to ``new`` does; None stands for no file."""
    if new is None:
        return Change(Move.NOTHING if old is None else Move.REFUSED)
    judged = _given_more(old, new)
    revived = old is not None and old.retired and not new.retired
    # What was ended is no rollback's to begin again: that takes one approval.
    if judged and not revived and _is_rollback(old, new, judged, now):
        return Change(Move.ROLLBACK, judged)
    if judged:
        return Change(Move.PROMOTION, judged)
    if old is None or old == new:
        return Change(Move.NOTHING)
    held = {one.version: one for one in new.held}
    ends = (
        revived or _ends_sooner(old.hold, new.hold) or any(_ends_sooner(one, held.get(one.version)) for one in old.held)
    )
    return Change(Move.RESUME if ends else Move.STOP)


def canary_change(old: Deployment | None, new: Deployment, edit: Change) -> CanaryChange | None:
    """What a change means for the one candidate that is there, where it is about that alone.

    Only of a change that was derived: whatever else it holds, such as the end of a hold, is not looked at.
    """
    if old is None:
        return None
    there = [_plain(pin) for pin in (*([old.canary] if old.canary else []), *old.shadow)]
    if edit.move is Move.STOP and len(new.pins) < len(old.pins):
        return "take-back"
    if edit.move is not Move.PROMOTION or len(edit.judged) != 1 or _plain(edit.judged[0][1]) not in there:
        return None
    return {"champion": "promote", "canary": "raise", "shadow": None}[edit.judged[0][0]]


def _given_more(old: Deployment | None, new: Deployment) -> tuple[tuple[Part, Pin], ...]:
    found: list[tuple[Part, Pin]] = []
    if old is None or new.champion != old.champion:
        found.append(("champion", new.champion))
    if new.canary and _canary_has_more(old, new):
        found.append(("canary", new.canary))
    found += [("shadow", pin) for pin in new.shadow if old is None or _plain(pin) not in map(_plain, old.pins)]
    return tuple(found)


def _plain(pin: Pin) -> tuple[str, str]:
    return pin.version, pin.digest


def _canary_has_more(old: Deployment | None, new: Deployment) -> bool:
    if new.canary is None or old is None or old.canary is None:
        return new.canary is not None
    return _plain(new.canary) != _plain(old.canary) or new.canary.weight > old.canary.weight


def _is_rollback(old: Deployment | None, new: Deployment, judged: tuple[tuple[Part, Pin], ...], now: datetime) -> bool:
    """Another champion alone, with a hold that is in force."""
    return old is not None and [part for part, _ in judged] == ["champion"] and in_force(new.hold, now) is not None


def in_force(hold: Hold | None, now: datetime) -> Hold | None:
    return hold if hold and (hold.until is None or hold.until > now) else None


def held_version(state: Deployment | None, version: str, now: datetime) -> VersionHold | None:
    """The hold that keeps this version away, if one is in force."""
    found = next((one for one in state.held if one.version == version), None) if state else None
    return found if found and in_force(found, now) else None


def _ends_sooner(old: Hold | None, new: Hold | None) -> bool:
    if old is None:
        return False
    if new is None:
        return True
    return new.until is not None and (old.until is None or new.until < old.until)


def judge(case: Case) -> Verdict:
    """The pull request is an edit that may be judged at all.

    It changes deployment files and nothing else, none of them is deleted or anything but a plain file, each can be
    read, and none changed on the base branch since the branch began.
    """
    if case.refused:
        return failed(listed(case.refused))
    unknown = [side.reason for side in (case.old, case.new) if isinstance(side, Unknown)]
    if unknown:
        return unclear(listed(unknown))
    if case.new is None and case.old is not None:
        return failed("the deployment file would be deleted: set a hold, or promote or roll back to a version instead")
    return passed("one deployment file, in a form that can be judged")
