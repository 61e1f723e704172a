"""From a reference to one record."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gitml.errors import RefError
from gitml.refs import DIGEST, VERSION, Reference
from gitml.registry.store import Found, find
from gitml.spec import load_deployment


@dataclass(frozen=True)
class Deployed:
    """Where a version is wanted: ``environment`` and as what (champion, canary, shadow)."""

    environment: str
    role: str
    version: str


def deployed(root: Path, model: str) -> tuple[Deployed, ...]:
    """What the deployment files of the model pin, in the order of their names."""
    places: list[Deployed] = []
    for path in sorted((root / "models" / model).glob("*.yaml")):
        state = load_deployment(path)
        places.append(Deployed(path.stem, "champion", state.champion.version))
        if state.canary:
            places.append(Deployed(path.stem, "canary", state.canary.version))
        places += [Deployed(path.stem, "shadow", s.version) for s in state.shadow]
    return tuple(places)


def resolve(root: Path, reference: Reference, models: Sequence[str]) -> Found:
    """The one record that the reference names. Raises RefError that lists the candidates otherwise."""
    if reference.model not in models:
        near = difflib.get_close_matches(reference.model, models, 1)
        said = f"; did you mean {near[0]}?" if near else ""
        raise RefError(f"there is no model {reference.model}{said}", f"models here: {', '.join(models) or 'none'}")
    records = find(root, reference.model)
    if not records:
        raise RefError(f"{reference.model} has no version yet", f"run `gitml train {reference.model}`")
    if reference.selector == "latest":
        return records[-1]
    if VERSION.fullmatch(reference.selector):
        return _one([f for f in records if f.version == reference.selector], reference, records)
    if DIGEST.fullmatch(reference.selector):
        return _one(_by_digest(records, reference.selector), reference, records)
    return _in_environment(root, reference, records)


def _by_digest(records: Sequence[Found], digits: str) -> list[Found]:
    matching = [f for f in records if f.digest8.startswith(digits[:8])]
    if len(digits) <= 8:
        return matching
    from gitml.registry.store import read_record

    return [f for f in matching if read_record(f).digest.startswith(digits)]


def _in_environment(root: Path, reference: Reference, records: Sequence[Found]) -> Found:
    places = deployed(root, reference.model)
    names = sorted({p.environment for p in places})
    pinned = [p.version for p in places if p.environment == reference.selector and p.role == "champion"]
    if not pinned:
        there = f"it runs in {', '.join(names)}" if names else "it is deployed nowhere"
        raise RefError(f"{reference} names no version: {there}", _candidates(records))
    return _one([f for f in records if f.version == pinned[0]], reference, records)


def _one(matches: Sequence[Found], reference: Reference, records: Sequence[Found]) -> Found:
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise RefError(f"{reference} is ambiguous", _candidates(matches))
    raise RefError(f"{reference} names no version", _candidates(records))


def _candidates(records: Sequence[Found], most: int = 8) -> str:
    newest = list(reversed(records))[:most]
    more = f" and {len(records) - most} older" if len(records) > most else ""
    return "candidates: " + ", ".join(f"{f.digest8} ({f.time[:10]})" for f in newest) + more
