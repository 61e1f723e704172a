"""What became of each model in a run of CI, and the record that its stages give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from gitml.cijobs import facts as cifacts
from gitml.cijobs.context import Push
from gitml.derivation.handover import Fragment, StageRun
from gitml.dvc.lockentries import Entry
from gitml.errors import GitmlError, IntegrityError
from gitml.files import write_file
from gitml.forges.base import Forge, PullRequest
from gitml.pipelines.jobs import StageJob
from gitml.pipelines.keeping import differing
from gitml.registry import Record, find, lineage_digest, read_record
from gitml.registry.record import File
from gitml.registry.store import with_digest
from gitml.reports import facts
from gitml.reports.exchange import parse_holdout
from gitml.training.train import Training, record_of, stages_of

_RECORDS_SEARCHED = 50


@dataclass
class CommitWork:
    """One call of ``gitml ci commit``: what its steps share. ``notes`` end up in the report."""

    about: Training
    push: Push
    forge: Forge | None
    jobs: Mapping[str, StageJob]
    fragments: Mapping[str, Fragment]
    commit: str
    pull: PullRequest | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.about.root

    @property
    def job_of(self) -> dict[str, str]:
        """Stage → name of its job."""
        return {stage: job.name for job in self.jobs.values() for stage in job.stages}


def judge(work: CommitWork, name: str, runs: Mapping[str, StageRun]) -> cifacts.JudgedModel:
    """What became of one model; with all its stages there, its record, found in the tree or made."""
    stages = [s for s in stages_of(work.about.dvc, name, work.about.application.models[name]) if s in work.job_of]
    mine = tuple(runs.get(s) or StageRun(stage=s, how="not reached") for s in stages)
    judged = cifacts.JudgedModel(name, facts.Outcome.FAILED, None, mine, work.job_of)
    bad = next((run for run in mine if run.how == "failed"), None)
    if bad is not None:
        return replace(judged, reason=f"stage {bad.stage} failed: {bad.why}")
    stale = [run.stage for run in mine if run.how == "stale"]
    if stale:
        why = f"no recorded run covers {', '.join(stale)} as they are here"
        return replace(judged, outcome=facts.Outcome.REFUSED, reason=why)
    missing = next((run for run in mine if run.entry is None), None)
    if missing is not None:
        return replace(judged, reason=f"stage {missing.stage} was not reached")
    refused = next((f.unusable[name] for f in work.fragments.values() if name in f.unusable), "")
    if refused:
        told = f"a server would refuse this artifact: {refused}; no environment takes it"
        judged = replace(judged, notes=(*judged.notes, told))
    told = next((f.held[name] for f in work.fragments.values() if name in f.held), "")
    try:
        held = parse_holdout(told, f"held.{name}") if told else None
        return _with_record(work, replace(judged, holdout=held))
    except GitmlError as exc:
        work.notes.append(f"{name}: {exc.message.splitlines()[0]}")
        return replace(judged, reason=exc.message.splitlines()[0])


def _with_record(work: CommitWork, judged: cifacts.JudgedModel) -> cifacts.JudgedModel:
    dvc, model = work.about.dvc, work.about.application.models[judged.name]
    runs = {run.stage: run for run in judged.runs}
    entries: dict[str, Entry] = {}
    for stage in stages_of(dvc, judged.name, model):
        entry = Entry.from_dict(runs[stage].entry or {}) if stage in runs else dvc.entry(stage)
        if entry is None:
            raise IntegrityError(f"stage {stage} has no lock entry")
        entries[stage] = entry
        if stage in runs and dvc.entry(stage) != entry:
            dvc.note(stage, entry)
    _describe(work, judged.name)
    known = with_digest(work.root, judged.name, lineage_digest(judged.name, entries), entries)
    lost = known[1] if known and _is_lost(work, known[1], entries) else None
    if lost is not None:
        told = f"{lost.reference} was trained elsewhere as {lost.version}, and its artifact was never pushed"
        work.notes.append(f"{told}: this training takes its place; train in CI, or `dvc push` before you push")
    if known is not None and lost is None:
        path = known[0].path.relative_to(work.root).as_posix()
        if work.about.git.at("HEAD").entry(path) is None:
            return replace(judged, outcome=facts.Outcome.NEW, record=known[1])
        _stay(work, known[1], entries)
        ran = any(run.how == "ran" for run in judged.runs)
        outcome = facts.Outcome.REPRODUCED if ran else facts.Outcome.SAME
        return replace(judged, outcome=outcome, record=known[1])
    files = _files(work, judged.name, runs, entries)
    python = next((f.python for f in work.fragments.values() if f.python), "")
    record = record_of(work.about, judged.name, entries, files, python)
    return replace(judged, outcome=facts.Outcome.NEW, record=record, replaces=lost.version if lost else "")


def _is_lost(work: CommitWork, record: Record, entries: Mapping[str, Entry]) -> bool:
    """Whether the record is of other bytes that nobody can ever get: of a laptop that did not push them."""
    dvc, recorded = work.about.dvc, record.entries()
    if record.origin != "local" or not differing(recorded, entries, frozenset({record.artifact})):
        return False
    return not all(dvc.stored(stage, entry) for stage, entry in recorded.items())


def _stay(work: CommitWork, record: Record, entries: Mapping[str, Entry]) -> None:
    """Where a stage gave other bytes than the record says, the lock and what lies in Git stay with the record."""
    dvc, recorded = work.about.dvc, record.entries()
    other = differing(recorded, entries, frozenset({record.artifact, *record.roles.values()}))
    if not other:
        return
    told = f"{record.model}: training gave other bytes of {', '.join(other)} than {record.reference} was recorded with"
    work.notes.append(f"{told}, which stands")
    for stage, entry in recorded.items():
        if dvc.entry(stage) == entry:
            continue
        dvc.note(stage, entry)
        if not dvc.stored(stage, entry):
            work.notes.append(
                f"what stage {stage} gave then is on no remote: whoever still has it should `dvc push` it"
            )
        for path in (path for path, cached in dvc.is_cached(stage).items() if not cached):
            raw = work.about.git.read_file("HEAD", path)
            if raw is not None:
                write_file(work.root / path, raw)


def _describe(work: CommitWork, name: str) -> None:
    """Have the files that describe the model here: those in Git were handed over, the others are fetched."""
    dvc, model = work.about.dvc, work.about.application.models[name]
    producers = dvc.producers()
    wanted = [path for role, path in model.outputs.items() if role not in ("artifact", "samples")]
    for stage in dict.fromkeys(producers[path] for path in wanted):
        cached = dvc.is_cached(stage)
        if any(cached[path] for path in wanted if producers[path] == stage) and not dvc.restore(stage):
            work.notes.append(f"{name}: the outputs of stage {stage} are not on the remote, so charts may be missing")
        dvc.keep(stage)


def _files(work: CommitWork, name: str, runs: Mapping[str, StageRun], entries: Mapping[str, Entry]) -> dict[str, File]:
    """What the record says of each output: as handed over; rows of what did not run from the records that know."""
    sources = (run for fragment in work.fragments.values() for run in fragment.stages if run.stage not in work.job_of)
    handed = {path: file for run in (*sources, *runs.values()) for path, file in run.outputs.items()}
    earlier = _known_files(work, name)
    found = {}
    for path in (c.path for entry in entries.values() for c in entry.outs if "://" not in c.path):
        file = handed.get(path)
        if file is None:
            raise IntegrityError(f"no job said what {path} is", "start the run again")
        found[path] = earlier.get((path, file.sha256), file) if file.rows is None else file
    return found


def _known_files(work: CommitWork, name: str) -> dict[tuple[str, str], File]:
    found: dict[tuple[str, str], File] = {}
    for place in reversed(find(work.root, name)[-_RECORDS_SEARCHED:]):
        for path, file in read_record(place).files.items():
            found.setdefault((path, file.sha256), file)
    return found
