"""``gitml register``: a model bought or trained elsewhere becomes a version with its origin."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gitml.dvc.lockentries import Content
from gitml.dvc.manifest import Fingerprint, fingerprint
from gitml.dvc.repository import Dvc
from gitml.dvc.safety import refuse_symlinks
from gitml.dvc.scratch import source_of
from gitml.errors import FailedError, IntegrityError, OutsideError, UsageError
from gitml.files import write_file
from gitml.git.commands import Git
from gitml.models.formats import check_format
from gitml.pipelines.lock import training
from gitml.process import captured
from gitml.registry import Record, find, read_record, write_record
from gitml.registry.lineage import external_digest
from gitml.registry.record import File, name_of
from gitml.registry.store import next_time, refuse_file_in_the_way, with_digest
from gitml.spec import load_application
from gitml.spec.application import Model
from gitml.training.compare import Comparison, compare
from gitml.training.delivery import DeliveredFiles, Delivery, refuse_other_answers


class RegisterOutcome(StrEnum):
    NEW = "new version"
    SAME = "registered already"


@dataclass(frozen=True)
class Registered:
    """``changed`` are the files to commit, relative to the root."""

    outcome: RegisterOutcome
    record: Record
    path: Path
    comparison: Comparison | None
    changed: tuple[str, ...] = ()


@dataclass(frozen=True)
class RegisterCall:
    """Who is asked before an artifact that no version keeps is replaced, and who listens meanwhile."""

    may_replace: Callable[[str], bool]
    say: Callable[[str], None]
    wait: bool = True


def register(root: Path, name: str, delivery: Delivery, call: RegisterCall) -> Registered:
    """Raises UsageError and SpecError before anything is changed; IntegrityError when the file is not its format."""
    model = _external(root, name)
    _check_source(delivery.source)
    refuse_file_in_the_way(root, name)
    for place in model.outputs.values():
        refuse_symlinks(root, place, cache=source_of(root).cache)
    _refuse_links(delivery.artifact)
    told = DeliveredFiles.read(model, delivery)
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
        samples = _samples(copy, told)
        goods = (_Goods(model.artifact, copy, found), *([samples] if samples else []))
        if known is not None:
            version, record = known
            _refuse_other_evidence(record, told, samples)
            if version == find(root, name)[-1]:
                _mend(root, dvc, goods)
            return Registered(RegisterOutcome.SAME, record, version.path, None)
        refuse_other_answers(model, told, copy, found, samples.copy if samples else None, call.say)
        for one in goods:
            _ask_before_replacing(root, dvc, name, one, call)
        return _enter(root, git, dvc, _Entering(name, model, delivery, told, goods, digest))


@dataclass(frozen=True)
class _Goods:
    """What DVC keeps: its place in the tree, the copy that was checked, and what that holds."""

    place: str
    copy: Path
    found: Fingerprint


@dataclass(frozen=True)
class _Entering:
    name: str
    model: Model
    delivery: Delivery
    told: DeliveredFiles
    goods: tuple[_Goods, ...]
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


def _samples(copy: Path, told: DeliveredFiles) -> _Goods | None:
    for place, raw in told.samples.items():
        file = copy.with_name("samples")
        write_file(file, raw)
        return _Goods(place, file, fingerprint(file))
    return None


def _refuse_other_evidence(record: Record, told: DeliveredFiles, samples: _Goods | None) -> None:
    recorded = record.files.get(record.roles.get("samples", ""))
    reference = record.files.get(record.roles.get("reference", ""))
    has_other = {
        "other metrics": bool(told.metrics) and told.metrics != dict(record.metrics),
        "another signature": told.signature is not None and told.signature != record.signature,
        "another reference, or none": bool(told.reference)
        and (reference is None or reference.sha256 != _file_of(told.reference).sha256),
        "other samples, or none": samples is not None and (recorded is None or recorded.sha256 != samples.found.sha256),
    }
    for what in (what for what, is_so in has_other.items() if is_so):
        raise FailedError(
            f"{record.reference} has this artifact and source, and {what}",
            "a record is never changed; register again with a --source that says what is new",
        )


def _mend(root: Path, dvc: Dvc, goods: Iterable[_Goods]) -> None:
    """The newest version's files go back to their places when nothing lies there, and into the cache."""
    for one in goods:
        target = root / one.place
        if not target.exists() or fingerprint(target) == one.found:
            _put_in_place(root, dvc, one)


def _ask_before_replacing(root: Path, dvc: Dvc, name: str, new: _Goods, call: RegisterCall) -> None:
    """What lies at its place is kept by a version, or is replaced only by somebody who says so."""
    target = root / new.place
    if not target.exists():
        return
    old = fingerprint(target)
    if old == new.found or any(_keeps(read_record(found), old, dvc) for found in find(root, name)):
        return
    what = "another model" if new.place == load_application(root).models[name].artifact else "other samples"
    if not call.may_replace(f"{new.place} holds {what}, which no version keeps: replace it?"):
        raise UsageError(
            f"{new.place} holds {what} (SHA-256 {old.sha256[:12]}…), which no version keeps",
            "register that one first, or say --yes to replace it",
        )


def _keeps(record: Record, old: Fingerprint, dvc: Dvc) -> bool:
    contents = record.contents()
    places = (path for path, file in record.files.items() if file.sha256 == old.sha256 and path in contents)
    return any(dvc.object_path(contents[path]) for path in places)


def _enter(root: Path, git: Git, dvc: Dvc, entering: _Entering) -> Registered:
    """The record comes last: what is killed before that is done again by the same call."""
    contents = {one.place: _put_in_place(root, dvc, one) for one in entering.goods}
    for place, raw in entering.told.texts.items():
        write_file(root / place, raw)
    record = _record(entering, contents, next_time(root, entering.name))
    path = write_record(root, record)
    beside = (file for one in entering.goods for file in _files_of(root, one.place))
    changed = dict.fromkeys((*beside, *entering.told.texts, path.relative_to(root).as_posix()))
    return Registered(RegisterOutcome.NEW, record, path, compare(root, git, dvc, record), tuple(changed))


def _put_in_place(root: Path, dvc: Dvc, new: _Goods) -> Content:
    target = root / new.place
    if not target.exists() or fingerprint(target) != new.found:
        target.parent.mkdir(parents=True, exist_ok=True)
        _swap(new.copy, target)
    with captured(root / ".dvc" / "tmp" / "gitml" / "logs" / "register.log"):
        content = dvc.add(new.place)
    if fingerprint(target) != new.found:
        raise IntegrityError(f"{new.place} changed while it was registered", "see who writes there, and try again")
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


def _files_of(root: Path, place: str) -> tuple[str, ...]:
    """What DVC writes beside what it keeps, and Git must have."""
    ignore = (Path(place).parent / ".gitignore").as_posix()
    return (f"{place}.dvc", *([ignore] if (root / ignore).is_file() else ()))


def _record(entering: _Entering, contents: Mapping[str, Content], created: str) -> Record:
    model = entering.model
    kept = {
        one.place: File(sha256=one.found.sha256, size=one.found.size, dvc=contents[one.place].digest)
        for one in entering.goods
    }
    beside = {place: _file_of(raw) for place, raw in entering.told.texts.items()}
    files = {**kept, **beside}
    return Record.model_validate(
        {
            "model": entering.name,
            "version": name_of(entering.digest, created),
            "digest": entering.digest,
            "created": created,
            "origin": "external",
            "source": entering.delivery.source,
            "artifact": model.artifact,
            "files": files,
            "metrics": entering.told.metrics,
            "signature": entering.told.signature,
            "roles": {role: place for role, place in model.outputs.items() if role != "artifact" and place in files},
        }
    )


def _file_of(raw: bytes) -> File:
    return File(sha256=hashlib.sha256(raw).hexdigest(), size=len(raw))
