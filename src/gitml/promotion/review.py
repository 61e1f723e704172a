"""``gitml review``: a person's signed word on whether a model that runs may go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gitml.control.mainline import named
from gitml.control.place import Place
from gitml.control.signing import Signer, bound, heard
from gitml.errors import FailedError, InconclusiveError, UsageError
from gitml.evidence.keys import SigningKey, fingerprint
from gitml.evidence.statement import Statement
from gitml.gate.lineage import lineage_of
from gitml.gate.people import person_of, teams_of
from gitml.gates.facts import Person, Unknown
from gitml.policy.people import Involved, holds, makers, same
from gitml.refs import parse
from gitml.registry.record import Record
from gitml.spec.policy import Policy

KIND = "reviewed"


@dataclass(frozen=True)
class ReviewOrder:
    """``reference``: the version that was looked at, such as the champion of an environment. ``report``: what was
    found, or where that stands."""

    reference: str
    result: Literal["passed", "failed"]
    report: str
    key: SigningKey


@dataclass(frozen=True)
class SignedReview:
    """``event`` is the ledger's name of what ``by`` signed."""

    model: str
    version: str
    result: str
    by: str
    time: datetime
    event: str


def review(place: Place, order: ReviewOrder) -> SignedReview:
    """Sign it, and add it to the ledger.

    Raises UsageError for a key that policy.yaml does not know for this, FailedError for a person who holds no role or
    made the version, InconclusiveError where it cannot be told who made it.
    """
    main = place.newest(whole=True)
    policy = main.policy()
    record = named(main, parse(order.reference))
    owner = _owner(policy, order.key)
    who = _holder(place, policy, owner)
    told = heard(place, policy)
    look = lineage_of(place, main, told, policy.agents.trailers)
    authors = look(record, None, "")
    if order.result == "passed":
        _refuse_makers(policy, record, who, list(makers(policy.agents, record.version, authors, told.believed)))
    artifact = record.files[record.artifact].sha256
    about = {"model": record.model, "version": record.version, "artifact": artifact, "result": order.result}
    before = told.newest(KIND, model=record.model, version=record.version)
    binding = bound(place, KIND, "", after=before, head=main.commit, by=owner, **about)
    (event,) = Signer(place, policy, order.key).sign([Statement(binding, {"report": order.report})])
    return SignedReview(record.model, record.version, order.result, owner, binding.moment, event)


def _owner(policy: Policy, key: SigningKey) -> str:
    """The login that policy.yaml ties to the key."""
    trusted = next((k for k in policy.keys.values() if fingerprint(k.public) == key.keyid), None)
    if trusted is None or KIND not in trusted.purposes:
        what = "does not know this key" if trusted is None else "lets this key sign other things only"
        hint = f"`gitml evidence keygen FILE --owner LOGIN --purpose {KIND}` makes one and says what to add"
        raise UsageError(f"policy.yaml of the default branch {what}", hint)
    return trusted.owner


def _holder(place: Place, policy: Policy, login: str) -> Person:
    account = place.forge.people.find(login)
    roles = policy.reviews.roles or tuple(policy.roles)
    if account is None:
        raise FailedError(f"{login} is nobody at the forge", "name the owner of the key by a login in policy.yaml")
    person, teams = person_of(account), teams_of(place, policy)
    if not any(holds(policy, role, person, teams).holds for role in roles):
        hint = f"people of these roles may: {', '.join(roles) or 'none'}"
        raise FailedError(f"{login} may not review models: {login} holds none of these roles", hint)
    return person


def _refuse_makers(policy: Policy, record: Record, who: Person, made: Sequence[Involved | Unknown]) -> None:
    """Nobody passes what they made; and nobody passes what nobody knows the makers of."""
    hint = "somebody who had no part in it reviews it; a failed review anybody with a role may sign"
    for one in made:
        if isinstance(one, Unknown):
            raise InconclusiveError(f"it cannot be told who made {record.version}: {one.reason}", "try again")
        if same(one.person, who):
            raise FailedError(f"{who.name} may not pass {record.version}: {who.name} is {one.how}", hint)
