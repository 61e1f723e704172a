"""``gitml score``: a version's answers for whole data sets, file by file, each exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gitml.engines import ENGINES, EngineSettings, MapJob, Task
from gitml.engines.base import naming
from gitml.engines.places import StoragePlace, StoredFile, place_of
from gitml.engines.tables import format_of, schema_of
from gitml.errors import OutsideError, UsageError
from gitml.git.tree import WorkTree
from gitml.inference.clone import CloneShelf
from gitml.inference.scoreengine import EngineWish, settings_for
from gitml.inference.scorefiles import REJECTED, Inputs, Notes, Scored, inputs_at, refuse_overlap, targets
from gitml.inference.scorelog import ScoredData, ScoreLog, logging_scores
from gitml.inference.scorepacked import packed
from gitml.inference.scorework import Scoring, csv_types
from gitml.refs import Reference, parse
from gitml.registry import Record, deployment_in, pinned, resolve
from gitml.spec import load_application

# So many inputs are looked at before anything is scored: an hour of scoring should not end at a missing column.
_LOOKED_AT = 200
BATCH_ROWS = 16_384
CsvTypes = Mapping[str, Any]


@dataclass(frozen=True)
class ScoreCall:
    """``output_format``: parquet, csv or arrow. ``keep``, ``reject``: see ``Scoring``. ``engine``: what is set there
    goes before what gitml.yaml says of the model and environment.

    ``log``: where the rows are told as traffic; private columns are those of ``gitml.yaml``. ``tell`` hears of rows
    read, ``say`` of each file done.
    """

    input: str
    output: str
    output_format: str = "parquet"
    keep: tuple[str, ...] | None = None
    reject: bool = False
    engine: EngineWish = field(default_factory=EngineWish)
    log: ScoreLog = field(default_factory=ScoreLog)
    tell: Callable[[int], None] = lambda rows: None
    say: Callable[[Scored], None] = lambda note: None


@dataclass(frozen=True)
class Result:
    """``scored`` now, ``before`` by earlier calls; ``left_out`` have no ending of a table."""

    record: Record
    scored: tuple[Scored, ...]
    before: tuple[Scored, ...]
    left_out: tuple[str, ...]

    @property
    def rows(self) -> int:
        return sum(note.rows for note in (*self.scored, *self.before))

    @property
    def rejected(self) -> int:
        """Rows that were left out."""
        return sum(note.rejected for note in (*self.scored, *self.before))

    @property
    def unknown(self) -> dict[str, int]:
        """Column → words that are none of the signature's categories."""
        found: dict[str, int] = {}
        for note in (*self.scored, *self.before):
            for name, count in note.unknown.items():
                found[name] = found.get(name, 0) + count
        return found


@dataclass(frozen=True)
class _Work:
    inputs: Inputs
    plan: Mapping[str, str]
    tasks: Sequence[Task]
    notes: Notes
    call: ScoreCall
    settings: EngineSettings


def score(root: Path, reference: str, call: ScoreCall) -> Result:
    """Called again it goes on where it stopped. Raises RefError, OutsideError, UsageError for a wrong input."""
    record, types, scoring = _scoring(root, parse(reference), call)
    environment = _environment(root, parse(reference))
    settings = settings_for(call.engine, scoring.models[record.model].run, environment)
    if call.reject and call.log.folder:
        raise UsageError("--reject leaves rows out, and --log tells of all of them", "score without one of the two")
    inputs, output = inputs_at(call.input), place_of(call.output)
    refuse_overlap(inputs, output)
    plan = targets(inputs.files, call.output_format)
    run = _run(record, call)
    notes = Notes(output)
    with notes.held():
        notes.bind(run)
        before = {e.name: note for e in inputs.files if (note := notes.done(e, plan[e.name]))}
        tasks = [_task(inputs, n, output, plan[n], call, types) for n in plan if n not in before]
        job = _job(tasks, scoring, settings) if tasks else None
        for task in tasks:
            notes.clear(task.name, plan[task.name])
        data = ScoredData(record, environment, inputs.base, output, call.output_format, types)
        with logging_scores(_without_private(root, call.log), data) as tell:
            for note in before.values():  # scored, and perhaps killed before it was logged
                tell(note)
            scored = tuple(_told(_score(_Work(inputs, plan, tasks, notes, call, settings), job), tell)) if job else ()
        notes.finish(run, [*before.values(), *scored])
    return Result(record, scored, tuple(before.values()), inputs.left_out)


def _scoring(root: Path, reference: Reference, call: ScoreCall) -> tuple[Record, Mapping[str, Any], Scoring]:
    models = load_application(root).models
    record = resolve(WorkTree(root), reference, list(models))
    if record.signature is None:
        raise UsageError(f"{record.reference} has no signature: what it takes is not known", "name one in gitml.yaml")
    types = csv_types(record.signature)
    _refuse_another_pin(root, reference)
    CloneShelf(root).files(record, [record.artifact])  # what is not to be had is said before anything is written
    return record, types, Scoring(root, models, record, call.keep, call.reject)


def _refuse_another_pin(root: Path, reference: Reference) -> None:
    """An environment pins the artifact's bytes too, and may pin others than the record names."""
    state = deployment_in(WorkTree(root), reference.model, reference.selector)
    if state is not None:
        pinned(WorkTree(root), reference.model, state.champion)


def _environment(root: Path, reference: Reference) -> str:
    """'' for a version that is named by itself."""
    found = deployment_in(WorkTree(root), reference.model, reference.selector)
    return reference.selector if found is not None else ""


def _without_private(root: Path, log: ScoreLog) -> ScoreLog:
    return replace(log, private=log.private | frozenset(load_application(root).private))


def _told(notes: Iterator[Scored], tell: Callable[[Scored], None]) -> Iterator[Scored]:
    for note in notes:
        tell(note)
        yield note


def _run(record: Record, call: ScoreCall) -> dict[str, Any]:
    return {
        "format": "gitml scores 1",
        "model": record.model,
        "version": record.version,
        "artifact": record.files[record.artifact].sha256,
        "output_format": call.output_format,
        "keep": None if call.keep is None else list(call.keep),
        **({"reject": True} if call.reject else {}),
    }


def _task(work: Inputs, name: str, output: StoragePlace, target: str, call: ScoreCall, types: CsvTypes) -> Task:
    source, kind = (work.base / name).address, format_of(name) or ""
    rejects = (output / REJECTED / target).address
    return Task(name, source, (output / target).address, kind, call.output_format, types, rejects)


def _job(tasks: Sequence[Task], scoring: Scoring, settings: EngineSettings) -> MapJob:
    """Raises UsageError for the first input whose columns do not fit."""
    version = scoring.loaded()
    work = scoring.work(version)
    for task in tasks[:_LOOKED_AT]:
        with naming(task.name):
            work.schema(schema_of(place_of(task.source), task.format, task.types))
    if settings.name != "local":
        return MapJob(packed(scoring, version, CloneShelf(scoring.root)), BATCH_ROWS)
    return MapJob((lambda: work) if settings.workers == 1 else scoring, BATCH_ROWS)


def _score(work: _Work, job: MapJob) -> Iterator[Scored]:
    known = {entry.name: entry for entry in work.inputs.files}
    with ENGINES[work.settings.name](work.settings) as engine:
        for done in engine.map(job, iter(work.tasks), work.call.tell):
            entry = known[done.task.name]
            _refuse_changed(work.inputs, entry)
            note = Scored(*entry, work.plan[entry.name], done.rows, dict(done.facts), done.rejected)
            work.notes.add(note)
            work.call.say(note)
            yield note


def _refuse_changed(inputs: Inputs, entry: StoredFile) -> None:
    now = (inputs.base / entry.name).entry()
    if now is None or (now.size, now.modified) != (entry.size, entry.modified):
        raise OutsideError(f"{entry.name} changed while it was scored", "see who writes there, and call it again")
