"""What a server's process says, held against what it was told: the only way in which anything of it is believed."""

from __future__ import annotations

from collections.abc import Mapping

from gitml.agent.messages import RefusedAnswer, ServedAnswer, ServeOrder
from gitml.errors import FailedError, GitmlError, InconclusiveError, IntegrityError, OutsideError, UsageError
from gitml.spec.deployment import Pin, parse_deployment

_ERRORS: Mapping[str, type[GitmlError]] = {
    "integrity": IntegrityError,
    "usage": UsageError,
    "failed": FailedError,
    "inconclusive": InconclusiveError,
    "outside": OutsideError,
}


def pins_of(order: ServeOrder) -> tuple[Pin, ...]:
    """The versions that answer requests by it."""
    return parse_deployment(order.deployment.encode(), order.name).pins


def digests_of(order: ServeOrder) -> tuple[str, ...]:
    """Theirs, in order."""
    return tuple(sorted(pin.digest for pin in pins_of(order)))


def keys_of(order: ServeOrder) -> tuple[tuple[str, str, str], ...]:
    """Model, version and variant of what it has answer, as the process counts them."""
    told = parse_deployment(order.deployment.encode(), order.name)
    beside = [("canary", told.canary)] if told.canary else []
    found = [("champion", told.champion), *beside, *(("shadow", pin) for pin in told.shadow)]
    return tuple((order.name, pin.version, variant) for variant, pin in found)


def is_canary(order: ServeOrder, version: str, digest: str) -> bool:
    """Whether the order gives this version a part of the traffic."""
    canary = parse_deployment(order.deployment.encode(), order.name).canary
    return canary is not None and (canary.version, canary.digest) == (version, digest)


def error_of(answer: RefusedAnswer) -> GitmlError:
    """A refusal as the error that it was."""
    return _ERRORS[answer.error](answer.message, answer.hint)


def why_wrong(order: ServeOrder, answer: ServedAnswer) -> str:
    """Why an answer is not one to the order; '' where it is."""
    told = sorted((one.version, one.digest) for one in answer.versions)
    if answer.name != order.name or told != sorted((pin.version, pin.digest) for pin in pins_of(order)):
        return "it says that it serves other versions than it was told"
    sampled = {given.record.version for given in order.versions if given.record.roles.get("samples")}
    if any(one.rows and one.version not in sampled for one in answer.versions):
        return "it compared samples that a version does not have"
    return ""
