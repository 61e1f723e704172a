"""Where an agent's versions lie: records in its mirror; files in its cache, in Git, and on the DVC remotes of main."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gitml.agent.source import Mirror
from gitml.errors import OutsideError, SpecError
from gitml.git.tree import Tree
from gitml.registry.files import Files, Remotes
from gitml.registry.record import Record
from gitml.registry.replacements import ReplacedFile, with_replaced
from gitml.registry.store import pinned, record_path
from gitml.spec.application import Application
from gitml.spec.deployment import Pin
from gitml.spec.load import parse_application
from gitml.spec.root import APPLICATION
from gitml.traffic.private import EVERY_COLUMN

_OLD = 30 * 86_400.0  # seconds


def application_at(mirror: Mirror, commit: str) -> Application | None:
    """gitml.yaml, or None where it cannot be read: a broken one stops no server."""
    raw = mirror.file(commit, APPLICATION)
    try:
        return parse_application(raw) if raw is not None else None
    except SpecError:
        return None


def private_at(mirror: Mirror, commit: str) -> frozenset[str]:
    """Columns that are not logged, as gitml.yaml says; all where it cannot be read, as it may name any."""
    application = application_at(mirror, commit)
    return frozenset(application.private) if application else frozenset({EVERY_COLUMN})


@dataclass(frozen=True)
class MirrorShelf:
    """The versions of ``commit``; their files are kept in ``cache``.

    Which DVC remotes there are says ``newest``, main as it is now: they may have moved since ``commit``, and whatever
    they give is held against its digest. ``remotes``: those that the machine's operator names instead, by name or URL.
    ``replaced``: files that others take the place of, as signed evidence says.
    """

    mirror: Mirror
    commit: str
    cache: Path
    dvc: Path
    newest: str = ""
    remotes: tuple[str, ...] = ()
    replaced: tuple[ReplacedFile, ...] = ()

    def record(self, model: str, pin: Pin) -> Record:
        """As ``gitml.registry.pinned``, as main first had it: a record that was edited later is no news."""
        found = pinned(self.mirror.original(self.commit, record_path(model, pin.version)), model, pin)
        return with_replaced(found, self.replaced)

    def files(self, record: Record, names: Sequence[str]) -> dict[str, Path]:
        """Fetched where they are missing. Raises IntegrityError, OutsideError."""
        return Files(self.cache, self._trees, self._remotes).bring(record, names)

    def _trees(self, record: Record) -> Iterator[Tree]:
        yield self.mirror.original(self.commit, record_path(record.model, record.version))
        yield self.mirror.at(self.commit)

    @contextmanager
    def _remotes(self) -> Iterator[Remotes]:
        # DVC takes a second to import, and an agent that has everything in its cache never needs it.
        from gitml.dvc.addresses import own_remotes, places_named, places_of
        from gitml.dvc.remotes import depot

        own = own_remotes(self.dvc)
        if self.remotes:
            yield depot(places_named(self.remotes, own))
        else:
            yield depot(places_of(_config(self.mirror, self.newest or self.commit), own))


def _config(mirror: Mirror, commit: str) -> bytes:
    """.dvc/config of the application's folder, or of one above it."""
    parts = PurePosixPath(mirror.prefix).parts
    for depth in range(len(parts), -1, -1):
        raw = mirror.top_file(commit, "/".join([*parts[:depth], ".dvc", "config"]))
        if raw is not None:
            return raw
    raise OutsideError(f"{commit[:10]} has no .dvc/config, so nothing says where artifacts are", "dvc remote add …")


def sweep(cache: Path, needed: Iterable[str], now: float) -> int:
    """Delete what has not been ``needed`` (SHA-256) for 30 days, and what a killed process left; how many went.

    The versions before this one stay that long: a rollback needs no remote.
    """
    kept, gone = set(needed), 0
    for place in cache.glob("*"):
        if place.name.startswith("."):
            shutil.rmtree(place, ignore_errors=True)
            continue
        for folder in place.glob("*"):
            if folder.name in kept:
                os.utime(folder)
            elif now - folder.stat().st_mtime > _OLD:
                shutil.rmtree(folder, ignore_errors=True)
                gone += 1
    return gone
