"""A version's metrics against those of the version that it would replace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gitml.dvc.repository import Dvc
from gitml.git.commands import Git
from gitml.git.tree import WorkTree
from gitml.registry import Record, deployed, find, read_record, record_path
from gitml.registry.outputs import Replicates, estimates, replicates_of
from gitml.spec import load_application
from gitml.spec.root import POLICY
from gitml.stats.comparison import Difference, differences


@dataclass(frozen=True)
class Comparison:
    """``against`` is the other record and ``why`` says why it is that one."""

    against: Record
    why: str
    differences: tuple[Difference, ...]


def compare(root: Path, git: Git, dvc: Dvc, record: Record) -> Comparison | None:
    """With the champion of the last environment that has one, else with the newest version before this one."""
    chosen = _replaced(root, record)
    if chosen is None:
        return None
    other, why = chosen
    return Comparison(other, why, tuple(metric_differences(root, git, dvc, record, other)))


def _replaced(root: Path, record: Record) -> tuple[Record, str] | None:
    records = {f.version: f for f in find(root, record.model)}
    champions = {p.environment: p.version for p in deployed(WorkTree(root), record.model) if p.role == "champion"}
    for environment in reversed(_environments(root)):
        version = champions.get(environment)
        if version in records and version != record.version:
            return read_record(records[version]), f"champion in {environment}"
    before = [f for name, f in records.items() if name < record.version]
    return (read_record(before[-1]), "the version before") if before else None


def _environments(root: Path) -> list[str]:
    if not (root / POLICY).exists():
        return []
    # All gates come with it.
    from gitml.spec.policy import load_policy

    return list(load_policy(root).environments)


def metric_differences(root: Path, git: Git, dvc: Dvc, new: Record, old: Record) -> list[Difference]:
    """``new - old`` for every metric, paired on the bootstrap replicates where both kept them for the same rows."""
    model = load_application(root).models.get(new.model)
    ours, theirs = _replicates(git, dvc, new), _replicates(git, dvc, old)
    paired = ours is not None and theirs is not None and ours.pairs_with(theirs)
    better: Mapping[str, str] = model.better if model else {}
    return differences(estimates(new, ours), estimates(old, theirs), better=better, paired=paired)


def _replicates(git: Git, dvc: Dvc, record: Record) -> Replicates | None:
    """From the cache, else from the commit that brought the record in: nothing is fetched for it."""

    def places(path: str) -> Iterator[bytes | None]:
        content = record.contents().get(path)
        kept = dvc.object_path(content) if content else None
        yield kept.read_bytes() if kept else None
        brought = git.commit_that_added(record_path(record.model, record.version))
        yield git.read_file(brought, path) if brought else None

    return replicates_of(record, places)
