"""What a version changes of the one that runs: its lineage, and what gitml.yaml says that it is for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gitml.control.mainline import SPEC
from gitml.errors import GitmlError
from gitml.gate.version import Shelf
from gitml.gates.facts import Unknown
from gitml.registry.difference import lineage_changes
from gitml.registry.record import Record
from gitml.registry.store import record_path
from gitml.spec import parse_application
from gitml.spec.application import Model

NOT_COMPARED = Unknown("what runs there has no record that it could be compared with")


def changes_since(shelf: Shelf, old: Record, new: Record) -> Mapping[str, tuple[str, ...]] | Unknown:
    """By part of the lineage, and ``use``: the names of what differs."""
    found = {part: tuple(line.name for line in lines) for part, lines in lineage_changes(old, new).items()}
    try:
        raw = shelf.main.original(record_path(old.model, old.version)).read(SPEC)
        then = parse_application(raw or b"").models.get(old.model)
    except GitmlError as exc:
        return Unknown(f"what gitml.yaml said when {old.version} came cannot be read: {exc.message.splitlines()[0]}")
    now = shelf.application.models.get(new.model)
    return {**found, "use": tuple(_use(then, now))}


def _use(then: Model | None, now: Model | None) -> Iterator[str]:
    before, after = _said(then), _said(now)
    yield from (name for name in after if before[name] != after[name])


def _said(model: Model | None) -> dict[str, str]:
    card = model.card if model else None
    return {
        "purpose": (model and model.purpose) or "",
        "tier": (model and model.tier) or "",
        "limits": (card and card.limits) or "",
    }
