"""What a commit of the bot says it follows from: trailers, believed only where the same tree comes out again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gitml.errors import FailedError
from gitml.git.trailers import trailers

KIND, BASE, CAUSE, MOMENT = "Gitml-Derived", "Gitml-Base", "Gitml-Cause", "Gitml-Moment"
SUBJECT = "Gitml-Subject"
_OID = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


@dataclass(frozen=True)
class Claim:
    """``kind`` of derivation, from the commit ``base`` of main and the ledger's events ``causes``.

    ``moment`` is the time that the derivation takes for now, UTC to the second, where it needs one. ``subject`` is what
    it is about, in the words of its kind.
    """

    kind: str
    base: str
    causes: tuple[str, ...] = ()
    moment: str = ""
    subject: str = ""

    def trailers(self) -> tuple[str, ...]:
        more = [f"{key}: {value}" for key, value in ((MOMENT, self.moment), (SUBJECT, self.subject)) if value]
        return (f"{KIND}: {self.kind}", f"{BASE}: {self.base}", *(f"{CAUSE}: {c}" for c in self.causes), *more)

    def __str__(self) -> str:
        causes = f" and {', '.join(self.causes)}" if self.causes else ""
        return f"{self.kind} from {self.base[:12]}{causes}"


def claim_of(message: str) -> Claim | None:
    """None for a commit that claims nothing, or not exactly one kind and base."""
    if KIND.casefold() not in message.casefold():
        return None
    found = trailers(message)
    kinds, bases, moments, subjects = (_values(found, key) for key in (KIND, BASE, MOMENT, SUBJECT))
    single = len(kinds) == len(bases) == 1 and max(len(moments), len(subjects)) <= 1
    if not single or not _OID.fullmatch(bases[0]):
        return None
    return Claim(kinds[0], bases[0], _values(found, CAUSE), (moments or ("",))[0], (subjects or ("",))[0])


def _values(found: Sequence[tuple[str, str]], key: str) -> tuple[str, ...]:
    return tuple(value for name, value in found if name.casefold() == key.casefold())


def moment_of(claim: Claim) -> datetime:
    """The time that the derivation takes for now. Raises FailedError where none is named."""
    try:
        found = datetime.fromisoformat(claim.moment)
    except ValueError:
        raise FailedError("names no moment") from None
    if found.tzinfo is None:
        raise FailedError("names a moment without its time zone")
    return found
