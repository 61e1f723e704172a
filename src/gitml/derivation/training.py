"""A training commit: the lock, records and outputs that one run handed over, on the commit that it trained."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any

from gitml.derivation.handover import Fragment, StageRun, merged
from gitml.dvc.lockentries import Entry, same_value
from gitml.errors import SpecError
from gitml.git.commands import Git
from gitml.git.filechange import FileChange
from gitml.git.merges import parents
from gitml.git.trailers import values
from gitml.jsontext import plain
from gitml.refs import NAME
from gitml.registry.outputs import parse_metrics, parse_signature
from gitml.registry.record import Record, parse_record
from gitml.spec.dvcfiles import full_name, pipeline_of
from gitml.spec.dvcplaces import DVC_FILE
from gitml.spec.load import parse_application
from gitml.spec.root import APPLICATION
from gitml.spec.yamlfile import Document, parse

KIND = "training"
TRAILER = "Gitml-Trained"
LOCK, SIGNATURE = "dvc.lock", "signature"
_RECORD = re.compile(rf"models/{NAME.pattern}/versions/[^/]+\.json")
_LARGEST = 64_000_000
_LOCK_KEYS = {"cmd", "deps", "params", "outs"}


@dataclass(frozen=True)
class HandedOver:
    """What the run at ``commit`` gave: its stages by name, and the outputs that live in Git by path."""

    commit: str
    stages: Mapping[str, StageRun]
    files: Mapping[str, bytes]

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of outputs by path, also of those that an earlier run gave."""
        return {path: file.sha256 for run in self.stages.values() for path, file in run.outputs.items()}


def handed_over(commit: str, fragments: Mapping[str, Fragment]) -> HandedOver:
    """Raises IntegrityError when the jobs are of another commit, or contradict each other."""
    files = {path: raw for fragment in fragments.values() for path, raw in fragment.contents().items()}
    return HandedOver(commit, merged(fragments.values(), commit), files)


def of_records(records: Sequence[Record]) -> HandedOver:
    """The same as records tell it, which evidence ``trained`` vouches for: an output counts by its digest."""
    stages = {
        name: StageRun(stage=name, how="ran", entry=entry, outputs=record.files)
        for record in records
        for name, entry in record.stages.items()
    }
    return HandedOver((records[0].commit or "") if records else "", stages, {})


def records_of(git: Git, changes: Sequence[FileChange]) -> tuple[Record, ...]:
    """The records that come in; those that cannot be read are left out."""
    found = []
    for change in changes:
        if change.is_new and _RECORD.fullmatch(change.path.removeprefix(git.prefix)):
            with suppress(ValueError):
                found.append(parse_record(git.repository.blob(change.new, _LARGEST)))
    return tuple(found)


@dataclass(frozen=True)
class CheckedTraining:
    """``wrong`` are reasons why the commit is more than what was handed over; ``records`` those that it brings."""

    wrong: tuple[str, ...]
    records: tuple[Record, ...] = ()


def trained_at(message: str) -> str:
    """The commit that a bot's commit says it trained, empty where it does not say."""
    return (values(message, TRAILER) or ("",))[-1]


def check(git: Git, commit: str, changes: tuple[FileChange, ...], handed: HandedOver, main: str) -> CheckedTraining:
    """Hold each file that ``commit`` changes against what the run handed over. ``main`` is a commit of main.

    What is neither the lock, a record, an output nor a line of .gitignore for one is not of a training. Records that
    main does not have may go: the bot takes back those of an earlier training of the same branch.
    """
    above = parents(git, commit)
    if above != (handed.commit,):
        return CheckedTraining((f"is not on top of {handed.commit[:12]}, which was trained",))
    work = _Check(git, above[0], handed, main)
    wrong = tuple(why for change in changes for why in work.why_not(change))
    return CheckedTraining(wrong, tuple(work.records))


class _Check:
    def __init__(self, git: Git, parent: str, handed: HandedOver, main: str) -> None:
        self.git, self.parent, self.handed, self.main = git, parent, handed, main
        self.records: list[Record] = []

    def why_not(self, change: FileChange) -> Iterator[str]:
        path = change.path.removeprefix(self.git.prefix)
        if not change.path.startswith(self.git.prefix) or not change.is_plain:
            yield f"changes {change.path}, which no training brings"
        elif change.is_gone:
            if not _RECORD.fullmatch(path) or self.git.at(self.main).entry(path) is not None:
                yield f"deletes {change.path}"
        else:
            raw = self.git.repository.blob(change.new, _LARGEST)
            yield from self._content(path, raw, change)

    def _content(self, path: str, raw: bytes, change: FileChange) -> Iterator[str]:
        if PurePosixPath(path).name == LOCK:
            yield from self._lock(path, raw)
        elif _RECORD.fullmatch(path):
            yield from self._record(path, raw, change)
        elif PurePosixPath(path).name == ".gitignore":
            yield from self._ignored(path, raw)
        elif self.handed.files.get(path) != raw and sha256(raw).hexdigest() != self.handed.digests.get(path):
            yield f"changes {path}, which is not as the run handed it over"

    def _lock(self, path: str, raw: bytes) -> Iterator[str]:
        before, now = _stages(self.git.read_file(self.parent, path) or b"") or {}, _stages(raw)
        folder = posixpath.dirname(path)
        if now is None:
            yield f"{path} cannot be read"
        wdirs = self._wdirs(folder)
        for key, stage in (now or {}).items():
            name = full_name(folder, key)
            run = self.handed.stages.get(name)
            entry = Entry.from_dict(run.entry) if run and run.entry else None
            if stage != before.get(key) and not (entry and _says(stage, entry, wdirs.get(name, folder))):
                yield f"{path} says of stage {key} what the run did not hand over"

    def _wdirs(self, folder: str) -> dict[str, str]:
        """Where the stages of the dvc.yaml in ``folder`` run: the paths in their lock are relative to that."""

        def document(file: str) -> Document:
            return parse(self.git.read_file(self.parent, file) or b"", file, empty=True)

        try:
            pipeline, _ = pipeline_of(document(posixpath.join(folder, DVC_FILE)), lambda file: document(file).data)
        except SpecError:
            return {}
        return {name: stage.wdir for name, stage in pipeline.stages.items()}

    def _record(self, path: str, raw: bytes, change: FileChange) -> Iterator[str]:
        try:
            record = parse_record(raw)
        except ValueError as exc:
            yield f"{path} is no record: {str(exc).splitlines()[0]}"
            return
        self.records.append(record)
        if not change.is_new:
            yield f"edits {path}: records are never edited"
        if (record.origin, record.commit) != ("ci", self.handed.commit):
            yield f"{path} is not of the run at {self.handed.commit[:12]}"
        if record.dirty or not set(record.files) <= set(self.handed.digests):
            yield f"{path} names files that the run did not hand over"
        for name, file in record.files.items():
            in_git = self.handed.files.get(name)
            if in_git is not None and sha256(in_git).hexdigest() != file.sha256:
                yield f"{path} says another {name} than the run handed over"
        yield from self._description(path, record)

    def _description(self, path: str, record: Record) -> Iterator[str]:
        """What the record takes from gitml.yaml, from the packages' lock file, and from outputs that are in Git."""
        tree = self.git.at(self.parent)
        try:
            model = parse_application(tree.read(APPLICATION) or b"").models[record.model]
        except (SpecError, KeyError):
            yield f"{path} is of a model that gitml.yaml does not have"
            return
        roles = {role: place for role, place in model.outputs.items() if role != "artifact"}
        if (record.artifact, dict(record.roles)) != (model.artifact, roles):
            yield f"{path} gives its files other roles than gitml.yaml"
        lock = tree.read(model.packages) if model.packages else None
        packages = (record.packages.path, record.packages.sha256) if record.packages else None
        if packages != ((model.packages, sha256(lock).hexdigest()) if model.packages and lock is not None else None):
            yield f"{path} names other packages than its branch has"
        metrics, signature = (self.handed.files.get(place or "") for place in (model.metrics, model.signature))
        try:
            if metrics is not None and parse_metrics(metrics, model.metrics) != dict(record.metrics):
                yield f"{path} says other metrics than its metrics file"
            if signature is not None and parse_signature(signature, SIGNATURE) != record.signature:
                yield f"{path} says another signature than its signature file"
        except SpecError as exc:
            yield f"{exc.problems[0]}"

    def _ignored(self, path: str, raw: bytes) -> Iterator[str]:
        """DVC adds a line for each output that lies beside the file."""
        folder = PurePosixPath(path).parent
        entries = [Entry.from_dict(r.entry) for r in self.handed.stages.values() if r.entry]
        outs = [PurePosixPath(out.path) for entry in entries for out in entry.outs]
        allowed = {f"/{out.name}" for out in outs if out.parent == folder}
        before = (self.git.read_file(self.parent, path) or b"").decode("utf-8", "replace").split()
        now = raw.decode("utf-8", "replace").split()
        if not set(before) <= set(now) or not set(now) - set(before) <= allowed:
            yield f"changes {path} otherwise than by the outputs that lie there"


def _stages(raw: bytes) -> dict[str, Any] | None:
    """The stages of a dvc.lock, None where it is no such file."""
    try:
        found = parse(raw, LOCK).data if raw else {}
    except SpecError:
        return None
    stages = found.get("stages", {}) if set(found) <= {"schema", "stages"} else None
    return stages if isinstance(stages, dict) else None


def _says(stage: Any, entry: Entry, wdir: str) -> bool:
    """Whether a stage of dvc.lock, whose paths are relative to ``wdir``, says what the entry says; sizes follow from
    digests."""
    if not isinstance(stage, dict) or not set(stage) <= _LOCK_KEYS:
        return False
    cmd = stage.get("cmd", ())
    commands = tuple(cmd) if isinstance(cmd, list) else (cmd,) if cmd else ()
    try:
        params = {_at(file, wdir): values for file, values in stage.get("params", {}).items()}
        same_params = same_value(plain(params), plain(entry.params))
        contents = [sorted(_named(content, wdir) for content in stage.get(part, ())) for part in ("deps", "outs")]
    except (AttributeError, TypeError, KeyError, ValueError, StopIteration):
        return False
    wanted = [sorted((c.path, c.digest) for c in part) for part in (entry.deps, entry.outs)]
    return commands == entry.cmd and same_params and contents == wanted


def _named(content: Mapping[str, Any], wdir: str) -> tuple[str, str]:
    kind = next(k for k in ("md5", "etag", "checksum", "sha256") if k in content) if content else ""
    return _at(str(content["path"]), wdir), f"{kind}:{content[kind]}"


def _at(path: str, wdir: str) -> str:
    return path if "://" in path else posixpath.normpath(posixpath.join(wdir, path))
