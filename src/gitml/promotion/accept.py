"""``gitml evidence accept``: people sign that the ledger goes on after a commit that did more than add events.

What came before such a commit counts all the time, also what it deleted. What came after it counts when as many people
of the override role as policy.yaml says have accepted it, each with their own key.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.signing import Signer, bound, rules_of
from gitml.errors import FailedError, InconclusiveError, UsageError
from gitml.evidence.keys import SigningKey, fingerprint
from gitml.evidence.reader import Told, read
from gitml.evidence.standing import acceptance, named_people
from gitml.evidence.statement import Statement
from gitml.git import ledger
from gitml.git.ledgerline import Break
from gitml.spec.policy import POLICY, Override, Policy


@dataclass(frozen=True)
class AcceptOrder:
    """``good``: the last good commit of the ledger, or its beginning, as whoever signs has looked it up."""

    good: str
    reason: str
    key: SigningKey


@dataclass(frozen=True)
class AcceptedBreaks:
    """What ``by`` accepted in the event ``event``; ``left`` still waits for others."""

    breaks: tuple[Break, ...]
    by: str
    event: str
    left: tuple[Break, ...]


def accept(place: Place, order: AcceptOrder) -> AcceptedBreaks:
    """Sign it, and add it to the ledger.

    Raises UsageError for a ledger that is whole, another commit than its last good one, or a policy that lets nobody;
    FailedError for a key whose owner may not.
    """
    main = place.newest()
    policy = main.policy()
    broken = _told(place, policy).standing.broken
    _check(broken, order.good)
    owner = _owner(policy, _rule(policy), order.key)
    about: dict[str, Any] = {"head": broken[0].good, "base": main.commit, "policy": _digest(main), "by": owner}
    statement = Statement(bound(place, "overridden", "", **about), acceptance(broken, order.reason))
    (event,) = Signer(place, policy, order.key).sign([statement])
    return AcceptedBreaks(broken, owner, event, _told(place, policy).standing.broken)


def _told(place: Place, policy: Policy) -> Told:
    head = ledger.fetch(place.root, place.remote)
    return read(place.root, head, rules_of(place, policy)) if head else Told()


def _digest(main: Mainline) -> str:
    return sha256(main.file(POLICY) or b"").hexdigest()


def _check(broken: tuple[Break, ...], good: str) -> None:
    if not broken:
        raise UsageError("the ledger is whole: there is nothing to accept", "`gitml audit` says what else is wrong")
    first = broken[0]
    if not first.good:
        raise InconclusiveError(f"{first.commit[:12]} broke the ledger before it had a good commit")
    if len(good) < 7 or not first.good.startswith(good.lower()):
        raise UsageError(
            f"the ledger's last good commit is {first.good[:12]}, and not {good[:12]}",
            f"{first.commit[:12]} {first.what}: see who did it, then name the last good commit",
        )


def _rule(policy: Policy) -> Override:
    if policy.override is None:
        hint = "`override: {role: ROLE, people: 2}` in policy.yaml, by a pull request, says who may"
        raise UsageError("policy.yaml lets nobody accept a broken ledger", hint)
    return policy.override


def _owner(policy: Policy, rule: Override, key: SigningKey) -> str:
    """The login that policy.yaml ties to the key."""
    trusted = next((k for k in policy.keys.values() if fingerprint(k.public) == key.keyid), None)
    if trusted is None or "overridden" not in trusted.purposes:
        hint = "`gitml evidence keygen FILE --owner LOGIN --purpose overridden` makes one and says what to add"
        raise UsageError("policy.yaml has no key with this private half that may sign `overridden`", hint)
    if trusted.owner.lower() not in named_people(policy):
        raise FailedError(
            f"{trusted.owner} is not among the people whom policy.yaml names for the role {rule.role}",
            "members of teams do not count here, because agents ask no forge who they are",
        )
    return trusted.owner
