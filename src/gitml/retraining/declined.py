"""Who said no to a retraining, as signed on the ledger: it silences exactly one cause of one model, for a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from gitml.evidence.statement import Statement
from gitml.retraining.brakes import Declined
from gitml.spec.policy import Policy

KIND = "declined"


def roles_that_decline(policy: Policy) -> Collection[str]:
    """Those whose people may say no: the ones that policy.yaml names, else all."""
    return policy.retraining.decline or tuple(policy.roles)


def declined_of(policy: Policy, statements: Sequence[Statement], at: datetime) -> tuple[Declined, ...]:
    """Of believed statements about one model; the newest about a cause counts, so that a no can be taken back."""
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
            yield Declined(cause, about.by, reason, about.moment, end)
