"""``gitml train``: stages brought up to date, a version record, the comparison with what it would replace."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from gitml.dvc.lockentries import Entry
from gitml.dvc.manifest import Fingerprint, fingerprint
from gitml.dvc.repository import Dvc
from gitml.errors import FailedError, Problem, SpecError, UsageError
from gitml.git.commands import Git
from gitml.governance.indexing import index_subjects, ours_alone
from gitml.gpus import driver_of, models_of
from gitml.pipelines import clone
from gitml.pipelines.environment import stage_environment
from gitml.pipelines.fetching import without_data
from gitml.pipelines.journal import JournalEntry, note_of
from gitml.pipelines.keeping import differing, put_back
from gitml.pipelines.lock import training
from gitml.pipelines.packages import check_installed, python_version
from gitml.pipelines.profiles import profile
from gitml.pipelines.ran import How, Ran
from gitml.pipelines.rows import count_rows, missing_shares, shares_of_ones
from gitml.pipelines.run import RunOptions, bring_up_to_date
from gitml.registry import Packages, Record, lineage_digest, write_record
from gitml.registry.outputs import parse_metrics, parse_signature
from gitml.registry.record import File, name_of
from gitml.registry.recorded import recorded_runs
from gitml.registry.store import Found, find, next_time, refuse_file_in_the_way, with_digest
from gitml.spec import Application, load_application, load_pipeline
from gitml.spec.application import Model
from gitml.spec.describing import problems_in
from gitml.spec.root import APPLICATION
from gitml.spec.unportable import kept_outputs, unportable_problems
from gitml.spec.yaml11 import ambiguous_params
from gitml.training.compare import compare
from gitml.training.standing import Beginning, begin, is_ci, remember
from gitml.training.trained import Trained, TrainOutcome
from gitml.training.tryout import unusable

_PARAMS_SAID = 5


@dataclass(frozen=True)
class TrainCall:
    """How ``gitml train`` was called, and who listens meanwhile."""

    watch: Callable[[str, Path], AbstractContextManager[None]]
    tell: Callable[[Ran], None]
    say: Callable[[str], None]
    force: bool = False
    run_cache: bool = True
    wait: bool = True


def train(root: Path, models: Sequence[str], call: TrainCall) -> list[Trained]:
    """Train the named models, or all that have stages. Raises FailedError when a stage fails."""
    application = load_application(root)
    chosen = _choose(application, models)
    git = Git(root)
    in_ci = is_ci()
    clone.refuse_sparse(root)
    with training(root, wait=call.wait, tell=call.say):
        since = begin(root)
        with Dvc(root) as dvc:
            about = Training(root, application, git, dvc, call, "ci" if in_ci else "local")
            if in_ci:
                refuse_dirty(about)
            # Stages are the branch's code: whoever wrote it would learn who is in an index.
            with stage_environment(Path(sys.executable).parent, ours_alone(application)):
                found = [_train_model(about, name) for name in chosen]
            made = [one.record for one in found if one.outcome is TrainOutcome.NEW]
            index_subjects(dvc, application, made, os.environ, call.say)
            if any(ran.how is not How.UP_TO_DATE for ran in about.done.values()):
                dvc.forget_gone()
            elif load_application(root) == application:
                _remember(about, since, found)
            return found


def _remember(run: Training, since: Beginning, found: Sequence[Trained]) -> None:
    """Let the next training know where this one had nothing to do."""
    lazily = any(ran.how is How.NOT_FETCHED for one in found for ran in one.stages)
    if lazily or any(one.put_back for one in found):
        return  # not all that counts was looked at
    models, done = run.application.models, run.done.values()
    places = run.dvc.looked_at(list(run.done))
    records = [record.path for name in models for record in find(run.root, name)]
    ours = [run.root / APPLICATION, *records, *(note_of(run.root, ran.entry) for ran in done)]
    remember(run.root, since, places and (*places, *map(str, ours)), found, _with_stages(run.application))


def refuse_dirty(about: Training) -> None:
    """Raise UsageError when files differ from HEAD that training does not write itself."""
    if about.dirty:
        raise UsageError(
            "the tree is not clean, and a version of CI must come from a commit: " + ", ".join(about.dirty[:5]),
            "commit these files, or ignore them in .gitignore",
        )


@dataclass(frozen=True)
class Training:
    """One training in one clone: what its steps share. ``origin`` is that of the records it writes."""

    root: Path
    application: Application
    git: Git
    dvc: Dvc
    call: TrainCall
    origin: str
    done: dict[str, Ran] = field(default_factory=dict)

    @cached_property
    def said(self) -> int:
        """Say once, before the first command runs, what other clones or the stages may have otherwise; how much."""
        found = ambiguous_params(self.root)[:_PARAMS_SAID]
        with suppress(SpecError):
            pipeline = load_pipeline(self.root)
            found += [*unportable_problems(self.root, pipeline), *kept_outputs(pipeline)]
            found += clone.cautions(self.root, pipeline)
        for problem in found:
            self.call.say(f"{problem}; {problem.hint}")
        return len(found)

    @cached_property
    def dirty(self) -> tuple[str, ...]:
        """Asked before the first command runs; a training that has nothing to do never asks."""
        return tuple(_dirty(self.git, self.dvc))


def _with_stages(application: Application) -> list[str]:
    return [name for name, model in application.models.items() if model.origin == "pipeline"]


def _choose(application: Application, models: Sequence[str]) -> list[str]:
    with_stages = _with_stages(application)
    for name in models:
        if name not in application.models:
            raise UsageError(f"there is no model {name}", f"models here: {', '.join(application.models)}")
        if name not in with_stages:
            raise UsageError(f"{name} is trained elsewhere", "bring a version in with `gitml register`")
    return list(dict.fromkeys(models)) or with_stages


def _dirty(git: Git, dvc: Dvc) -> list[str]:
    """What differs from HEAD, without the files that training itself writes."""
    outs = set(dvc.producers())
    folders = {str(PurePosixPath(out).parent) for out in outs}

    def own(path: str) -> bool:
        place = PurePosixPath(path)
        return (
            place.name == "dvc.lock"
            or place.match("models/*/versions/*.json")
            or bool(outs & {path, *map(str, place.parents)})
            or (place.name == ".gitignore" and str(place.parent) in folders)
        )

    return [path for path in git.changed_files() if not own(path)]


def stages_of(dvc: Dvc, name: str, model: Model) -> tuple[str, ...]:
    """The stages that make the model's outputs, and all that they build on, in order."""
    producers = dvc.producers()
    missing = [(key, path) for key, path in model.outputs.items() if path not in producers]
    if missing:
        raise SpecError(
            [
                Problem("gitml.yaml", 0, f"models.{name}.{key}", f"no stage makes {path}", "see `gitml check`")
                for key, path in missing
            ]
        )
    return dvc.lineage(list(dict.fromkeys(producers[path] for path in model.outputs.values())))


def refuse_loose_packages(run: Training, model: Model, stages: Sequence[str]) -> None:
    """With other packages a stage may give another model: the lineage must see them, through a dependency."""
    locks = {m.packages for m in run.application.models.values() if m.packages}
    below = {str(place) for lock in locks for place in (PurePosixPath(lock), *PurePosixPath(lock).parents)}
    loose = [s for s in stages if run.dvc.has_command(s) and not below & run.dvc.reads(s)] if model.packages else []
    if loose:
        told = f"does not depend on {model.packages}, the packages of the model"
        hint = f"add '- {model.packages}' to its deps"
        raise SpecError([Problem("dvc.yaml", 0, f"stages.{stage}", told, hint) for stage in loose])


def _train_model(run: Training, name: str) -> Trained:
    model = run.application.models[name]
    refuse_file_in_the_way(run.root, name)
    stages = stages_of(run.dvc, name, model)
    refuse_loose_packages(run, model, stages)
    options = options_of(run, model)
    own = {run.dvc.producers()[path] for path in model.outputs.values()}
    done = without_data(run.dvc, stages, own, options)
    if done is None or _known(run, name, done) is None:
        done = bring_up_to_date(run.dvc, stages, options, run.done)
    run.done.update({ran.stage: ran for ran in done if ran.how is not How.NOT_FETCHED})
    entries = {ran.stage: ran.entry for ran in done}
    known = _known(run, name, done)
    if known is None:
        record = record_of(run, name, entries, _files(run, entries))
        path = write_record(run.root, record)
        comparison = compare(run.root, run.git, run.dvc, record)
        why = unusable(run.root, run.application, record)
        return Trained(name, TrainOutcome.NEW, record, path, done, comparison, unusable=why)
    found, record = known
    if all(ran.how is not How.RAN for ran in done):
        return Trained(
            name, TrainOutcome.SAME, record, found.path, done, None, put_back=_put_back(run, record, entries)
        )
    comparison = compare(run.root, run.git, run.dvc, record)
    metrics = parse_metrics((run.root / model.metrics).read_bytes(), model.metrics)
    same = metrics == dict(record.metrics)
    back = _put_back(run, record, entries)
    return Trained(name, TrainOutcome.REPRODUCED, record, found.path, done, comparison, same, back)


def _known(run: Training, name: str, done: Sequence[Ran]) -> tuple[Found, Record] | None:
    entries = {ran.stage: ran.entry for ran in done}
    return with_digest(run.root, name, lineage_digest(name, entries), entries)


def _put_back(run: Training, record: Record, entries: Mapping[str, Entry]) -> tuple[str, ...]:
    """The outputs that were other bytes than the record's. Raises FailedError when the recorded ones are lost."""
    recorded = record.entries()
    other = differing(recorded, entries, frozenset({record.artifact, *record.roles.values()}))
    if not other:
        return ()
    outputs = {path: Fingerprint(file.sha256, file.size) for path, file in record.files.items()}
    lost = put_back(run.dvc, recorded, entries, outputs)
    if lost:
        raise FailedError(
            f"training gave other bytes of {', '.join(other)} than {record.reference} was recorded with, and the "
            f"recorded ones are lost: {', '.join(lost)} is neither here, nor in DVC's cache, nor on a remote",
            "dvc.lock names the recorded ones again: whoever still has them should run `dvc push`. If nobody has, "
            f"remove models/{record.model}/versions/{record.version}.json and run `gitml train`: what it gives "
            "becomes a version of its own",
        )
    return other


def options_of(run: Training, model: Model) -> RunOptions:
    """How to bring the stages of ``model`` up to date: what this clone ran and its records say is believed."""
    models = list(run.application.models)

    def believed(entry: Entry) -> Mapping[str, Fingerprint] | None:
        runs = recorded_runs(run.root, models, entry.cmd)
        return next((outputs for other, outputs in runs if other.digest() == entry.digest()), None)

    def covering(inputs: Entry) -> Iterable[JournalEntry]:
        for other, outputs in recorded_runs(run.root, models, inputs.cmd):
            if other.inputs_digest() == inputs.inputs_digest():
                yield JournalEntry("", other, outputs, 0.0)

    def ready() -> None:
        run.dvc.check_graph()
        _ = run.said
        _ = run.dirty
        if model.packages:
            check_installed(run.root, model.packages)

    log = run.root / ".dvc" / "tmp" / "gitml" / "logs"
    call = run.call
    return RunOptions(believed, covering, log, ready, call.watch, call.tell, force=call.force, run_cache=call.run_cache)


def record_of(
    run: Training, name: str, entries: Mapping[str, Entry], files: Mapping[str, File], python: str = ""
) -> Record:
    """The record of a new version whose description (metrics, signature) lies in the work tree.

    ``python`` is the version that the stages ran with, ours unless given. Raises FailedError without a metric.
    """
    model, digest = run.application.models[name], lineage_digest(name, entries)
    created = next_time(run.root, name)
    metrics = parse_metrics((run.root / model.metrics).read_bytes(), model.metrics)
    if not metrics:
        raise FailedError(f"{model.metrics} holds no metric", "a version needs evidence: let its stage write metrics")
    return Record.model_validate(
        {
            "model": name,
            "version": name_of(digest, created),
            "digest": digest,
            "created": created,
            "origin": run.origin,
            "commit": run.git.resolve("HEAD"),
            "dirty": run.dirty,
            "artifact": model.artifact,
            "files": files,
            "metrics": metrics,
            "signature": _signature(run, model),
            "packages": _packages(run.root, model, python),
            "roles": {key: path for key, path in model.outputs.items() if key != "artifact"},
            "stages": {stage: entry.to_dict() for stage, entry in entries.items()},
        }
    )


def _files(run: Training, entries: Mapping[str, Entry]) -> dict[str, File]:
    return {out.path: file_of(run, out.path) for e in entries.values() for out in e.outs if "://" not in out.path}


def file_of(run: Training, path: str) -> File:
    """What a record says of the output ``path``; how it is distributed, if it is data and describes no model."""
    place = run.root / path
    found = fingerprint(place)
    private, ones = run.application.private, shares_of_ones(place) or {}
    own = {output for model in run.application.models.values() for output in model.outputs.values()}
    return File(
        sha256=found.sha256,
        size=found.size,
        rows=count_rows(place),
        missing=missing_shares(place),
        ones={name: share for name, share in ones.items() if name not in private} or None,
        profile=None if path in own else profile(place, private),
    )


def _signature(run: Training, model: Model) -> dict[str, object] | None:
    """It is recorded as it is; what no server takes is said."""
    if not model.signature:
        return None
    raw = (run.root / model.signature).read_bytes()
    for problem in problems_in("signature", raw, model.signature)[:_PARAMS_SAID]:
        run.call.say(f"no server takes this signature: {problem}; {problem.hint}")
    return parse_signature(raw, model.signature)


def _packages(root: Path, model: Model, python: str) -> Packages | None:
    if not model.packages:
        return None
    found = fingerprint(root / model.packages)
    return Packages(
        path=model.packages,
        sha256=found.sha256,
        python=python or python_version(),
        gpus=models_of() or None,
        driver=driver_of() or None,
    )
