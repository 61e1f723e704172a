"""The versions of main: records as they came in, files from the commit that brought them or from DVC's remotes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gitml.control.mainline import Mainline
from gitml.errors import OutsideError
from gitml.git.tree import Tree
from gitml.registry.files import Files, Remotes
from gitml.registry.record import Record
from gitml.registry.store import pinned, record_path
from gitml.spec.deployment import Pin


@dataclass(frozen=True)
class MainShelf:
    """``remotes``: those of DVC, where the caller has them. Files of up to ``largest`` bytes come into ``cache``."""

    main: Mainline
    remotes: Remotes | None
    cache: Path
    largest: int

    def record(self, model: str, pin: Pin) -> Record:
        """As ``gitml.registry.pinned``, as main first had it."""
        return pinned(self.main.original(record_path(model, pin.version)), model, pin)

    def files(self, record: Record, names: Sequence[str]) -> dict[str, Path]:
        """Raises IntegrityError for other bytes than recorded, OutsideError when a file cannot be had."""
        return Files(self.cache, self._trees, self._open, self.largest).bring(record, names)

    def _trees(self, record: Record) -> Iterator[Tree]:
        yield self.main.original(record_path(record.model, record.version))

    @contextmanager
    def _open(self) -> Iterator[Remotes]:
        if self.remotes is None:
            raise OutsideError("no DVC remote can be read here")
        yield self.remotes
