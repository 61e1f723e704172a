"""What a signed statement says of a failure: a word of this list and its sentence. Whatever a model, a library or a
server's process had to say stays in the agent's state and log, on this machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from gitml.agent.childprocess import EndedError
from gitml.errors import FailedError, GitmlError, InconclusiveError, IntegrityError, OutsideError


class Failure(StrEnum):
    """Why a version does not answer."""

    INTEGRITY = "integrity"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    OUTSIDE = "outside"
    ENDED = "ended"
    CRASHED = "crashed"
    REFUSED = "refused"


SAID: Mapping[Failure, str] = {
    Failure.INTEGRITY: "a file of it is not what its record or its format says",
    Failure.FAILED: "it could not be loaded, or does not answer its samples as recorded",
    Failure.INCONCLUSIVE: "it was not tried to the end: too much time or memory, or something was missing",
    Failure.OUTSIDE: "something that it needs could not be fetched",
    Failure.ENDED: "the server's process ended while it was brought into service",
    Failure.CRASHED: "the server's process ended while it was being called",
    Failure.REFUSED: "it is not what this server serves",
}
# The first that fits.
_OF: tuple[tuple[type[BaseException], Failure], ...] = (
    (EndedError, Failure.ENDED),
    (IntegrityError, Failure.INTEGRITY),
    (FailedError, Failure.FAILED),
    (InconclusiveError, Failure.INCONCLUSIVE),
    (OutsideError, Failure.OUTSIDE),
    (GitmlError, Failure.REFUSED),
)


def failure_of(exc: BaseException) -> Failure:
    """
    >>> failure_of(ValueError("sign this")), failure_of(OutsideError("no such bucket"))
    (<Failure.FAILED: 'failed'>, <Failure.OUTSIDE: 'outside'>)
    """
    return next((word for kind, word in _OF if isinstance(exc, kind)), Failure.FAILED)
