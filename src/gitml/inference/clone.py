"""The versions of a clone on this machine: files in the work tree, in DVC's cache, in Git, or on the DVC remotes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gitml import clock
from gitml.control.ledger import Here
from gitml.control.replaced import replaced_here
from gitml.dvc.manifest import Fingerprint, fingerprint
from gitml.errors import GitmlError, OutsideError
from gitml.git.commands import Git
from gitml.git.tree import Tree, WorkTree
from gitml.registry import Record, pinned, record_path
from gitml.registry.erasures import ERASURES
from gitml.registry.files import Files, Remotes
from gitml.registry.load import Loader
from gitml.registry.replacements import ReplacedFile, role_of, with_replaced
from gitml.spec.application import Model
from gitml.spec.deployment import Pin


@dataclass(frozen=True)
class CloneShelf:
    """The versions whose records lie in the work tree at ``root``."""

    root: Path

    def record(self, model: str, pin: Pin) -> Record:
        """As ``gitml.registry.pinned``."""
        return pinned(WorkTree(self.root), model, pin)

    def files(self, record: Record, names: Sequence[str]) -> dict[str, Path]:
        """Where they lie already, else fetched. Of rows and counts of which an erasure took some, those that are left.

        Raises IntegrityError, OutsideError.
        """
        # A request says so in the tree: without one the ledger need not be read.
        if (self.root / ERASURES).is_dir() and any(role_of(record, name) for name in names):
            return self._brought(with_replaced(record, self._replaced()), names)
        try:
            return self._brought(record, names)
        except OutsideError:
            now = with_replaced(record, self._replaced())
            if now == record:
                raise
            return self._brought(now, names)

    def _replaced(self) -> tuple[ReplacedFile, ...]:
        try:
            return replaced_here(Here(self.root, os.environ), clock.now())
        except GitmlError:
            return ()

    def _brought(self, record: Record, names: Sequence[str]) -> dict[str, Path]:
        files = Files(self.root / ".dvc" / "tmp" / "gitml" / "artifacts", self._trees, self._remotes)
        here = {name: self.root / name for name in names if _holds(self.root / name, record, name)}
        missing = [name for name in names if name not in here and not files.has(record.files[name], name)]
        if missing:
            here |= self._in_the_cache(record, missing)
        return {**here, **files.bring(record, [name for name in names if name not in here])}

    def _in_the_cache(self, record: Record, names: Sequence[str]) -> dict[str, Path]:
        """Used where DVC keeps them: a large model is not copied."""
        contents = {name: content for name, content in record.contents().items() if name in names}
        if not contents:
            return {}
        from gitml.dvc.repository import Dvc

        with Dvc(self.root) as dvc:
            places = {name: dvc.object_path(content) for name, content in contents.items()}
        return {name: place for name, place in places.items() if place and _holds(place, record, name)}

    def _trees(self, record: Record) -> Iterator[Tree]:
        try:
            git = Git(self.root)
        except OutsideError:  # a folder that was copied without its history
            return
        brought = git.commit_that_added(record_path(record.model, record.version))
        if brought:
            yield git.at(brought)

    @contextmanager
    def _remotes(self) -> Iterator[Remotes]:
        from gitml.dvc.remotes import Depot
        from gitml.dvc.repository import Dvc

        with Dvc(self.root) as dvc:
            yield Depot(tuple(dvc.store(name) for name in dvc.remote_names()))


def _holds(place: Path, record: Record, name: str) -> bool:
    """Whether a regular file is there with the recorded bytes."""
    file = record.files[name]
    return not place.is_symlink() and place.is_file() and fingerprint(place) == Fingerprint(file.sha256, file.size)


def loader(root: Path, models: Mapping[str, Model]) -> Loader:
    """Loads versions of the clone at ``root``; ``models``: those of gitml.yaml."""
    return Loader(CloneShelf(root), models)
