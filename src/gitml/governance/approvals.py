"""Who approved and reviewed a version, as the ledger has it signed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gitml.evidence.trust import Believed
from gitml.registry import Record

_KINDS = {
    "approved": "approved for",
    "reviewed": "reviewed",
    "overridden": "gates opened in",
    "rolled-back": "went back",
}


@dataclass(frozen=True)
class VersionDecision:
    """What people decided on a version. ``event`` is the ledger's name of it, ``about`` what was decided, in words."""

    about: str
    time: str
    people: tuple[str, ...]
    result: str
    report: str
    event: str


def decisions_of(told: Iterable[Believed], record: Record) -> tuple[VersionDecision, ...]:
    """Of believed statements on exactly this version and artifact, oldest first."""
    artifact = record.files[record.artifact].sha256
    mine = [e for e in told if e and (e.model, e.version, e.artifact) == (record.model, record.version, artifact)]
    return tuple(_decision(event) for event in mine if event.kind in _KINDS)


def _decision(event: Believed) -> VersionDecision:
    details = event.details
    approvers = details.get("approvers")
    people = tuple(map(str, approvers)) if isinstance(approvers, list | tuple) else (event.by,)
    report = details.get("report", details.get("reason", ""))
    about = f"{_KINDS[event.kind]} {event.environment}".strip()
    said = report if isinstance(report, str) else ""
    return VersionDecision(about, f"{event.time:%Y-%m-%d}", people, event.result, said[:2000], event.name)
