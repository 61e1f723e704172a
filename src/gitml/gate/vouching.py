"""A run of a branch that the forge vouches for, and what it handed over (DESIGN decision 3)."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from gitml.ci.table import decides
from gitml.control.mainline import Mainline
from gitml.control.place import Place
from gitml.control.signing import BelievedEvents
from gitml.derivation.handover import Fragment, StageRun, unpacked
from gitml.dvc.lockentries import Entry
from gitml.errors import GitmlError
from gitml.forges.base import Run
from gitml.forges.table import FORGES
from gitml.gate.ground import Ground
from gitml.git.commands import Git
from gitml.git.edit import bring
from gitml.git.tree import CommitTree
from gitml.registry.record import Record

_WAIT, _PAUSE = 90.0, 3.0
_OWN = re.compile(r"^\s*- (?:run: )?pip install '?\.", re.M)


class NoProofError(GitmlError):
    """Nobody vouches for the training; ``message`` says why. ``contradicts``: the run gave something else."""

    exit_code = 3

    def __init__(self, message: str, *, contradicts: bool = False) -> None:
        super().__init__(message)
        self.contradicts = contradicts


@dataclass(frozen=True)
class VouchedRun:
    """``fragments`` are what its jobs handed over, by job."""

    run: Run
    fragments: Mapping[str, Fragment]


@dataclass(frozen=True)
class Vouching:
    """Of the training at ``commit``. ``trusted`` are commits of main whose workflow and gitml it may have run.

    ``wait`` is for how many seconds a run that goes on is waited for.
    """

    place: Place
    ground: Ground
    commit: str
    trusted: tuple[str, ...]
    wait: float = _WAIT

    @property
    def workflow(self) -> str:
        return self._decides[0]

    @property
    def _decides(self) -> tuple[str, ...]:
        main = self.ground.main
        application = main.application()
        return decides(application.ci.system[0], application.application, main.git.prefix.rstrip("/"), "train")

    def vouch(self) -> VouchedRun:
        """Raises NoProofError, or OutsideError when the forge does not answer."""
        if self.ground.policy.trust.branch_runs == "reproduce":
            raise NoProofError("policy.yaml believes no run of a branch: main's job must reproduce it first")
        system = self.ground.main.application().ci.system[0]
        if system not in FORGES:
            raise NoProofError(
                f"no forge vouches for a run of {system}: set `trust: {{branch_runs: reproduce}}` in policy.yaml, and "
                "main's job reproduces it"
            )
        bring(self.place.git, self.place.remote, self.commit)
        self._same_workflow()
        run = self._run()
        return VouchedRun(run, self._fragments(run))

    def _same_workflow(self) -> None:
        """The branch's file, and where gitml comes out of the repository gitml itself, are as main has or had them."""
        git = self.ground.main.git
        text = _at(git, self.commit, self.workflow)
        mine = [_oid(git, self.commit, path) for path in self._decides]
        if text is None or all([_oid(git, commit, path) for path in self._decides] != mine for commit in self.trusted):
            raise NoProofError(f"its branch ran another {self.workflow} than main's")
        if _OWN.search(text.decode("utf-8", "replace")) and not any(map(self._same_gitml, self.trusted)):
            raise NoProofError("its branch ran another gitml than main's: main's job must reproduce it first")

    def _same_gitml(self, trusted: str) -> bool:
        git = self.ground.main.git
        return all(_oid(git, self.commit, path) == _oid(git, trusted, path) for path in ("src", "pyproject.toml"))

    def _run(self) -> Run:
        """The newest run that trained this commit; one that goes on is waited for a little."""
        end = time.monotonic() + self.wait
        while True:
            home = self.place.settings.repository.lower()
            runs = [
                run
                for run in self.place.forge.runs.of_commit(self.commit)
                if run.workflow.partition("@")[0] == self.workflow
                and run.event in ("push", "workflow_dispatch")
                and run.repository.lower() == home
            ]
            good = [run for run in runs if self._is_trained(run)]
            if good:
                return max(good, key=lambda run: (run.id, run.attempt))
            if all(run.is_over for run in runs) or time.monotonic() > end:
                raise NoProofError(f"no run of {self.workflow} at {self.commit[:12]} succeeded")
            time.sleep(_PAUSE)

    def _is_trained(self, run: Run) -> bool:
        """Whether all jobs that train have handed over: then the run is over, or its job `commit` has begun."""
        if run.is_over:
            return run.conclusion == "success"
        jobs = self.place.forge.runs.jobs(run.id)
        return any(job.name == "commit" and job.status in ("in_progress", "completed") for job in jobs)

    def _fragments(self, run: Run) -> dict[str, Fragment]:
        found: dict[str, Fragment] = {}
        for artifact in self.place.forge.runs.artifacts(run.id):
            if not artifact.name.startswith("fragment-"):
                continue
            if artifact.is_expired:
                raise NoProofError("what its run handed over has expired: main's job must reproduce it")
            fragment = unpacked(artifact.name, self.place.forge.runs.download(artifact.id))
            found[fragment.job] = fragment
        if not found:
            raise NoProofError("its run handed over nothing")
        return found


def same_digests(main: Mainline, known: BelievedEvents, record: Record, runs: Mapping[str, StageRun]) -> None:
    """Each stage ran there with this entry, or is one of a version that is vouched for already. Raises NoProofError."""
    handed = {path: file.sha256 for run in runs.values() for path, file in run.outputs.items()}
    for stage, entry in record.entries().items():
        run = runs.get(stage)
        if run is None or run.entry is None or Entry.from_dict(run.entry) != entry:
            raise NoProofError(f"its run gave something else for stage {stage} than the record says", contradicts=True)
        if run.how != "ran" and not _vouched(main, known, stage, entry):
            raise NoProofError(f"stage {stage} was not run there but taken over, and nobody vouches for it")
    for path, file in record.files.items():
        if handed.get(path, file.sha256) != file.sha256:
            raise NoProofError(f"its run gave another {path} than the record says", contradicts=True)
    if record.artifact not in handed:
        raise NoProofError("its run said nothing of the artifact")


def _vouched(main: Mainline, known: BelievedEvents, stage: str, entry: Entry) -> bool:
    proven = {
        (s.binding.model, s.binding.version)
        for kind in ("trained", "reproduced")
        for s in known.all(kind, result="passed")
    }
    return any(entry == _entry_of(main, *name, stage) for name in proven)


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
