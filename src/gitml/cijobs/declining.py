"""Saying no to a retraining: by a command with a key of one's own, or by a label on its pull request, which a job with
CI's key signs. It silences exactly one cause of one model, for a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from gitml.cijobs.retrainfacts import RetrainFacts
from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.signing import BelievedEvents, Signer, bound
from gitml.errors import FailedError, GitmlError, UsageError
from gitml.evidence.keys import SigningKey, fingerprint
from gitml.evidence.statement import Statement
from gitml.fields import WrongValueError, parse_duration
from gitml.forges.base import PullRequest
from gitml.gate.mayrefuse import why_may_not
from gitml.retraining.brakes import Declined
from gitml.retraining.declined import KIND, LONGEST, roles_that_decline
from gitml.spec.policy import Policy
from gitml.spec.retrain import RETRAIN_CAUSES

_BY_DEFAULT = timedelta(days=14)
_LABEL = re.compile(r"gitml:not-now(?:[ :]+(?P<time>\S+))?")


@dataclass(frozen=True)
class DeclineOrder:
    """``lasts``: how long nothing asks for this model because of this cause."""

    model: str
    cause: str
    reason: str
    lasts: timedelta
    key: SigningKey


def decline(place: Place, order: DeclineOrder) -> Declined:
    """Sign it. Raises UsageError for what cannot be declined, FailedError for a person who may not."""
    main = place.newest()
    policy, app = main.policy(), main.application()
    if order.model not in app.retrain:
        named = ", ".join(app.retrain) or "none"
        raise UsageError(f"gitml.yaml does not say how {order.model} is trained again", f"`retrain` names: {named}")
    if order.cause not in RETRAIN_CAUSES:
        raise UsageError(f"there is no cause {order.cause}", f"causes: {', '.join(RETRAIN_CAUSES)}")
    if not timedelta() < order.lasts <= LONGEST:
        raise UsageError(f"a no lasts {LONGEST.days} days at most", "say --for 14d, and say it again later")
    owner = _owner(policy, order.key)
    if why := why_may_not(place, policy, owner):
        raise FailedError(f"{owner} may not say no to a retraining: {owner} {why}", _who(policy))
    now = place.clock().replace(microsecond=0)
    told = Declined(order.cause, owner, order.reason, now, now + order.lasts)
    Signer(place, policy, order.key).sign([_statement(place, main, order.model, told)])
    return told


def _owner(policy: Policy, key: SigningKey) -> str:
    """The login that policy.yaml ties to the key."""
    trusted = next((k for k in policy.keys.values() if fingerprint(k.public) == key.keyid), None)
    if trusted is None or KIND not in trusted.purposes:
        what = "does not know this key" if trusted is None else "lets this key sign other things only"
        hint = f"`gitml evidence keygen FILE --owner LOGIN --purpose {KIND}` makes one and says what to add"
        raise UsageError(f"policy.yaml of the default branch {what}", hint)
    return trusted.owner


def _who(policy: Policy) -> str:
    return f"people of these roles may: {', '.join(roles_that_decline(policy)) or 'none'}"


def _statement(place: Place, main: Mainline, model: str, told: Declined, pull: int | None = None) -> Statement:
    about = bound(place, KIND, "", model=model, head=main.commit, by=told.by, pull=pull)
    details = {"cause": told.cause, "reason": told.reason, "until": told.until.isoformat()}
    return Statement(about, {**details, "since": told.since.isoformat()})


def sign_labels(facts: RetrainFacts, key: SigningKey) -> tuple[str, ...]:
    """Sign what people said no to by a label since; called again it signs nothing twice. The names of the events."""
    place, main = facts.place, facts.main
    due = []
    for model, spec in facts.specs.items():
        for kind in spec.causes:
            pulls = (one.pull for one in facts.pulls(model, kind) if not one.pull.is_merged)
            for pull in pulls:
                told = next((one for one in _labels(place, pull, kind) if _may(place, main, one)), None)
                if told and not _is_known(facts.heard, model, told, pull.number):
                    due.append(_statement(place, main, model, told, pull.number))
    return Signer(place, main.policy(), key).sign(due) if due else ()


def _labels(place: Place, pull: PullRequest, kind: str) -> Iterator[Declined]:
    """What labels say that a pull request still has, the newest first. One that does not count hides none below it."""
    if not any(_LABEL.fullmatch(label) for label in pull.labels):
        return
    for put in reversed(place.forge.pulls.labelled(pull.number)):
        match = _LABEL.fullmatch(put.label) if put.label in pull.labels else None
        if match is None:
            continue
        try:
            lasts = min(parse_duration(match["time"]) if match["time"] else _BY_DEFAULT, LONGEST)
        except WrongValueError as exc:
            place.say(f"#{pull.number}: the label {put.label!r} says no time: {exc}")
            continue
        since = datetime.fromisoformat(put.time)
        yield Declined(kind, put.by, f"the label {put.label} on #{pull.number}", since, since + lasts)


def _is_known(heard: BelievedEvents, model: str, told: Declined, number: int) -> bool:
    """By when it was put on: a label that is taken off and put on again says no again."""
    signed = heard.all(KIND, model=model, pull=number)
    return any(one.details.get("since") == told.since.isoformat() for one in signed)


def _may(place: Place, main: Mainline, told: Declined) -> bool:
    try:
        why = why_may_not(place, main.policy(), told.by)
    except GitmlError as exc:
        why = f"is not known: {exc.message.splitlines()[0]}"
    if why:
        place.say(f"{told.reason} does not count: {told.by or 'somebody'} {why}")
    return not why
