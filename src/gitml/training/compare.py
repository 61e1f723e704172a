"""A version's metrics against those of the version that it would replace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gitml.dvc.repository import Dvc
from gitml.git.commands import Git
from gitml.registry import Record, record_path, replaced
from gitml.registry.outputs import Replicates, estimates, on_other_rows, replicates_of, unjudged
from gitml.spec import load_application
from gitml.stats.comparison import Difference, differences


@dataclass(frozen=True)
class Comparison:
    """``against`` is the other record and ``why`` says why it is that one. ``other_rows``: it was judged on a hold-out
    that this one does not have, so that neither is called better."""

    against: Record
    why: str
    differences: tuple[Difference, ...]
    other_rows: bool = False


def compare(root: Path, git: Git, dvc: Dvc, record: Record) -> Comparison | None:
    """With the champion of the last environment that has one, else with the newest version before this one."""
    chosen = replaced(root, record)
    if chosen is None:
        return None
    other, environment = chosen
    why = f"champion in {environment}" if environment else "the version before"
    found = tuple(metric_differences(root, git, dvc, record, other))
    model = load_application(root).models.get(record.model)
    paired = any(difference.paired for difference in found)
    return Comparison(other, why, found, on_other_rows(model.holdout if model else None, record, other, paired=paired))


def metric_differences(root: Path, git: Git, dvc: Dvc, new: Record, old: Record) -> list[Difference]:
    """``new - old`` for every metric, paired on the bootstrap replicates where both kept them for the same rows.

    Where gitml.yaml says that they were judged on different rows, none of them is called better."""
    model = load_application(root).models.get(new.model)
    ours, theirs = recorded_replicates(git, dvc, new), recorded_replicates(git, dvc, old)
    paired = ours is not None and theirs is not None and ours.pairs_with(theirs)
    better: Mapping[str, str] = model.better if model else {}
    found = differences(estimates(new, ours), estimates(old, theirs), better=better, paired=paired)
    other = on_other_rows(model.holdout if model else None, new, old, paired=paired)
    return unjudged(found) if other else found


def recorded_replicates(git: Git, dvc: Dvc, record: Record) -> Replicates | None:
    """From the cache, else from the commit that brought the record in: nothing is fetched for it."""

    def places(path: str) -> Iterator[bytes | None]:
        content = record.contents().get(path)
        kept = dvc.object_path(content) if content else None
        yield kept.read_bytes() if kept else None
        brought = git.commit_that_added(record_path(record.model, record.version))
        yield git.read_file(brought, path) if brought else None

    return replicates_of(record, places)
