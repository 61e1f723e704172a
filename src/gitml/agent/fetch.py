"""Versions as files: fetched by digest, and held against the record's SHA-256 before anybody opens them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gitml.agent.source import Mirror
from gitml.dvc.lockentries import Content
from gitml.dvc.manifest import Fingerprint, fingerprint
from gitml.dvc.safety import refuse_escape
from gitml.errors import IntegrityError, OutsideError, SpecError
from gitml.files import write_file
from gitml.models.formats import check_format
from gitml.registry.record import File, Record, parse_record
from gitml.spec.application import Application
from gitml.spec.application import format_of as stored_as
from gitml.spec.deployment import Pin
from gitml.spec.load import APPLICATION, parse_application

_Fetch = Callable[[Content, Path], bool]
_OLD = 30 * 86_400.0  # seconds


@dataclass(frozen=True)
class Version:
    """One version: its files lie below ``folder`` by their recorded SHA-256; ``format`` is the artifact's."""

    record: Record
    folder: Path
    format: str
    pickle: bool = False

    def path(self, name: str) -> Path:
        """A file of the record, or a folder."""
        return place_of(self.folder, self.record.files[name].sha256, name)

    @property
    def artifact(self) -> Path:
        return self.path(self.record.artifact)

    @property
    def sha256(self) -> str:
        return self.record.files[self.record.artifact].sha256

    @property
    def samples(self) -> Path | None:
        """The sample rows with their predictions, where the record has some."""
        name = self.record.roles.get("samples")
        return self.path(name) if name and name in self.record.files else None


def place_of(cache: Path, sha256: str, name: str) -> Path:
    """Where the cache keeps a file: by its digest, with its suffix, because loaders look at that."""
    return cache / sha256[:2] / sha256 / PurePosixPath(name).name


def record_of(mirror: Mirror, commit: str, model: str, pin: Pin) -> Record:
    """The record that ``pin`` names, as ``commit`` has it. Raises IntegrityError when it says something else."""
    name = f"models/{model}/versions/{pin.version}.json"
    raw = mirror.file(commit, name)
    if raw is None:
        raise IntegrityError(f"{commit[:10]} has no {name}", "the deployment names a version that main does not know")
    try:
        record = parse_record(raw)
    except ValueError as exc:
        raise IntegrityError(f"{name} is no record: {str(exc).splitlines()[0]}") from exc
    if (record.model, record.version) != (model, pin.version):
        raise IntegrityError(f"{name} is the record of {record.model} {record.version}")
    found = record.files[record.artifact].sha256
    if found != pin.digest:
        raise IntegrityError(
            f"{pin.version} is pinned with the artifact {pin.digest[:12]}…, its record says {found[:12]}…"
        )
    return record


def application_at(mirror: Mirror, commit: str) -> Application | None:
    """gitml.yaml, or None where it cannot be read: a broken one stops no server."""
    raw = mirror.file(commit, APPLICATION)
    try:
        return parse_application(raw) if raw is not None else None
    except SpecError:
        return None


def format_of(record: Record, application: Application | None) -> str:
    """How the artifact is stored: what gitml.yaml says, else its suffix. Raises IntegrityError when neither does."""
    known = stored_as(application.models if application else {}, record.model, record.artifact)
    if known is None:
        raise IntegrityError(f"nothing says how {record.artifact} is stored", "say it in gitml.yaml: format: …")
    return known


@dataclass(frozen=True)
class Shelf:
    """Where files come from: the cache, then Git at ``commit``, then the DVC remotes.

    Which remotes there are says ``newest``, main as it is now: they may have moved since ``commit``, and whatever they
    give is held against its digest.
    """

    mirror: Mirror
    commit: str
    cache: Path
    dvc: Path
    newest: str = ""

    def bring(self, record: Record, names: Iterable[str]) -> None:
        """Have the files ``names`` of the record in the cache, each with the SHA-256 that it says.

        Raises IntegrityError for other bytes, OutsideError when a file cannot be had.
        """
        missing = [name for name in dict.fromkeys(names) if not self._is_kept(record.files[name], name)]
        missing = [name for name in missing if not self._from_git(record, name)]
        if missing:
            self._from_remotes(record, missing)

    def _is_kept(self, file: File, name: str) -> bool:
        """Damaged files go, and are fetched again."""
        place = place_of(self.cache, file.sha256, name)
        try:
            if fingerprint(place).sha256 == file.sha256:
                return True
        except (OSError, IntegrityError):
            pass
        if place.parent.exists():
            shutil.rmtree(place.parent)
        return False

    def _from_git(self, record: Record, name: str) -> bool:
        """Small outputs with ``cache: false`` live in Git."""
        refuse_escape(name, f"the record of {record.reference}")
        try:
            raw = self.mirror.file(self.commit, name)
        except OutsideError:
            return False
        file = record.files[name]
        if raw is None or len(raw) != file.size:
            return False
        place = place_of(self.cache, file.sha256, name)
        write_file(place, raw)
        return self._is_kept(file, name)

    def _from_remotes(self, record: Record, names: Iterable[str]) -> None:
        # DVC takes a second to import, and an agent that has everything in its cache never needs it.
        from gitml.dvc.remotes import depot

        contents = record.contents()
        config = _config(self.mirror, self.newest or self.commit)
        with depot(self.dvc, config) as remotes:
            for name in names:
                if name not in contents:
                    raise IntegrityError(f"the record of {record.reference} does not say where {name} is kept")
                self._from_remote(remotes.fetch, contents[name], record.files[name])

    def _from_remote(self, fetch: _Fetch, content: Content, file: File) -> None:
        place = place_of(self.cache, file.sha256, content.path)
        self.cache.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=self.cache, prefix=".new-"))
        try:
            target = scratch / place.name
            if not fetch(content, target):
                raise OutsideError(
                    f"{content.path} ({content.digest}) is on no DVC remote", "was it pushed? `dvc push` sends it there"
                )
            found = fingerprint(target)
            if found != Fingerprint(file.sha256, file.size):
                raise IntegrityError(
                    f"{content.path} from the remote has SHA-256 {found.sha256}, recorded is {file.sha256}",
                    "it is not what was recorded and was not used; look at the remote's history",
                )
            _move(scratch, place.parent)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _move(scratch: Path, folder: Path) -> None:
    """Rename: the digest's folder appears with the whole file in it, or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        shutil.rmtree(folder)
    os.replace(scratch, folder)


def _config(mirror: Mirror, commit: str) -> bytes:
    """.dvc/config of the application's folder, or of one above it."""
    parts = PurePosixPath(mirror.prefix).parts
    for depth in range(len(parts), -1, -1):
        raw = mirror.top_file(commit, "/".join([*parts[:depth], ".dvc", "config"]))
        if raw is not None:
            return raw
    raise OutsideError(f"{commit[:10]} has no .dvc/config, so nothing says where artifacts are", "dvc remote add …")


def fetched(shelf: Shelf, record: Record, application: Application | None, *, pickle: bool) -> Version:
    """The version with its artifact and samples on disk, digest and format checked. Nothing was opened.

    ``pickle``: policy.yaml has an exception for this model.
    """
    kind = format_of(record, application)
    if kind == "pickle" and not pickle:
        raise IntegrityError(
            f"{record.reference} is a pickle, which runs code when it is loaded",
            "store it as skops, safetensors or onnx; policy.yaml can name an exception with an end",
        )
    samples = record.roles.get("samples")
    wanted = [record.artifact, *([samples] if samples in record.files else [])]
    shelf.bring(record, [name for name in wanted if name])
    version = Version(record, shelf.cache, kind, pickle)
    if kind != "ensemble":  # YAML that pins others; the loader looks at it
        check_format(version.artifact, kind, record.artifact)
    return version


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
