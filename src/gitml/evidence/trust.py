"""Whom to believe: evidence counts when a key of policy.yaml, of the right purpose and time, signed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from gitml.evidence.dsse import Envelope, unpack
from gitml.evidence.keys import fingerprint, is_signed
from gitml.evidence.statement import Binding, Statement, parse_payload
from gitml.spec.policy import TrustedKey

# Clocks of machines differ; what is dated later than this from now is refused.
LEEWAY = timedelta(minutes=2)


class Cause(StrEnum):
    """Why a statement does not count."""

    NONE = ""
    UNREADABLE = "unreadable"
    UNKNOWN_KEY = "unknown-key"
    BAD_SIGNATURE = "bad-signature"
    WRONG_PURPOSE = "wrong-purpose"
    OTHER_REPOSITORY = "other-repository"
    FUTURE = "future"
    EXPIRED_KEY = "expired-key"
    REMOVED_KEY = "removed-key"  # said by audits alone, which know what policy.yaml said before


@dataclass(frozen=True)
class Believed:
    """A statement of the ledger, which counts only if ``why_not`` is empty; otherwise that says why it does not.

    ``signer`` is the key's name in policy.yaml, or empty when no key of it made the signature. ``statement`` is None
    when nothing can be read. ``cause`` is the reason in one word. ``name`` is the event's, where its reader gave it.
    """

    statement: Statement | None
    signer: str
    why_not: str
    cause: Cause = Cause.NONE
    name: str = ""

    def __bool__(self) -> bool:
        return not self.why_not

    @property
    def binding(self) -> Binding | None:
        return self.statement.binding if self.statement else None

    @property
    def details(self) -> Mapping[str, Any]:
        return self.statement.details if self.statement else {}

    def unless(self, why_not: str) -> Believed:
        """The same where a reader has a reason of its own not to count it; the first reason stays."""
        return replace(self, why_not=self.why_not or why_not)


def believe(
    envelope: bytes, keys: Mapping[str, TrustedKey], repository: str, now: datetime, name: str = ""
) -> Believed:
    """Judge one envelope by the ``keys`` of policy.yaml on the base branch. Never raises for what is in it."""
    try:
        unpacked = unpack(envelope)
        statement = parse_payload(unpacked.payload)
    except ValueError as exc:
        return Believed(None, "", f"cannot be read: {exc}", Cause.UNREADABLE, name)
    signer, (cause, reason) = _signer(unpacked, keys)
    if not cause:
        cause, reason = _wrong(statement.binding, keys[signer], repository, now)
    return Believed(statement, signer, reason, cause, name)


_Why = tuple[Cause, str]
_FINE: _Why = (Cause.NONE, "")


def _signer(envelope: Envelope, keys: Mapping[str, TrustedKey]) -> tuple[str, _Why]:
    """The name of the key that signed, or why there is none."""
    by_id = {fingerprint(key.public): name for name, key in keys.items()}
    known = [(by_id[s.keyid], s.sig) for s in envelope.signatures if s.keyid in by_id]
    # A signature without a hint may be of any key.
    known += [(name, s.sig) for s in envelope.signatures if not s.keyid for name in keys]
    if not known:
        shown = envelope.signatures[0].keyid[:60]
        return "", (Cause.UNKNOWN_KEY, f"is signed by a key that policy.yaml does not name: {shown}")
    for name, sig in known:
        if is_signed(keys[name].public, sig, envelope.signed):
            return name, _FINE
    return "", (Cause.BAD_SIGNATURE, f"has a signature that is not of the key {known[0][0]}: it was edited, or forged")


def _wrong(about: Binding, key: TrustedKey, repository: str, now: datetime) -> _Why:
    """Why the statement, though its signature is good, does not count."""
    if about.kind not in key.purposes:
        return Cause.WRONG_PURPOSE, f"is of the kind {about.kind}, which its key may not sign"
    if about.repository.lower() != repository.lower():
        return Cause.OTHER_REPOSITORY, f"is about the repository {about.repository}"
    if about.moment > now + LEEWAY:
        return Cause.FUTURE, f"is dated {about.time}, which is in the future"
    if about.moment < key.since:
        return Cause.EXPIRED_KEY, f"is dated {about.time}, before its key counts"
    if key.until and about.moment >= key.until:
        return Cause.EXPIRED_KEY, f"is dated {about.time}, after its key expired"
    return _FINE
