"""Whom to believe: evidence counts when a key of policy.yaml, of the right purpose and time, signed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from gitml.evidence.dsse import Envelope, pack, unpack
from gitml.evidence.keys import fingerprint, is_signed
from gitml.evidence.statement import Binding, Statement, parse_payload, read_payload
from gitml.git.ledger import Event, event_name, wrong_name
from gitml.kinds import KINDS
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
    NOT_CANONICAL = "not-canonical"
    MISNAMED = "event-misnamed"
    AFTER_BREAK = "after-break"  # said where the ledger's line is known
    REMOVED_KEY = "removed-key"  # said by audits alone, which know what policy.yaml said before


@dataclass(frozen=True)
class Believed:
    """A statement of the ledger, which counts only if ``why_not`` is empty; otherwise that says why it does not.

    ``signer`` is the key's name in policy.yaml, or empty when no key of it made the signature, ``owner`` who holds it.
    ``statement`` is None when nothing can be read. ``cause`` is the reason in one word. ``event`` is what was judged.
    """

    statement: Statement | None
    signer: str
    why_not: str
    cause: Cause = Cause.NONE
    event: Event = field(default=Event("", b""))
    owner: str = ""

    def __bool__(self) -> bool:
        return not self.why_not

    @property
    def name(self) -> str:
        return self.event.name

    @property
    def binding(self) -> Binding | None:
        return self.statement.binding if self.statement else None

    @property
    def details(self) -> Mapping[str, Any]:
        return self.statement.details if self.statement else {}

    @property
    def kind(self) -> str:
        return self.statement.binding.kind if self.statement else ""

    @property
    def time(self) -> datetime:
        return self.statement.binding.moment if self.statement else datetime.min.replace(tzinfo=UTC)

    @property
    def result(self) -> Literal["passed", "failed", "inconclusive"]:
        return self.statement.binding.result if self.statement else "inconclusive"

    @property
    def model(self) -> str:
        return self.statement.binding.model if self.statement else ""

    @property
    def version(self) -> str:
        return self.statement.binding.version if self.statement else ""

    @property
    def artifact(self) -> str:
        return self.statement.binding.artifact if self.statement else ""

    @property
    def environment(self) -> str:
        return self.statement.binding.environment if self.statement else ""

    @property
    def repository(self) -> str:
        return self.statement.binding.repository if self.statement else ""

    @property
    def new(self) -> str:
        change = self.statement.binding.change if self.statement else None
        return change.new if change else ""

    @property
    def by(self) -> str:
        return self.statement.binding.by if self.statement else ""

    def unless(self, why_not: str, cause: Cause = Cause.NONE) -> Believed:
        """The same where a reader has a reason of its own not to count it; the first reason stays."""
        return self if self.why_not or not why_not else replace(self, why_not=why_not, cause=cause)


def believe(
    envelope: bytes, keys: Mapping[str, TrustedKey], repository: str, now: datetime, host: str = ""
) -> Believed:
    """Judge an envelope by the ``keys`` of policy.yaml on the base branch. Never raises for what is in it.

    ``host`` is the forge's, where it is known.
    """
    event = Event("", envelope)
    try:
        unpacked = unpack(envelope)
        statement = parse_payload(unpacked.payload)
    except ValueError as exc:
        return Believed(None, "", f"cannot be read: {exc}", Cause.UNREADABLE, event)
    return _judged(unpacked, statement, event, keys, repository, now, host)


def believe_event(
    event: Event, keys: Mapping[str, TrustedKey], repository: str, now: datetime, host: str = ""
) -> Believed:
    """The same for an event of the ledger, which must be in its one form, under its one name."""
    found = sealed(event)
    if isinstance(found, Believed):
        return found
    return _judged(*found, event, keys, repository, now, host)


def sealed(event: Event) -> tuple[Envelope, Statement] | Believed:
    """What an event holds if it is in the one form and under the one name of this content; else why it never counts.

    The signature is not looked at, so nothing is believed yet.
    """
    if why := wrong_name(event.name, event.content, event.digest):
        return Believed(None, "", why, Cause.MISNAMED, event)
    if "opened" not in event.known:
        event.known["opened"] = _opened(event.content)
    opened: _Opened | str = event.known["opened"]
    if isinstance(opened, str):
        return Believed(None, "", f"cannot be read: {opened}", Cause.UNREADABLE, event)
    unpacked, statement, canonical = opened
    if not canonical or len(unpacked.signatures) != 1 or not unpacked.signatures[0].keyid:
        return Believed(statement, "", "is not in the one form that the ledger takes", Cause.NOT_CANONICAL, event)
    about = statement.binding
    if event_name(about.time, about.kind, event.content, event.digest) != event.name:
        why = f"holds evidence of the kind {about.kind} of {about.time}, and its name says something else"
        return Believed(statement, "", why, Cause.MISNAMED, event)
    return unpacked, statement


_Opened = tuple[Envelope, Statement, bool]


def _opened(content: bytes) -> _Opened | str:
    """What it holds, and whether that is in the one form; or why it cannot be read."""
    try:
        unpacked = unpack(content)
        statement, canonical = read_payload(unpacked.payload)
        return unpacked, statement, canonical and pack(unpacked) == content
    except ValueError as exc:
        return str(exc)


def _judged(
    envelope: Envelope,
    statement: Statement,
    event: Event,
    keys: Mapping[str, TrustedKey],
    repository: str,
    now: datetime,
    host: str,
) -> Believed:
    signer, (cause, reason) = _signer(envelope, keys)
    if not cause:
        cause, reason = _wrong(statement.binding, keys[signer], repository, now, host)
    owner = keys[signer].owner if signer in keys else ""
    return Believed(statement, signer, reason, cause, event, owner)


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


def _wrong(about: Binding, key: TrustedKey, repository: str, now: datetime, host: str) -> _Why:
    """Why the statement, though its signature is good, does not count."""
    if KINDS[about.kind].said_by:
        return Cause.WRONG_PURPOSE, f"is of the kind {about.kind}, which a `{KINDS[about.kind].said_by}` says"
    if about.kind not in key.purposes:
        return Cause.WRONG_PURPOSE, f"is of the kind {about.kind}, which its key may not sign"
    if about.repository.lower() != repository.lower():
        return Cause.OTHER_REPOSITORY, f"is about the repository {about.repository}"
    if host and about.host and about.host != host:
        return Cause.OTHER_REPOSITORY, f"is about a repository of this name on {about.host}"
    moment = about.moment
    if moment > now + LEEWAY:
        return Cause.FUTURE, f"is dated {about.time}, which is in the future"
    if moment < key.since:
        return Cause.EXPIRED_KEY, f"is dated {about.time}, before its key counts"
    if key.until and moment >= key.until:
        return Cause.EXPIRED_KEY, f"is dated {about.time}, after its key expired"
    return _FINE
