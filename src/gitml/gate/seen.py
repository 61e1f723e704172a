"""What the monitors saw, for the gates that ask: read where policy.yaml asks for it, copied where a gate used it."""

from __future__ import annotations

from datetime import timedelta

from gitml.control.looks import copy_to_ledger, heard_looks
from gitml.control.place import Place
from gitml.control.signing import BelievedEvents, rules_of
from gitml.errors import GitmlError
from gitml.evidence.looks import SignedLook
from gitml.evidence.trust import Believed
from gitml.gates.facts import MonitorLook, Unknown
from gitml.policy.decision import Decision
from gitml.spec.policy import Policy
from gitml.verdict import Verdict

Seen = tuple[SignedLook, ...] | Unknown
NOBODY_ASKS = Unknown("no gate of policy.yaml asks what the monitors saw")
# One that is too old is to be told from none.
_OLDER = timedelta(days=60)


def seen_or_unknown(place: Place, policy: Policy, heard: BelievedEvents | Unknown) -> Seen:
    """The looks that count, of all monitors, or why there are none. Without a gate that asks nothing is fetched.

    ``heard``: the ledger, where copies of looks lie.
    """
    if policy.looks_within is None:
        return NOBODY_ASKS
    try:
        since = place.clock() - policy.looks_within - _OLDER
        return heard_looks(place, rules_of(place, policy), since, copies(heard)).counting
    except GitmlError as exc:
        return Unknown(f"what the monitors saw cannot be read: {exc.message.splitlines()[0]}")


def copies(heard: BelievedEvents | Unknown) -> tuple[Believed, ...]:
    """What the ledger has."""
    return () if isinstance(heard, Unknown) else heard.believed


def looks_told(seen: Seen) -> tuple[MonitorLook, ...] | Unknown:
    """As gates read them."""
    return seen if isinstance(seen, Unknown) else tuple(_told(look) for look in seen)


def _told(look: SignedLook) -> MonitorLook:
    about = look.said.binding
    said = look.details.look.verdicts
    verdicts: dict[str, Verdict] = {part: Verdict(v.phase, v.reason) for part, v in said.items()}
    model, environment = look.monitor
    return MonitorLook(
        name=look.said.name,
        time=look.said.time,
        repository=about.repository if about else "",
        model=model,
        environment=environment,
        version=look.version,
        artifact=about.artifact if about else "",
        until=look.window[1],
        verdicts=verdicts,
    )


def keep_used(place: Place, seen: Seen, decision: Decision) -> None:
    """Copy the looks that a gate of the decision read into the ledger; copied again they add nothing.

    Raises OutsideError when it cannot be written.
    """
    used = {v.measurements["look"] for v in decision.verdicts.values() if "look" in v.measurements}
    if used and not isinstance(seen, Unknown):
        copy_to_ledger(place, [look.said for look in seen if look.said.name in used])
