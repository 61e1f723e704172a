"""Scoring for workers on machines that have no clone: the version's files travel with the work, by digest."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gitml.errors import IntegrityError, RefError
from gitml.inference.scorework import ScoreWork, Scoring
from gitml.registry.load import LoadedVersion, Loader, VersionShelf
from gitml.registry.record import Record
from gitml.spec.deployment import Pin


@dataclass(frozen=True)
class UnpackedShelf:
    """Versions whose files came along, written to ``folder`` as they are asked for.

    ``packed``: contents by the SHA-256 that a record names. They are checked against it when they are loaded.
    """

    records: Sequence[Record]
    packed: Mapping[str, bytes]
    folder: Path

    def record(self, model: str, pin: Pin) -> Record:
        found = next((r for r in self.records if (r.model, r.version) == (model, pin.version)), None)
        if found is None:
            raise RefError(f"{model} {pin.version} did not come along with the work")
        if found.files[found.artifact].sha256 != pin.digest:
            raise IntegrityError(
                f"{model} {pin.version} is pinned with the artifact {pin.digest[:12]}, another one came"
            )
        return found

    def files(self, record: Record, names: Sequence[str]) -> dict[str, Path]:
        places = {}
        for name in names:
            sha256 = record.files[name].sha256
            if sha256 not in self.packed:
                raise IntegrityError(f"{name} of {record.reference} did not come along with the work")
            places[name] = self.folder / f"{sha256}{PurePosixPath(name).suffix}"
            places[name].write_bytes(self.packed[sha256])
        return places


@dataclass(frozen=True)
class PackedScoring:
    """``scoring`` without its clone; see ``UnpackedShelf``."""

    scoring: Scoring
    records: tuple[Record, ...]
    files: Mapping[str, bytes]

    def __call__(self) -> ScoreWork:
        # A worker may be killed at any time, so nothing of it stays on the disk once it is loaded.
        with tempfile.TemporaryDirectory(prefix="gitml-version-") as folder:
            shelf = UnpackedShelf(self.records, self.files, Path(folder))
            return self.scoring.work(Loader(shelf, self.scoring.models).checked(self.scoring.record))


def packed(scoring: Scoring, version: LoadedVersion, shelf: VersionShelf) -> PackedScoring:
    """What ``scoring`` loads as ``version`` from ``shelf``, with the members of an ensemble."""
    records = tuple({r.digest: r for r in (version.record, *version.inner)}.values())
    contents: dict[str, bytes] = {}
    for record in records:
        samples = record.roles.get("samples", "")
        names = [record.artifact, *([samples] if samples in record.files else [])]
        for name, place in shelf.files(record, names).items():
            contents[record.files[name].sha256] = place.read_bytes()
    return PackedScoring(scoring, records, contents)
