"""Members of an ensemble on this machine: versions of the repository, each found and checked like any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from gitml.errors import IntegrityError, UsageError
from gitml.inference.artifact import artifact_of
from gitml.models.loading import load
from gitml.models.model import Model
from gitml.refs import Reference
from gitml.registry import Record, read_record, resolve
from gitml.spec.application import Model as Declared
from gitml.spec.deployment import Pin
from gitml.spec.ensemble import DEEPEST


def version_loaded(root: Path, models: Mapping[str, Declared], record: Record, depth: int = 0) -> Model:
    """The version, ready to answer; ``depth``: so many ensembles are around it.

    Raises IntegrityError, OutsideError, UsageError.
    """
    if record.signature is None:
        raise UsageError(f"{record.reference} has no signature: what it takes is not known", "name one in gitml.yaml")
    sha256 = record.files[record.artifact].sha256
    form = models[record.model].artifact_format
    path = artifact_of(root, record)
    return load(path, form, record.signature, sha256=sha256, members=members_at(root, models, depth))


def members_at(root: Path, models: Mapping[str, Declared], depth: int = 0) -> Callable[[str, Pin], Model]:
    """Loads what an ensemble pins from the records at ``root``."""

    def member(name: str, pin: Pin) -> Model:
        if depth >= DEEPEST:
            raise UsageError(f"{name} {pin.version} is inside {DEEPEST + 1} ensembles", "pin its members instead")
        record = read_record(resolve(root, Reference(name, pin.version), list(models)))
        if record.files[record.artifact].sha256 != pin.digest:
            raise IntegrityError(f"the ensemble pins another artifact of {record.reference} than its record names")
        return version_loaded(root, models, record, depth + 1)

    return member
