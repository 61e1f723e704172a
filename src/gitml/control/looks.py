"""The looks of monitors: read from their branch, added to it, copied into the ledger where something hangs on one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from gitml.control.place import Place
from gitml.control.signing import Signer
from gitml.evidence.looks import Looks, SignedLook, looks_of
from gitml.evidence.reader import EvidenceRules
from gitml.evidence.statement import Statement
from gitml.evidence.trust import Believed
from gitml.git import ledger
from gitml.git.ledger import LOOKS
from gitml.git.ledgerline import NAME, LedgerEntry
from gitml.git.repository import Repository

_NEXT = "Next look: "


def read_looks(root: Path, head: str, rules: EvidenceRules, since: datetime | None = None) -> tuple[Believed, ...]:
    """Every look that was ever added up to ``head`` and signed at ``since`` or later, believed or not, oldest first.

    A branch has many; who needs the last ones reads no others. Raises OutsideError when Git cannot read it.
    """
    repository = Repository(root)
    entries = ledger.remembered(repository, head, LOOKS).entries
    first = f"{since.astimezone(UTC):%Y%m%dT%H%M%SZ}" if since else ""
    found = [entry for entry in entries if _stamp(entry) >= first]
    told = (rules.believe(event) for event in ledger.load(repository, found))
    return tuple(sorted(told, key=lambda one: one.name))


def _stamp(entry: LedgerEntry) -> str:
    named = NAME.fullmatch(entry.name)
    return named["time"] if named else ""


def heard_looks(place: Place, rules: EvidenceRules, since: datetime | None = None) -> Looks:
    """Those that the forge has now, and that count. Raises OutsideError, or IntegrityError when they were rewritten."""
    head = ledger.fetch(place.root, place.remote, LOOKS)
    return looks_of(one for one in read_looks(place.root, head, rules, since) if one) if head else Looks()


def sign_looks(signer: Signer, statements: Sequence[Statement], next_look: datetime, main: str) -> tuple[str, ...]:
    """Add them in one commit; the names of the events. Raises UsageError for a key that policy.yaml does not believe.

    The commit says when the next look is due if main stays as it is, so that a job can end before it installs anything.
    That is a hint: who may push can write another one, and all it changes is when somebody looks.
    """
    hint = f"{_NEXT}{next_look.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}\nMain: {main}\n"
    return signer.sign(statements, branch=LOOKS, message=f"Looks of {len(statements)} windows\n\n{hint}")


def copy_to_ledger(place: Place, looks: Sequence[SignedLook]) -> tuple[str, ...]:
    """The same envelopes under the same names, for looks that a gate used or that caused a pull request.

    Copied again they add nothing. The names of the events.
    """
    events = {look.said.name: look.said.event.content for look in looks}
    if events:
        ledger.append(place.remote, events, near=place.root)
    return tuple(events)
