"""``gitml diff``: two versions side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gitml.dvc.repository import Dvc
from gitml.git.commands import Git
from gitml.registry import Record
from gitml.registry.difference import DiffLine, changed_lines, lineage_changes
from gitml.stats.comparison import Difference
from gitml.training.compare import metric_differences
from gitml.training.show import show


@dataclass(frozen=True)
class Diff:
    old: Record
    new: Record
    metrics: tuple[Difference, ...]
    params: tuple[DiffLine, ...]
    data: tuple[DiffLine, ...]
    code: tuple[DiffLine, ...]
    stages: tuple[DiffLine, ...]
    packages: tuple[DiffLine, ...]
    signature: tuple[DiffLine, ...]


def diff(root: Path, old: str, new: str) -> Diff:
    """What changed from version ``old`` to version ``new``; both are references."""
    a, b = show(root, old).record, show(root, new).record
    with Dvc(root) as dvc:
        return diff_records(root, Git(root), dvc, a, b)


def diff_records(root: Path, git: Git, dvc: Dvc, a: Record, b: Record) -> Diff:
    """The same for two records at hand, which need not be in the tree."""
    metrics = tuple(metric_differences(root, git, dvc, b, a))
    return Diff(a, b, metrics, packages=changed_lines(_packages(git, a), _packages(git, b)), **lineage_changes(a, b))


def _packages(git: Git, record: Record) -> dict[str, str]:
    """Pinned packages from the lock file as it was then, or its digest where Git no longer has it."""
    packages = record.packages
    if packages is None:
        return {}
    found = {"python": packages.python}
    commit = git.commit_that_added(f"models/{record.model}/versions/{record.version}.json") or record.commit
    raw = git.read_file(commit, packages.path) if commit else None
    if raw is None:
        return {**found, packages.path: packages.sha256[:8]}
    for line in raw.decode(errors="replace").splitlines():
        name, pinned, version = line.partition("==")
        if pinned and not name.lstrip().startswith(("#", "-")):
            found[name.strip()] = version.partition("\\")[0].strip()
    return found
