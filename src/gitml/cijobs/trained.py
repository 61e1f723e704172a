"""Evidence ``trained``: a run of a branch that the forge vouches for gave exactly this version (DESIGN decision 3)."""

from __future__ import annotations

import io
import re
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from gitml.ci.github.layout import FOLDER, file_name
from gitml.cijobs.due import Due
from gitml.cijobs.fragments import Fragment, StageRun, merged
from gitml.cijobs.materials import materials
from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.signing import BelievedEvents, bound
from gitml.dvc.lockentries import Entry
from gitml.errors import GitmlError, IntegrityError
from gitml.evidence.predicates import MATERIALS, WORKFLOW
from gitml.evidence.statement import Statement
from gitml.forges.base import Run
from gitml.gate.judge import Ground
from gitml.gates.facts import Unknown
from gitml.git.commands import Git
from gitml.git.edit import bring
from gitml.git.tree import CommitTree
from gitml.registry.record import Record
from gitml.registry.store import record_path

# Of versions without evidence the newest of each model; older ones were given up, or are reproduced.
MOST = 20
_WAIT, _PAUSE = 90.0, 3.0
_LARGEST = 64_000_000
_OWN = re.compile(r"^\s*- run: pip install '?\.", re.M)


def trained(place: Place, ground: Ground, run: str) -> Iterator[Due]:
    """Versions of main that no believed evidence calls trained, oldest first."""
    if isinstance(ground.heard, Unknown):
        return
    for model in ground.main.models():
        for version in ground.main.versions(model)[-MOST:]:
            yield from _version(place, ground, ground.heard, (model, version), run)


def _version(place: Place, ground: Ground, known: BelievedEvents, name: tuple[str, str], run: str) -> Iterator[Due]:
    model, version = name
    try:
        record = ground.main.original_record(model, version)
    except GitmlError as exc:
        yield Due(f"{model} {version}: {exc.message.splitlines()[0]}")
        return
    about: dict[str, Any] = {"model": model, "version": version, "artifact": record.files[record.artifact].sha256}
    if record.origin == "external" or known.signed("trained", **about):
        return
    try:
        vouching = _Vouching(place, ground, known, record)
        vouched = vouching.vouch()
    except GitmlError as exc:
        yield Due(f"{model} {version}: {exc.message.splitlines()[0]}", problem=exc.exit_code == 4)
        return
    found, jobs = vouched
    binding = bound(place, "trained", run, **about, head=found.commit)
    details = {
        "how": "a run of a branch",
        "run": found.url,
        "attempt": found.attempt,
        "jobs": list(jobs),
        WORKFLOW: vouching.workflow,
        MATERIALS: materials(record),
    }
    yield Due(f"{model} {version}: trained, by {found.url}", (Statement(binding, details),), (found.commit,))


class _NoProofError(GitmlError):
    """Nobody vouches for the training; ``message`` says why."""

    exit_code = 3


@dataclass(frozen=True)
class _Vouching:
    place: Place
    ground: Ground
    known: BelievedEvents
    record: Record

    @property
    def commit(self) -> str:
        return self.record.commit or ""

    @property
    def workflow(self) -> str:
        main = self.ground.main
        return f"{FOLDER}/{file_name(main.application().application, main.git.prefix.rstrip('/'), 'train')}"

    def vouch(self) -> tuple[Run, tuple[str, ...]]:
        """The run and its jobs. Raises _NoProofError, or OutsideError when the forge does not answer."""
        if self.record.origin != "ci" or not self.commit:
            raise _NoProofError("trained outside CI: main's job must reproduce it first")
        if self.ground.policy.trust.branch_runs == "reproduce":
            raise _NoProofError("policy.yaml believes no run of a branch: main's job must reproduce it first")
        bring(self.place.git, self.place.remote, self.commit)
        self._same_workflow()
        run = self._run()
        fragments = self._fragments(run)
        self._same_digests(merged(fragments.values(), self.commit))
        return run, tuple(fragments)

    def _same_workflow(self) -> None:
        """The branch's file, and where gitml comes out of the repository gitml itself, are as main has or had them."""
        git = self.ground.main.git
        brought = self.ground.main.added(record_path(self.record.model, self.record.version))
        trusted = [c for c in (self.ground.main.commit, brought, f"{brought}^" if brought else None) if c]
        text = _at(git, self.commit, self.workflow)
        if text is None or all(_at(git, commit, self.workflow) != text for commit in trusted):
            raise _NoProofError(f"its branch ran another {self.workflow} than main's")
        if _OWN.search(text.decode("utf-8", "replace")) and not any(self._same_gitml(commit) for commit in trusted):
            raise _NoProofError("its branch ran another gitml than main's: main's job must reproduce it first")

    def _same_gitml(self, trusted: str) -> bool:
        git = self.ground.main.git
        return all(_oid(git, self.commit, path) == _oid(git, trusted, path) for path in ("src", "pyproject.toml"))

    def _run(self) -> Run:
        """The newest run of the training of this commit that succeeded; one that goes on is waited for a little."""
        end = time.monotonic() + _WAIT
        while True:
            home = self.place.settings.repository.lower()
            runs = [
                run
                for run in self.place.forge.runs.of_commit(self.commit)
                if run.workflow.partition("@")[0] == self.workflow
                and run.event in ("push", "workflow_dispatch")
                and run.repository.lower() == home
            ]
            good = [run for run in runs if run.is_over and run.conclusion == "success"]
            if good:
                return max(good, key=lambda run: (run.id, run.attempt))
            if all(run.is_over for run in runs) or time.monotonic() > end:
                raise _NoProofError(f"no run of {self.workflow} at {self.commit[:12]} succeeded")
            time.sleep(_PAUSE)

    def _fragments(self, run: Run) -> dict[str, Fragment]:
        found: dict[str, Fragment] = {}
        for artifact in self.place.forge.runs.artifacts(run.id):
            if not artifact.name.startswith("fragment-"):
                continue
            if artifact.is_expired:
                raise _NoProofError("what its run handed over has expired: main's job must reproduce it")
            fragment = _unpacked(artifact.name, self.place.forge.runs.download(artifact.id))
            found[fragment.job] = fragment
        if not found:
            raise _NoProofError("its run handed over nothing")
        return found

    def _same_digests(self, runs: Mapping[str, StageRun]) -> None:
        """Each stage ran there with this entry, or is one of a version that is vouched for already."""
        handed = {path: file.sha256 for run in runs.values() for path, file in run.outputs.items()}
        for stage, entry in self.record.entries().items():
            run = runs.get(stage)
            if run is None or run.entry is None or Entry.from_dict(run.entry) != entry:
                raise _NoProofError(f"its run gave something else for stage {stage} than the record says")
            if run.how != "ran" and not self._vouched(stage, entry):
                raise _NoProofError(f"stage {stage} was not run there but taken over, and nobody vouches for it")
        for path, file in self.record.files.items():
            if handed.get(path, file.sha256) != file.sha256:
                raise _NoProofError(f"its run gave another {path} than the record says")
        if self.record.artifact not in handed:
            raise _NoProofError("its run said nothing of the artifact")

    def _vouched(self, stage: str, entry: Entry) -> bool:
        proven = {
            (s.binding.model, s.binding.version)
            for kind in ("trained", "reproduced")
            for s in self.known.all(kind, result="passed")
        }
        return any(entry == _entry_of(self.ground.main, *name, stage) for name in proven)


def _entry_of(main: Mainline, model: str, version: str, stage: str) -> Entry | None:
    try:
        return main.original_record(model, version).entries().get(stage)
    except GitmlError:
        return None


def _at(git: Git, commit: str, path: str) -> bytes | None:
    """A file by its path from the top, as ``commit`` has it."""
    return CommitTree(git.repository, commit).read(path)


def _oid(git: Git, commit: str, path: str) -> str | None:
    found = git.repository.entry(commit, path)
    return found.id if found else None


def _unpacked(name: str, archive: bytes) -> Fragment:
    """The one file of an artifact. Raises IntegrityError for anything else."""
    wanted = f"{name}.json"
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            names: Sequence[str] = opened.namelist()
            if [n.rpartition("/")[2] for n in names] != [wanted] or opened.getinfo(names[0]).file_size > _LARGEST:
                raise IntegrityError(f"the artifact {name} holds something else than {wanted}")
            fragment = Fragment.model_validate_json(opened.read(names[0]))
    except (zipfile.BadZipFile, ValidationError, OSError, RuntimeError) as exc:
        raise IntegrityError(f"the artifact {name} cannot be read: {str(exc).splitlines()[0]}") from exc
    if fragment.job != name.removeprefix("fragment-") or fragment.status != "successful":
        raise IntegrityError(f"the artifact {name} is of the job {fragment.job}, which says {fragment.status}")
    return fragment
