"""``gitml ci subjects sign``: what became of erasures is signed, where nobody can find a person.

This job has the key that signs `erased` and neither the keys that ids are hashed with nor the traffic. What the job
before handed over is a stranger's until it fits main: a request that main has, a result that follows from what is said,
and files of rows or counts that a version has, from which some were taken and to which none were added.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gitml.cijobs.erasing import KIND, newest_of
from gitml.cijobs.erasurefile import ErasureFile, HandedErasure, read_erasures
from gitml.cijobs.handover import place_of
from gitml.cijobs.looksigning import from_main
from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.signing import BelievedEvents, Signer, bound, heard
from gitml.dvc.lockentries import Content
from gitml.dvc.repository import Dvc
from gitml.errors import IntegrityError
from gitml.evidence.keys import SigningKey
from gitml.evidence.statement import Statement
from gitml.governance.erasedfiles import MOST_BYTES, may_replace
from gitml.jsontext import plain
from gitml.registry.erasures import erasures
from gitml.registry.record import File
from gitml.registry.replacements import (
    REPLACEABLE,
    ReplacedFile,
    replacements_in,
    replacements_of,
    role_of,
    with_replaced,
)
from gitml.verdict import Phase, Verdict, worst

_PHASES = {"passed": Phase.SUCCESSFUL, "failed": Phase.FAILED, "inconclusive": Phase.INCONCLUSIVE}


@dataclass(frozen=True)
class ErasureSigning:
    """``key`` signs; without one it is only said what would be signed. ``run`` is the address of the CI run."""

    key: SigningKey | None
    run: str = ""


@dataclass(frozen=True)
class SignedErasures:
    """``events`` are names of the ledger; ``due`` how many there were to sign. ``phase``: of all requests together, and
    of what could not be looked into."""

    events: tuple[str, ...] = ()
    due: int = 0
    phase: Phase = Phase.SUCCESSFUL


def sign_erasures(place: Place, order: ErasureSigning) -> SignedErasures:
    """Sign what the job before found out, if it says anything new; called twice it signs nothing twice.

    Raises SpecError and IntegrityError for a hand-over that does not fit main, UsageError for a key that policy.yaml
    does not name for it.
    """
    handed = read_erasures(place_of(place.root), order.run)
    if handed is None:
        return SignedErasures()
    newest = place.newest(whole=True)
    main = from_main(place, handed.commit, newest)
    known = heard(place, newest.policy())
    with Dvc(place.root) as dvc:
        statements = [*_statements(place, order, (main, known, dvc), handed)]
    phases = [_PHASES[one.result] for one in handed.requests] + [Phase.INCONCLUSIVE for _ in handed.problems]
    phase = worst(Verdict(one, "") for one in phases) if phases else Phase.SUCCESSFUL
    if order.key is None or not statements:
        return SignedErasures((), len(statements), phase)
    return SignedErasures(Signer(place, newest.policy(), order.key).sign(statements), len(statements), phase)


def _statements(
    place: Place, order: ErasureSigning, known: tuple[Mainline, BelievedEvents, Dvc], handed: ErasureFile
) -> Iterator[Statement]:
    main, events, dvc = known
    there = {one.request for one in erasures(main.tree)}
    replaced = [*replacements_of(s.details for s in reversed(events.all(KIND)))]
    for one in handed.requests:
        if one.details.request not in there:
            raise IntegrityError(f"main has no request {one.details.request}, so nothing became of it")
        before = newest_of(events, one.details.request)
        if before is not None and before.binding.result == "passed":
            continue
        _refuse_odd(one)
        replaced += _new_files(main, replaced, dvc, one)
        details = plain(one.details)
        same = before is not None and {**before.details, "emptied": None} == {**details, "emptied": None}
        if same and not any(one.details.emptied.values()):
            continue
        about = bound(place, KIND, order.run, after=before, head=handed.commit, result=one.result)
        yield Statement(about, details)


def _refuse_odd(one: HandedErasure) -> None:
    if one.result == "passed" and (not one.details.is_settled or any(one.details.emptied.values())):
        raise IntegrityError(f"{one.details.request} is said to be done, and something of it is left")


def _new_files(main: Mainline, signed: Sequence[ReplacedFile], dvc: Dvc, one: HandedErasure) -> Iterator[ReplacedFile]:
    """Each has rows or counts of the file whose place it takes, and nothing else. What is signed already, or told of a
    request before this one, stays. Raises IntegrityError."""
    try:
        told = replacements_in(plain(one.details))
    except ValueError as exc:
        raise IntegrityError(f"{one.details.request}: {exc}") from None
    known = [*signed]
    for replaced in told:
        if replaced in known:
            continue
        record = with_replaced(main.original_record(replaced.model, replaced.version), known)
        path, role = replaced.path, role_of(record, replaced.path)
        if not role or record.files[path].sha256 != replaced.old:
            raise IntegrityError(f"{path} is not what {record.reference} has as {' or '.join(REPLACEABLE)}")
        old = _bytes(dvc, record.contents()[path], record.files[path])
        new = _bytes(dvc, Content(path, replaced.dvc, replaced.size), replaced.file)
        if not may_replace(role, old, new):
            raise IntegrityError(f"what replaces {path} of {record.reference} is not some of what it has")
        known.append(replaced)
        yield replaced


def _bytes(dvc: Dvc, content: Content, file: File) -> bytes:
    """Raises IntegrityError for other bytes, none, or too many: what nobody can compare is not signed."""
    if file.size > MOST_BYTES:
        raise IntegrityError(f"{content.path} has {file.size:,} bytes, more than are compared")
    stores = (dvc.store(), *(dvc.store(name) for name in dvc.remote_names()))
    oid = content.digest.partition(":")[2]
    raw = next((found for store in stores if (found := store.read(oid)) is not None), None)
    if raw is None or (hashlib.sha256(raw).hexdigest(), len(raw)) != (file.sha256, file.size):
        raise IntegrityError(f"{content.path} ({content.digest}) is not to be had as it was recorded")
    return raw
