"""``gitml show``: one version with all that its record and the deployments say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gitml.git.tree import WorkTree
from gitml.refs import parse
from gitml.registry import Deployed, Record, deployed, record_path, resolve
from gitml.spec import load_application


@dataclass(frozen=True)
class ShownVersion:
    record: Record
    path: Path
    places: tuple[Deployed, ...]


def show(root: Path, reference: str) -> ShownVersion:
    """Raises RefError when the reference names no version, SpecError when the record does not hold together."""
    tree = WorkTree(root)
    record = resolve(tree, parse(reference), list(load_application(root).models))
    places = tuple(p for p in deployed(tree, record.model) if p.version == record.version)
    return ShownVersion(record, root / record_path(record.model, record.version), places)
