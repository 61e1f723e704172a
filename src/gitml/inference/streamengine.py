"""``gitml stream --engine``: a folder that grows, answered by an engine's own streaming, with its promises."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from gitml.engines import ClusterEngine, MapJob
from gitml.engines.base import EngineSettings, naming
from gitml.engines.flinkjobs import end_jobs, job_name
from gitml.engines.places import StoragePlace, place_of
from gitml.engines.streamed import LINES, LINES_MADE, StreamJob, StreamTopics, made_schema
from gitml.engines.tables import format_of, schema_of
from gitml.errors import GitmlError, OutsideError, UsageError
from gitml.inference.clone import CloneShelf
from gitml.inference.score import BATCH_ROWS
from gitml.inference.scoreengine import EngineWish, settings_for
from gitml.inference.scorefiles import REJECTED, Inputs, Notes, refuse_overlap
from gitml.inference.scorepacked import packed
from gitml.inference.scorework import Scoring
from gitml.inference.serve import TrialPlan, wanted_of
from gitml.inference.streamlines import LineScoring
from gitml.registry.load import LoadedVersion

# What each reads and writes: tables of Parquet, or lines of JSON.
STREAMING = {"spark": "tables", "flink": "lines"}
CHECKPOINTS = "_gitml/flink"
LINE_ENDINGS = (".jsonl", ".ndjson")


@dataclass(frozen=True)
class EngineStreamCall:
    """``source``, ``target``: folders or their URLs; with ``topics``, those of Kafka are meant, and ``target`` is the
    folder of checkpoints. ``every``: seconds between looks at the environment's file."""

    source: str
    target: str
    engine: EngineWish
    every: float = 5.0
    note: Callable[[str], None] = lambda _: None
    topics: StreamTopics | None = None


def engine_stream(
    root: Path, reference: str, call: EngineStreamCall, stop: threading.Event, ready: Callable[[str], None]
) -> None:
    """Until ``stop``. A champion that is pinned anew takes over when the engine was started again, where the one before
    stopped. Raises as ``gitml score`` does."""
    if call.engine.name not in STREAMING:
        raise UsageError(f"{call.engine.name} streams nothing here", f"engines that do: {', '.join(STREAMING)}")
    target = place_of(call.target)
    if call.topics is None:
        refuse_overlap(Inputs(place_of(call.source), ()), target)
    else:
        refuse_topics(call.engine.name, call.topics)
    notes, before = Notes(target), ""
    with notes.held():
        while not stop.is_set():
            plan = wanted_of(root, reference)
            if plan.deployment.canary is not None:
                raise UsageError("an engine's stream draws no units for a canary", "leave --engine out")
            run = {"format": f"gitml stream on {call.engine.name} 1", "model": plan.record.model}
            notes.bind({**run, "environment": plan.environment})
            settings = settings_for(call.engine, plan.application.models[plan.record.model].run, plan.environment)
            job = _job(root, plan, call)
            with ClusterEngine(settings) as engine:
                rows = engine.stream(job)
                next(rows)
                ready(plan.record.reference)
                if before:
                    call.note(f"{plan.record.reference} answers from now on")
                before = plan.record.reference
                try:
                    _follow(root, reference, call, plan, rows, stop)
                finally:
                    _leave(settings, job)


def _leave(settings: EngineSettings, job: StreamJob) -> None:
    """What runs on this machine ends with its process; a cluster of Flink is told, as it waits for half a minute."""
    if settings.name == "flink" and settings.master:
        with suppress(OutsideError):
            end_jobs(settings.master, job_name(job.target))


def refuse_topics(engine: str, topics: StreamTopics) -> None:
    """Raises UsageError where ``engine`` cannot answer ``topics``."""
    if engine != "flink":
        raise UsageError(
            f"{engine} answers folders here: its own sink for Kafka would answer some messages twice",
            "leave --engine out, or name --engine flink",
        )
    if topics.source == topics.target:
        raise UsageError("answers would be asked again: both topics are the same", "name another one with --to")
    if not topics.jars:
        raise UsageError(
            "Flink has no connector for Kafka of its own",
            "name its files with --jars: flink-connector-kafka and kafka-clients, or flink-sql-connector-kafka",
        )
    for jar in topics.jars:
        if not Path(jar).is_file():
            raise UsageError(f"{jar} is not a file", "see --jars")


def _job(root: Path, plan: TrialPlan, call: EngineStreamCall) -> StreamJob:
    """Raises UsageError where the folder holds nothing that tells its columns, or what the engine does not read."""
    of_lines, target = STREAMING[call.engine.name] == "lines", place_of(call.target)
    if of_lines and call.topics is None:
        _refuse_other_files(place_of(call.source))
    scoring = Scoring(root, plan.application.models, plan.record, reject=True)
    version = scoring.loaded()
    if not of_lines:
        return _tables(scoring, version, place_of(call.source), target)
    job = MapJob(LineScoring(packed(scoring, version, CloneShelf(root))), BATCH_ROWS)
    return _messages(job, call.topics, target) if call.topics else _lines(job, place_of(call.source), target)


def _refuse_other_files(source: StoragePlace) -> None:
    if not source.is_folder():
        raise UsageError(f"{source.path} is not a folder", "make it, or see the address given to --from")
    strange = next((one.name for one in source.files() if not one.name.lower().endswith(LINE_ENDINGS)), None)
    if strange is not None:
        raise UsageError(
            f"{strange} is not a file of lines: each line of it would be a row that is refused",
            f"Flink answers rows of JSON, one a line, in files that end with {' or '.join(LINE_ENDINGS)}",
        )


def _tables(scoring: Scoring, version: LoadedVersion, source: StoragePlace, target: StoragePlace) -> StreamJob:
    first = next((one for one in source.files() if format_of(one.name) == "parquet"), None)
    if first is None:
        raise UsageError(f"{source.path} holds no Parquet file", "put a first one there: its columns are those of all")
    with naming(first.name):
        given = pa.schema([_plain(f) for f in schema_of(source / first.name, "parquet", {})])
        made = made_schema(scoring.work(version), given)
    job = MapJob(packed(scoring, version, CloneShelf(scoring.root)), BATCH_ROWS)
    return StreamJob(job, source.address, target.address, (target / "_gitml/spark").address, given, made)


def _lines(job: MapJob, source: StoragePlace, target: StoragePlace) -> StreamJob:
    notes, rejected = target / CHECKPOINTS, target / REJECTED
    return StreamJob(job, _path(source), _path(target), _path(notes), LINES, LINES_MADE, _path(rejected))


def _messages(job: MapJob, topics: StreamTopics, target: StoragePlace) -> StreamJob:
    source, answers = (f"kafka://{topics.servers}/{topic}" for topic in (topics.source, topics.target))
    topics = replace(topics, jars=tuple(str(Path(jar).resolve()) for jar in topics.jars))
    return StreamJob(job, source, answers, _path(target / CHECKPOINTS), LINES, LINES_MADE, topics=topics)


def _path(place: StoragePlace) -> str:
    """Links are followed here, so that the same folder is the same job whatever leads there."""
    if place.local is None:
        raise UsageError(
            f"Flink reads and writes folders on disks here, and {place.address} is not one",
            "mount it, or answer tables of Parquet with --engine spark",
        )
    return str(place.local.resolve())


def _plain(field: pa.Field) -> pa.Field:
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    return pa.field(field.name, kind)


def _follow(
    root: Path, reference: str, call: EngineStreamCall, plan: TrialPlan, rows: Iterator[int], stop: threading.Event
) -> None:
    """Until ``stop``, or until another champion is pinned."""
    told, looked = 0, time.monotonic()
    for count in rows:
        if stop.is_set():
            return
        if count != told:
            call.note(f"{count:,} rows were answered")
            told = count
        if time.monotonic() < looked + call.every:
            continue
        looked = time.monotonic()
        try:
            now = wanted_of(root, reference)
        except GitmlError as exc:
            call.note(f"what serves goes on: {exc.message}")
            continue
        if now.deployment.champion != plan.deployment.champion:
            call.note(f"{now.record.reference} takes over: the engine is started again")
            return
