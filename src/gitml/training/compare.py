"""A version's metrics against those of the version that it would replace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gitml.dvc.repository import Dvc
from gitml.git.commands import Git
from gitml.registry import Record, record_path, replaced
from gitml.registry.outputs import Replicates, estimates, replicates_of
from gitml.spec import load_application
from gitml.stats.comparison import Difference, differences


@dataclass(frozen=True)
class Comparison:
    """``against`` is the other record and ``why`` says why it is that one."""

    against: Record
    why: str
    differences: tuple[Difference, ...]


def compare(root: Path, git: Git, dvc: Dvc, record: Record) -> Comparison | None:
    """With the champion of the last environment that has one, else with the newest version before this one."""
    chosen = replaced(root, record)
    if chosen is None:
        return None
    other, environment = chosen
    why = f"champion in {environment}" if environment else "the version before"
    return Comparison(other, why, tuple(metric_differences(root, git, dvc, record, other)))


def metric_differences(root: Path, git: Git, dvc: Dvc, new: Record, old: Record) -> list[Difference]:
    """``new - old`` for every metric, paired on the bootstrap replicates where both kept them for the same rows."""
    model = load_application(root).models.get(new.model)
    ours, theirs = recorded_replicates(git, dvc, new), recorded_replicates(git, dvc, old)
    paired = ours is not None and theirs is not None and ours.pairs_with(theirs)
    better: Mapping[str, str] = model.better if model else {}
    return differences(estimates(new, ours), estimates(old, theirs), better=better, paired=paired)


def recorded_replicates(git: Git, dvc: Dvc, record: Record) -> Replicates | None:
    """From the cache, else from the commit that brought the record in: nothing is fetched for it."""

    def places(path: str) -> Iterator[bytes | None]:
        content = record.contents().get(path)
        kept = dvc.object_path(content) if content else None
        yield kept.read_bytes() if kept else None
        brought = git.commit_that_added(record_path(record.model, record.version))
        yield git.read_file(brought, path) if brought else None

    return replicates_of(record, places)
