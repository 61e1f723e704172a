"""A version's artifact on this machine, found by digest: in the work tree, DVC's cache, or its remotes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gitml.dvc.lockentries import Content
from gitml.dvc.manifest import Fingerprint, fingerprint
from gitml.errors import IntegrityError, OutsideError
from gitml.pipelines.journal import KEPT
from gitml.registry import Record

if TYPE_CHECKING:
    from gitml.dvc.repository import Dvc


def artifact_of(root: Path, record: Record) -> Path:
    """The file, whose SHA-256 is the record's. Raises OutsideError when it is to be had nowhere, IntegrityError when
    what is there under its name is something else."""
    file = record.files[record.artifact]
    wanted = Fingerprint(file.sha256, file.size)
    kept = root / KEPT / file.sha256
    for place in (root / record.artifact, kept):
        if place.is_file() and not place.is_symlink() and fingerprint(place) == wanted:
            return place
    return _from_dvc(root, record, wanted, kept)


def _from_dvc(root: Path, record: Record, wanted: Fingerprint, kept: Path) -> Path:
    from gitml.dvc.repository import Dvc

    content = record.contents().get(record.artifact)
    if content is None:
        raise OutsideError(f"{record.reference} does not say how DVC names its artifact", "train or register it again")
    with Dvc(root) as dvc:
        cached = dvc.object_path(content)
        if cached is not None and fingerprint(cached) == wanted:
            return cached
        kept.parent.mkdir(parents=True, exist_ok=True)
        oid = content.digest.partition(":")[2]
        fetched = kept.with_name(f"{kept.name}.part")
        for remote in dvc.remote_names():
            if dvc.store(remote).fetch(oid, fetched):
                return _checked(fetched, kept, wanted, record)
        hint = _way_out(dvc, record, content)
    raise OutsideError(f"the artifact of {record.reference} is neither in DVC's cache nor on a remote", hint)


def _way_out(dvc: Dvc, record: Record, content: Content) -> str:
    """`dvc push` sends what dvc.lock names, which may be another version, or other bytes of this one."""
    stage = dvc.producers().get(record.artifact)
    entry = dvc.entry(stage) if stage else None
    push = f"whoever trained it should run: dvc push {record.artifact}"
    if stage is None or (entry and content in entry.outs):
        return push
    return f"{push}, with the dvc.lock of the commit that brought the record: the one here names another artifact"


def _checked(fetched: Path, kept: Path, wanted: Fingerprint, record: Record) -> Path:
    found = fingerprint(fetched)
    if found != wanted:
        fetched.unlink()
        raise IntegrityError(
            f"the artifact of {record.reference} has SHA-256 {found.sha256}, recorded is {wanted.sha256}",
            "it is not what was recorded: look at the remote's history",
        )
    return fetched.replace(kept)
