"""``gitml stream --engine``: a folder that grows, answered by an engine's own streaming, with its promises."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from gitml.engines import ClusterEngine, MapJob
from gitml.engines.base import EngineSettings, naming
from gitml.engines.flinkjobs import end_jobs, job_name
from gitml.engines.places import StoragePlace, place_of
from gitml.engines.streamed import LINES, LINES_MADE, StreamJob, made_schema
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
STREAMING = {"spark": "parquet", "flink": "lines"}
LINE_ENDINGS = (".jsonl", ".ndjson")


@dataclass(frozen=True)
class EngineStreamCall:
    """``source``, ``target``: folders or their URLs. ``every``: seconds between looks at the environment's file."""

    source: str
    target: str
    engine: EngineWish
    every: float = 5.0
    note: Callable[[str], None] = lambda _: None


def engine_stream(
    root: Path, reference: str, call: EngineStreamCall, stop: threading.Event, ready: Callable[[str], None]
) -> None:
    """Until ``stop``. A champion that is pinned anew takes over when the engine was started again, where the one before
    stopped. Raises as ``gitml score`` does."""
    if call.engine.name not in STREAMING:
        raise UsageError(f"{call.engine.name} streams nothing here", f"engines that do: {', '.join(STREAMING)}")
    source, target = place_of(call.source), place_of(call.target)
    refuse_overlap(Inputs(source, ()), target)
    notes, before = Notes(target), ""
    with notes.held():
        while not stop.is_set():
            plan = wanted_of(root, reference)
            if plan.deployment.canary is not None:
                raise UsageError("an engine's stream draws no units for a canary", "leave --engine out")
            run = {"format": f"gitml stream on {call.engine.name} 1", "model": plan.record.model}
            notes.bind({**run, "environment": plan.environment})
            settings = settings_for(call.engine, plan.application.models[plan.record.model].run, plan.environment)
            job = _job(root, plan, call.engine.name, source, target)
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


def _job(root: Path, plan: TrialPlan, engine: str, source: StoragePlace, target: StoragePlace) -> StreamJob:
    """Raises UsageError where the folder holds nothing that tells its columns, or what the engine does not read."""
    made = _lines if STREAMING[engine] == "lines" else _tables
    scoring = Scoring(root, plan.application.models, plan.record, reject=True)
    return made(scoring, scoring.loaded(), source, target)


def _tables(scoring: Scoring, version: LoadedVersion, source: StoragePlace, target: StoragePlace) -> StreamJob:
    first = next((one for one in source.files() if format_of(one.name) == "parquet"), None)
    if first is None:
        raise UsageError(f"{source.path} holds no Parquet file", "put a first one there: its columns are those of all")
    with naming(first.name):
        given = pa.schema([_plain(f) for f in schema_of(source / first.name, "parquet", {})])
        made = made_schema(scoring.work(version), given)
    job = MapJob(packed(scoring, version, CloneShelf(scoring.root)), BATCH_ROWS)
    return StreamJob(job, source.address, target.address, (target / "_gitml/spark").address, given, made)


def _lines(scoring: Scoring, version: LoadedVersion, source: StoragePlace, target: StoragePlace) -> StreamJob:
    if source.local is None or target.local is None:
        raise UsageError(
            "Flink reads and writes folders on disks here, not addresses of stores",
            "mount them, or answer them with --engine spark",
        )
    if not source.is_folder():
        raise UsageError(f"{source.path} is not a folder", "make it, or see the address given to --from")
    strange = next((one.name for one in source.files() if not one.name.lower().endswith(LINE_ENDINGS)), None)
    if strange is not None:
        raise UsageError(
            f"{strange} is not a file of lines: each line of it would be a row that is refused",
            f"Flink answers rows of JSON, one a line, in files that end with {' or '.join(LINE_ENDINGS)}",
        )
    job = MapJob(LineScoring(packed(scoring, version, CloneShelf(scoring.root))), BATCH_ROWS)
    notes, rejected = target / "_gitml/flink", target / REJECTED
    return StreamJob(job, _path(source), _path(target), _path(notes), LINES, LINES_MADE, _path(rejected))


def _path(place: StoragePlace) -> str:
    """Links are followed here, so that the same folder is the same job whatever leads there."""
    assert place.local is not None
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
