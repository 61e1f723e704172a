"""``gitml ci run``: the stages of one CI job, in a clone that has no data yet."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from gitml.cijobs.context import Push
from gitml.cijobs.deploying import deploys_only
from gitml.cijobs.fragments import (
    LOG_LINES,
    git_files,
    put_git_files,
    read_fragments,
    write_fragment,
)
from gitml.cijobs.handover import folder_of
from gitml.cijobs.push import is_settled, take_over
from gitml.cijobs.sources import sources_of
from gitml.derivation.handover import Fragment, StageRun, merged
from gitml.dvc.lockentries import Entry
from gitml.dvc.manifest import Fingerprint, verify
from gitml.dvc.repository import Dvc
from gitml.errors import FailedError, GitmlError, OutsideError, UsageError
from gitml.git.commands import Git
from gitml.governance.indexing import ours_alone
from gitml.pipelines.coverage import covered
from gitml.pipelines.environment import stage_environment
from gitml.pipelines.jobs import StageJob, jobs_of
from gitml.pipelines.journal import JournalEntry
from gitml.pipelines.lock import training
from gitml.pipelines.packages import python_version
from gitml.pipelines.ran import How, Ran
from gitml.pipelines.run import RunOptions, bring_up_to_date
from gitml.process import captured
from gitml.registry.record import File
from gitml.reports.exchange import holdout_json
from gitml.spec import load_application, load_pipeline
from gitml.training.standing import is_ci
from gitml.training.train import (
    TrainCall,
    Training,
    file_of,
    options_of,
    record_of,
    refuse_dirty,
    refuse_loose_packages,
    stages_of,
)
from gitml.training.tryout import unusable

Redact = Callable[[str], str]


def cirun(root: Path, name: str, push: Push, call: TrainCall, redact: Redact) -> Fragment:
    """Run the job ``name`` and write its fragment, also when a stage fails.

    On the default branch nothing runs: stages that no recorded run covers are told as stale (DESIGN decision 3). Nor
    does anything where only deployments change.
    """
    application = load_application(root)
    jobs = {job.name: job for job in jobs_of(application, load_pipeline(root))}
    if name not in jobs:
        raise UsageError(f"there is no job {name}", f"jobs here: {', '.join(jobs)}; run `gitml ci render`")
    folder = folder_of(root)
    git = Git(root)
    commit = git.resolve("HEAD") or ""
    if push.commit and push.commit != commit:
        raise UsageError(f"HEAD is {commit[:12]}, the run is about {push.commit[:12]}", "check out the pushed commit")
    with training(root, wait=call.wait, tell=call.say, doing=f"running job {name}"), Dvc(root) as dvc:
        about = Training(root, application, git, dvc, call, "ci" if is_ci() else "local")
        work = _Work(about, jobs[name], redact)
        work.error = "" if deploys_only(git, push) else _attempt(work, push, folder)
        fragment = _fragment(work, commit, push)
    write_fragment(folder, fragment)
    return fragment


@dataclass
class _Work:
    """A job as it goes on. ``found`` are the runs known without running anything, ``done`` what became of stages."""

    about: Training
    job: StageJob
    redact: Redact
    found: dict[str, JournalEntry] = field(default_factory=dict)
    done: dict[str, StageRun] = field(default_factory=dict)
    error: str = ""
    running: str = ""

    @property
    def dvc(self) -> Dvc:
        return self.about.dvc

    @property
    def root(self) -> Path:
        return self.about.root


def _attempt(work: _Work, push: Push, folder: Path) -> str:
    """Run the job's stages; the reason if one failed. What the outside does to us is a reason too: it is reported."""
    try:
        if is_ci():
            refuse_dirty(work.about)
        here = work.about.git.resolve("HEAD") or ""
        take_over(work.about.git, work.about.git.resolve(f"refs/remotes/origin/{push.branch}"), here)
        _refuse_loose(work)
        options = _options(work)
        lineage = work.dvc.lineage(work.job.stages)
        settled = push.on_default or is_settled(work.about.git)
        work.found = covered(work.dvc, lineage, options, _earlier(work, folder, push.run_url), settled=settled)
        if push.on_default:
            _say_stale(work)
            return ""
        _note_lock(work)
        with stage_environment(Path(sys.executable).parent, ours_alone(work.about.application)):
            for stage in work.job.stages:
                if stage not in work.found:
                    _provide(work, stage, options)
        if not push.fork:
            _hand_over(work)
    except GitmlError as exc:
        if work.running:
            work.done[work.running] = _failed(work, exc)
        return work.redact(exc.message.splitlines()[0] if isinstance(exc, FailedError) else exc.message)
    return ""


def _refuse_loose(work: _Work) -> None:
    for name, model in work.about.application.models.items():
        if model.origin == "pipeline":
            mine = [s for s in stages_of(work.dvc, name, model) if s in work.job.stages]
            refuse_loose_packages(work.about, model, mine)


def _options(work: _Work) -> dict[str, RunOptions]:
    """For each stage those of the first model that builds on it, as in ``gitml train``."""
    found: dict[str, RunOptions] = {}
    for name, model in work.about.application.models.items():
        if model.origin == "pipeline":
            options = replace(options_of(work.about, model), watch=_watching(work))
            for stage in stages_of(work.dvc, name, model):
                found.setdefault(stage, options)
    return found


def _watching(work: _Work) -> Callable[[str, Path], AbstractContextManager[None]]:
    @contextmanager
    def watch(stage: str, log: Path) -> Iterator[None]:
        work.running = stage
        with work.about.call.watch(stage, log):
            yield
        work.running = ""

    return watch


def _earlier(work: _Work, folder: Path, here: str) -> dict[str, JournalEntry]:
    """What the jobs before this one gave, as they say themselves: they ran on this commit, in this run."""
    fragments = [f for f in read_fragments(folder).values() if f.job != work.job.name]
    failed = [f.job for f in fragments if f.status == "failed"]
    if failed:
        raise UsageError(f"job {failed[0]} failed, so this one has nothing to run on", "its own log says why")
    runs = merged(fragments, work.about.git.resolve("HEAD") or "", here)
    put_git_files(work.root, work.dvc, fragments)
    return {name: as_run(run) for name, run in runs.items() if run.entry is not None}


def as_run(run: StageRun) -> JournalEntry:
    """A handed-over stage in the words of the run journal."""
    outputs = {path: Fingerprint(file.sha256, file.size) for path, file in run.outputs.items()}
    return JournalEntry(run.stage, Entry.from_dict(run.entry or {}), outputs, run.seconds)


def _say_stale(work: _Work) -> None:
    for stage in work.job.stages:
        if stage not in work.found:
            work.done[stage] = StageRun(stage=stage, how="stale", why="no recorded run covers what main has")


def _note_lock(work: _Work) -> None:
    """Covered stages get their lock entry without their data; only what a stage needs is fetched later."""
    for stage, run in work.found.items():
        if work.dvc.has_command(stage) and work.dvc.entry(stage) != run.entry:
            work.dvc.note(stage, run.entry)


def _provide(work: _Work, stage: str, options: Mapping[str, RunOptions]) -> None:
    """Have the outputs of ``stage`` in the work tree: fetched and checked, or else run after what it needs."""
    if stage in work.done or (stage in work.found and _fetched(work, stage)):
        return
    if stage not in work.job.stages:
        raise OutsideError(
            f"the outputs of stage {stage} are not on the DVC remote, and it is another job's",
            "see whether that job could push; `dvc remote list` says where to",
        )
    for maker in work.dvc.makers(stage):
        _provide(work, maker, options)
    (ran,) = bring_up_to_date(work.dvc, [stage], options[stage])
    work.done[stage] = _stage_run(work, ran)


def _fetched(work: _Work, stage: str) -> bool:
    run = work.found[stage]
    if not work.dvc.restore(stage):
        return False
    verify(work.root, run.outputs)
    work.done.setdefault(stage, _covered_run(run, "restored"))
    return True


def _stage_run(work: _Work, ran: Ran) -> StageRun:
    outputs = {c.path: file_of(work.about, c.path) for c in ran.entry.outs if "://" not in c.path}
    return StageRun.model_validate(
        {
            "stage": ran.stage,
            "how": ran.how.value,
            "seconds": round(ran.seconds, 3),
            "why": ran.why,
            "entry": ran.entry.to_dict(),
            "outputs": outputs,
        }
    )


def _covered_run(run: JournalEntry, how: str) -> StageRun:
    return StageRun.model_validate(
        {
            "stage": run.stage,
            "how": how,
            "entry": run.entry.to_dict(),
            "outputs": {path: File(sha256=found.sha256, size=found.size) for path, found in run.outputs.items()},
        }
    )


def _failed(work: _Work, exc: GitmlError) -> StageRun:
    log = work.root / ".dvc" / "tmp" / "gitml" / "logs" / f"{work.running.replace('/', '_')}.log"
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    tail = "\n".join(text.rstrip().splitlines()[-LOG_LINES:])[-16_000:]
    why = work.redact(exc.message.splitlines()[0].removeprefix(f"stage {work.running} failed: "))
    return StageRun(stage=work.running, how="failed", why=why, log_tail=work.redact(tail))


def _hand_over(work: _Work) -> None:
    """Push what ran, before anybody is told that it did."""
    ran = [name for name, run in work.done.items() if run.how == How.RAN.value and name in work.job.stages]
    if not ran:
        return
    if not work.dvc.remote_names():
        raise UsageError(
            "there is no DVC remote, so what CI trains would be lost",
            "add one: dvc remote add --default NAME URL, and commit .dvc/config",
        )
    with captured(work.root / ".dvc" / "tmp" / "gitml" / "logs" / "push.log"):
        work.dvc.push(ran)


def _fragment(work: _Work, commit: str, push: Push) -> Fragment:
    stages = []
    for name in work.job.stages:
        if name in work.done:
            stages.append(work.done[name])
        elif name in work.found:
            stages.append(_covered_run(work.found[name], "up to date"))
        else:
            stages.append(StageRun(stage=name, how="not reached"))
    stages += (
        []
        if work.error or push.on_default
        else list(sources_of(work.about, work.job.stages, work.found, work.done, _options(work)))
    )
    good = [s.stage for s in stages if s.entry is not None and s.how == "ran"]
    paths = [path for name in good for path, cached in work.dvc.is_cached(name).items() if not cached]
    try:
        files = git_files(work.root, paths)
    except (GitmlError, OSError) as exc:
        work.error = work.error or str(exc)
        files = {}
    refused = {} if work.error else dict(_unusable(work))
    held = {} if work.error or push.on_default else dict(_held(work, push))
    return Fragment(
        job=work.job.name,
        commit=commit,
        run=push.run_url,
        status="failed" if work.error else "successful",
        python=python_version(),
        error=work.error,
        stages=tuple(stages),
        files=files,
        unusable=refused,
        held=held,
    )


def _unusable(work: _Work) -> Iterator[tuple[str, str]]:
    """Models that this job trained and that no server would take, with why."""
    known = {name: run.entry for name, run in work.found.items()}
    known |= {name: Entry.from_dict(run.entry) for name, run in work.done.items() if run.entry}
    for name, model in work.about.application.models.items():
        maker = work.dvc.producers().get(model.artifact) if model.origin == "pipeline" else None
        ran = work.done.get(maker or "")
        if (
            ran is None
            or ran.how != How.RAN.value
            or not all((work.root / p).is_file() for p in model.outputs.values())
        ):
            continue
        entries = {stage: known[stage] for stage in stages_of(work.dvc, name, model) if stage in known}
        files = {path: file for run in work.done.values() for path, file in run.outputs.items()}
        try:
            why = unusable(work.root, work.about.application, record_of(work.about, name, entries, files))
        except (GitmlError, ValueError):
            continue  # what is wrong with its description, the report says
        if why:
            yield name, work.redact(why)


def _held(work: _Work, push: Push) -> Iterator[tuple[str, str]]:
    """How models that were evaluated in this job do on the same rows as the version that runs."""
    # Numbers and formats: not for jobs that train nothing.
    from gitml.cijobs.heldout import held_of

    producers = work.dvc.producers()
    for name, model in work.about.application.models.items():
        judge = producers.get(model.metrics) if model.origin == "pipeline" else None
        if judge not in work.job.stages:
            continue
        runs = {**work.found, **{stage: as_run(run) for stage, run in work.done.items() if run.entry is not None}}
        mine = {stage: runs[stage] for stage in stages_of(work.dvc, name, model) if stage in runs}
        makers = tuple(dict.fromkeys((producers[model.artifact], judge)))

        def bring(stages: tuple[str, ...] = makers) -> bool:
            return all(stage in work.done or stage not in work.found or _fetched(work, stage) for stage in stages)

        try:
            found = held_of(work.about, push, name, mine, bring)
        except (GitmlError, OSError, ValueError) as exc:
            work.about.call.say(f"{name} was not held against the version that runs: {str(exc).splitlines()[0]}")
            continue
        if found is not None:
            yield name, work.redact(holdout_json(found))
