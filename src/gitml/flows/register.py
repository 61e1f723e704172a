"""``gitml register``: a model bought or trained elsewhere becomes a version with its origin."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gitml.errors import FailedError, IntegrityError, OutsideError, UsageError
from gitml.flows.compare import Comparison, compare
from gitml.pipelines.lock import training
from gitml.process import captured
from gitml.registry import Metric, Record, find, read_record, write_record
from gitml.registry.lineage import external_digest
from gitml.registry.outputs import parse_metrics, parse_signature
from gitml.registry.record import File, name_of
from gitml.registry.store import next_time, refuse_file_in_the_way, with_digest
from gitml.repo.dvc import Dvc
from gitml.repo.entries import Content
from gitml.repo.files import write_file
from gitml.repo.formats import check_format
from gitml.repo.git import Git
from gitml.repo.manifest import Fingerprint, fingerprint
from gitml.repo.safety import refuse_symlinks
from gitml.repo.scratch import source_of
from gitml.spec import load_application
from gitml.spec.application import Model

_LARGEST_TEXT = 64 * 10**6


class Outcome(StrEnum):
    NEW = "new version"
    SAME = "registered already"


@dataclass(frozen=True)
class Delivery:
    """What came from elsewhere: the model, what describes it, and where it is from (words or an address)."""

    artifact: Path
    source: str
    metrics: Path | None = None
    signature: Path | None = None


@dataclass(frozen=True)
class Registered:
    """``changed`` are the files to commit, relative to the root."""

    outcome: Outcome
    record: Record
    path: Path
    comparison: Comparison | None
    changed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Call:
    """Who is asked before an artifact that no version keeps is replaced, and who listens meanwhile."""

    may_replace: Callable[[str], bool]
    say: Callable[[str], None]
    wait: bool = True


def register(root: Path, name: str, delivery: Delivery, call: Call) -> Registered:
    """Raises UsageError and SpecError before anything is changed; IntegrityError when the file is not its format."""
    model = _external(root, name)
    _check_source(delivery.source)
    refuse_file_in_the_way(root, name)
    for place in (model.artifact, model.metrics, *([model.signature] if model.signature else ())):
        refuse_symlinks(root, place, cache=source_of(root).cache)
    _refuse_links(delivery.artifact)
    told = _Told.read(model, delivery)
    git = Git(root)
    with (
        training(root, wait=call.wait, tell=call.say, doing="registering a model"),
        Dvc(root) as dvc,
        _copied(root, delivery.artifact) as copy,
        _disk_errors(),
    ):
        check_format(copy, model.artifact_format, str(delivery.artifact))
        found = fingerprint(copy)
        digest = external_digest(name, found.sha256, delivery.source)
        known = with_digest(root, name, digest)
        if known is not None:
            place, record = known
            _refuse_other_evidence(record, told)
            if place == find(root, name)[-1]:
                _mend(root, dvc, model, copy, found)
            return Registered(Outcome.SAME, record, place.path, None)
        _ask_before_replacing(root, dvc, name, model, found, call)
        return _enter(root, git, dvc, _Entering(name, model, delivery, told, copy, found, digest))


@dataclass(frozen=True)
class _Told:
    """What the files beside the model say, read and checked before anything else happens."""

    metrics: dict[str, Metric]
    signature: dict[str, object] | None
    texts: dict[str, bytes]

    @classmethod
    def read(cls, model: Model, delivery: Delivery) -> _Told:
        texts: dict[str, bytes] = {}
        metrics: dict[str, Metric] = {}
        signature = None
        if delivery.metrics:
            raw = texts[model.metrics] = _text(delivery.metrics)
            metrics = parse_metrics(raw, str(delivery.metrics))
            if not metrics:
                raise UsageError(f"{delivery.metrics} holds no metric", 'write {"auc": 0.81} or leave out --metrics')
        if delivery.signature:
            if not model.signature:
                raise UsageError(
                    f"gitml.yaml gives the model no place for a signature ({delivery.signature})",
                    "add a line 'signature: artifacts/MODEL/signature.json' to the model",
                )
            raw = texts[model.signature] = _text(delivery.signature)
            signature = parse_signature(raw, str(delivery.signature))
        return cls(metrics, signature, texts)


@dataclass(frozen=True)
class _Entering:
    name: str
    model: Model
    delivery: Delivery
    told: _Told
    copy: Path
    found: Fingerprint
    digest: str


def _external(root: Path, name: str) -> Model:
    models = load_application(root).models
    if name not in models:
        outside = [n for n, m in models.items() if m.origin == "external"]
        raise UsageError(f"there is no model {name}", f"external models here: {', '.join(outside) or 'none'}")
    if models[name].origin != "external":
        raise UsageError(
            f"{name} is made by stages of this repository",
            f"run `gitml train {name}`; for a model from elsewhere write `origin: external` in gitml.yaml",
        )
    return models[name]


def _check_source(source: str) -> None:
    if not source.strip() or not source.isprintable() or len(source) > 2000:
        raise UsageError("--source says nothing", "write the address, contract or person that the model is from")
    if re.search(r"://[^/@\s]*:[^/@\s]+@", source):
        raise UsageError("--source holds a password, for all who read Git", "write the address without it")


def _refuse_links(path: Path) -> None:
    """A link in a delivery would bring in a file of this machine, or dangle on the next."""
    try:
        mode = path.lstat().st_mode
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror}", "--artifact takes a file or a folder") from exc
    inside = (Path(base, n) for base, folders, files in os.walk(path) for n in (*folders, *files))
    for place in (path, *inside) if stat.S_ISDIR(mode) else (path,):
        if place.is_symlink():
            raise UsageError(f"{place} is a symlink to {place.readlink()}", "copy the files themselves: cp -rL FROM TO")


def _text(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST_TEXT:
            raise UsageError(f"{path} is larger than {_LARGEST_TEXT // 10**6} MB", "is it the right file?")
        return path.read_bytes()
    except OSError as exc:
        raise UsageError(f"{path} cannot be read: {exc.strerror}") from exc


@contextmanager
def _copied(root: Path, source: Path) -> Iterator[Path]:
    """A copy that nobody else writes to: what is checked is what is registered."""
    base = root / ".dvc" / "tmp" / "gitml"
    folder = Path(tempfile.mkdtemp(prefix="register-", dir=base))
    target = folder / "artifact"
    try:
        try:
            shutil.copytree(source, target, symlinks=True) if source.is_dir() else shutil.copyfile(source, target)
        except (OSError, shutil.Error) as exc:
            raise OutsideError(f"{source} cannot be copied: {exc}", "nothing was changed") from exc
        _refuse_links(target)
        yield target
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        place = f"{exc.filename}: " if exc.filename else ""
        raise OutsideError(
            f"the model cannot be registered: {place}{exc.strerror}", "there is no version; mend this and try again"
        ) from exc


def _refuse_other_evidence(record: Record, told: _Told) -> None:
    if told.metrics and told.metrics != dict(record.metrics):
        raise FailedError(
            f"{record.reference} has this artifact and source, and other metrics",
            "a record is never changed; register again with a --source that says what is new",
        )
    if told.signature is not None and told.signature != record.signature:
        raise FailedError(
            f"{record.reference} has this artifact and source, and another signature",
            "a record is never changed; register again with a --source that says what is new",
        )


def _mend(root: Path, dvc: Dvc, model: Model, copy: Path, new: Fingerprint) -> None:
    """The newest version's artifact goes back to its place when nothing lies there, and into the cache."""
    target = root / model.artifact
    if not target.exists() or fingerprint(target) == new:
        _put_in_place(root, dvc, model.artifact, copy, new)


def _ask_before_replacing(root: Path, dvc: Dvc, name: str, model: Model, new: Fingerprint, call: Call) -> None:
    """What lies at the model's place is kept by a version, or is replaced only by somebody who says so."""
    target = root / model.artifact
    if not target.exists():
        return
    old = fingerprint(target)
    if old == new:
        return
    for found in find(root, name):
        record = read_record(found)
        content = record.contents().get(record.artifact)
        if record.files[record.artifact].sha256 == old.sha256 and content and dvc.object_path(content):
            return
    question = f"{model.artifact} holds another model, which no version keeps: replace it?"
    if not call.may_replace(question):
        raise UsageError(
            f"{model.artifact} holds another model (SHA-256 {old.sha256[:12]}…), which no version keeps",
            "register that one first, or say --yes to replace it",
        )


def _enter(root: Path, git: Git, dvc: Dvc, entering: _Entering) -> Registered:
    """The record comes last: what is killed before that is done again by the same call."""
    artifact = entering.model.artifact
    content = _put_in_place(root, dvc, artifact, entering.copy, entering.found)
    for place, raw in entering.told.texts.items():
        write_file(root / place, raw)
    record = _record(entering, content, next_time(root, entering.name))
    path = write_record(root, record)
    changed = (*_files_of(root, artifact), *entering.told.texts, path.relative_to(root).as_posix())
    return Registered(Outcome.NEW, record, path, compare(root, git, dvc, record), changed)


def _put_in_place(root: Path, dvc: Dvc, artifact: str, copy: Path, new: Fingerprint) -> Content:
    target = root / artifact
    if not target.exists() or fingerprint(target) != new:
        target.parent.mkdir(parents=True, exist_ok=True)
        _swap(copy, target)
    with captured(root / ".dvc" / "tmp" / "gitml" / "logs" / "register.log"):
        content = dvc.add(artifact)
    if fingerprint(target) != new:
        raise IntegrityError(f"{artifact} changed while it was registered", "see who writes there, and try again")
    return content


def _swap(copy: Path, target: Path) -> None:
    """A folder is not replaced in one step: the old one comes back when the new one cannot take its place."""
    if not target.is_dir() or target.is_symlink():
        os.replace(copy, target)
        return
    old = copy.with_name("replaced")
    os.rename(target, old)
    try:
        os.rename(copy, target)
    except OSError:
        os.rename(old, target)
        raise


def _files_of(root: Path, artifact: str) -> tuple[str, ...]:
    """What DVC writes beside the artifact, and Git must have."""
    ignore = (Path(artifact).parent / ".gitignore").as_posix()
    return (f"{artifact}.dvc", *([ignore] if (root / ignore).is_file() else ()))


def _record(entering: _Entering, content: Content, created: str) -> Record:
    model, found = entering.model, entering.found
    beside = {place: _file_of(raw) for place, raw in entering.told.texts.items()}
    roles = {"metrics": model.metrics, "signature": model.signature}
    return Record.model_validate(
        {
            "model": entering.name,
            "version": name_of(entering.digest, created),
            "digest": entering.digest,
            "created": created,
            "origin": "external",
            "source": entering.delivery.source,
            "artifact": model.artifact,
            "files": {model.artifact: File(sha256=found.sha256, size=found.size, dvc=content.digest), **beside},
            "metrics": entering.told.metrics,
            "signature": entering.told.signature,
            "roles": {role: place for role, place in roles.items() if place in beside},
        }
    )


def _file_of(raw: bytes) -> File:
    return File(sha256=hashlib.sha256(raw).hexdigest(), size=len(raw))
