"""Who said no to a retraining, as signed on the ledger: it silences exactly one cause of one model, for a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta

from gitml.evidence.statement import Statement
from gitml.evidence.trust import Believed
from gitml.gates.facts import Person
from gitml.policy.people import same
from gitml.retraining.brakes import Declined
from gitml.spec.policy import Policy

KIND = "declined"
LONGEST = timedelta(days=366)


def roles_that_decline(policy: Policy) -> Collection[str]:
    """Those whose people may say no: the ones that policy.yaml names, else all."""
    return policy.retraining.decline or tuple(policy.roles)


def refusals(
    policy: Policy, told: Sequence[Believed], model: str, might: Callable[[str, datetime], bool]
) -> tuple[Statement, ...]:
    """What counts about one model: signed with the key of whom it names, or with the one of CI, which saw a label.

    ``might``: whether a login had the right to say no at a moment. Who had it and lost it since said what still counts;
    who got it later, or never had it, said nothing.
    """
    mine = (b for b in told if b and b.kind == KIND and b.model == model and _speaks_for(policy, b))
    mine = (b for b in mine if might(b.by, b.time))
    return tuple(b.statement for b in mine if b.statement)


def _speaks_for(policy: Policy, proof: Believed) -> bool:
    key = policy.keys.get(proof.signer)
    return key is not None and ("gate" in key.purposes or same(Person(proof.by), Person(proof.owner)))


def declined_of(statements: Sequence[Statement], at: datetime) -> tuple[Declined, ...]:
    """Of `refusals` of one model; the newest about a cause counts, so that a no can be taken back."""
    found: dict[str, Declined] = {}
    for one in sorted(_read(statements), key=lambda one: one.since):
        if one.since <= at:
            found[one.cause] = one
    return tuple(found.values())


def _read(statements: Sequence[Statement]) -> Iterator[Declined]:
    for statement in statements:
        about, details = statement.binding, statement.details
        cause, reason, until = (details.get(key) for key in ("cause", "reason", "until"))
        if not (isinstance(cause, str) and isinstance(reason, str) and isinstance(until, str)) or not about.by:
            continue
        try:
            end = datetime.fromisoformat(until)
        except ValueError:
            continue
        if end.tzinfo:
            # The command refuses longer ones, and a statement need not come from the command.
            yield Declined(cause, about.by, reason, about.moment, min(end, about.moment + LONGEST))
