"""Which version a new one would replace."""

from __future__ import annotations

from pathlib import Path

from gitml.git.tree import WorkTree
from gitml.registry.record import Record
from gitml.registry.resolve import deployed
from gitml.registry.store import find, read_record
from gitml.spec.root import POLICY


def replaced(root: Path, record: Record) -> tuple[Record, str] | None:
    """The version that ``record`` would replace, and the environment whose champion it is; "" for the one before."""
    records = {f.version: f for f in find(root, record.model)}
    champions = {p.environment: p.version for p in deployed(WorkTree(root), record.model) if p.role == "champion"}
    for environment in reversed(_environments(root)):
        version = champions.get(environment)
        if version in records and version != record.version:
            return read_record(records[version]), environment
    before = [f for name, f in records.items() if name < record.version]
    return (read_record(before[-1]), "") if before else None


def _environments(root: Path) -> list[str]:
    if not (root / POLICY).exists():
        return []
    # All gates come with it.
    from gitml.spec.policy import load_policy

    return list(load_policy(root).environments)
