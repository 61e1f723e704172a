"""Everything that cards and bills of materials say of a version, with where it stands."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gitml.errors import OutsideError
from gitml.git.commands import Git
from gitml.git.tree import Tree, WorkTree
from gitml.governance.approvals import VersionDecision
from gitml.pipelines.packages import locked
from gitml.refs import parse
from gitml.registry import Deployed, Record, deployed, record_path, resolve
from gitml.reports.importancefacts import ReportedImportance, parse_importance
from gitml.spec import Application, Model, load_application


@dataclass(frozen=True)
class DescribedVersion:
    """``packages`` by name; None where the lock file that the record names is not to be had. ``decisions`` are what the
    ledger has of people; None where it was not read."""

    application: Application
    model: Model
    record: Record
    path: str
    packages: tuple[tuple[str, str], ...] | None
    places: tuple[Deployed, ...]
    importance: ReportedImportance | None = None
    decisions: tuple[VersionDecision, ...] | None = None

    @property
    def data(self) -> tuple[str, ...]:
        """The tables that the version was made of and judged on, by path."""
        own = set(self.record.roles.values())
        return tuple(sorted(n for n, file in self.record.files.items() if file.rows is not None and n not in own))


def described(root: Path, reference: str) -> DescribedVersion:
    """Raises RefError when the reference names no version, SpecError when the record does not hold together."""
    tree, app = WorkTree(root), load_application(root)
    record = resolve(tree, parse(reference), list(app.models))
    places = tuple(p for p in deployed(tree, record.model) if p.version == record.version)
    path = record_path(record.model, record.version)
    importance = _importance(root, record)
    return DescribedVersion(app, app.models[record.model], record, path, _packages(root, record), places, importance)


def _packages(root: Path, record: Record) -> tuple[tuple[str, str], ...] | None:
    if record.packages is None:
        return None
    for tree in _trees(root, record):
        raw = tree.read(record.packages.path)
        if raw is not None and hashlib.sha256(raw).hexdigest() == record.packages.sha256:
            found = locked(raw.decode("utf-8"), record.packages.path, record.packages.python)
            return tuple(sorted((one.name.lower(), _pin(str(one.specifier))) for one in found))
    return None


def _importance(root: Path, record: Record) -> ReportedImportance | None:
    """What it goes by, if the file is to be had as the record names it."""
    file = record.files.get(record.roles.get("importance", ""))
    if file is None:
        return None
    contents = (tree.read(record.roles["importance"]) for tree in _trees(root, record))
    return next((parse_importance(raw) for raw in contents if raw and sha256_of(raw) == file.sha256), None)


def sha256_of(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _pin(specifier: str) -> str:
    return specifier.lstrip("=")


def _trees(root: Path, record: Record) -> Iterator[Tree]:
    """The work tree, and the commit that brought the record: the lock file may have changed since."""
    yield WorkTree(root)
    try:
        git = Git(root)
    except OutsideError:  # a folder that was copied without its history
        return
    brought = git.commit_that_added(record_path(record.model, record.version))
    if brought:
        yield git.at(brought)
